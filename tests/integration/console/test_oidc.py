"""Sign-in by a real OpenID Connect provider (provider.py) over HTTP: who comes in, as what, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr, ValidationError

from services.console import oidc
from services.console.app import build
from services.console.door import ConsoleDoor
from services.console.entry import Entry
from services.console.people import People
from services.console.settings import ConsoleSettings
from services.runtime.clickhouse import connect
from services.runtime.clock import ManualClock
from tests.integration.console import provider as providers
from tests.integration.console.provider import CLIENT, SECRET, Provider

CONSOLE = "http://console.test"
PASSWORD = "a password that is long"
ANA = {"sub": "7-ana", "preferred_username": "Ana", "groups": ["everyone", "port-planners"]}


class Site:
    """A console that knows a provider."""

    def __init__(self, provider: Provider, folder: Path) -> None:
        self.provider = provider
        self.clock = ManualClock(datetime.now(UTC))
        self.people = People(folder, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.settings = ConsoleSettings(
            kafka="127.0.0.1:1",
            clickhouse_port=1,
            state_dir=folder,
            secret_key=SecretStr("k" * 44),
            console_url=CONSOLE,
            oidc_issuer=provider.issuer,
            oidc_client_id=CLIENT,
            oidc_client_secret=SecretStr(SECRET),
            oidc_roles="port-planners=planner port-admins=admin",
        )
        entry = Entry(self.settings, self.people, self.clock)
        self.app = build(ConsoleDoor(self.settings, connect(self.settings, "reader"), entry, self.clock))

    def browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=CONSOLE)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with providers.running(CONSOLE + oidc.CALLBACK) as provider:
        provider.person = dict(ANA)
        yield Site(provider, tmp_path)


async def at_the_provider(browser: httpx.AsyncClient, going_on: str = "/delayed") -> str:
    """Go there; the address to which the provider sends the browser back."""
    went = await browser.get("/sign-in/oidc", params={"next": going_on})
    assert went.status_code == 303, went.text
    async with httpx.AsyncClient() as elsewhere:
        sent = await elsewhere.get(went.headers["location"])
    assert sent.status_code == 302, sent.text
    return str(sent.headers["location"])


async def signed_in(site: Site, browser: httpx.AsyncClient) -> httpx.Response:
    return await browser.get(await at_the_provider(browser))


async def test_who_is_in_a_group_comes_in_with_its_role_and_goes_on_where_they_were(site: Site) -> None:
    async with site.browser() as browser:
        assert "Sign in with your organisation" in (await browser.get("/sign-in?next=/delayed")).text
        answer = await signed_in(site, browser)
        assert (answer.status_code, answer.headers["location"]) == (303, "/delayed")
        (person,) = site.people.all()
        assert (person.name, person.role) == ("ana", "planner")
        assert site.people.of_session(browser.cookies["lovla_session"], site.clock.now()) == person
        assert "lovla_session_oidc" not in browser.cookies
    assert all("HttpOnly" in line and "SameSite=lax" in line for line in answer.headers.get_list("set-cookie"))


async def test_the_provider_is_asked_with_pkce_a_state_and_a_nonce(site: Site) -> None:
    async with site.browser() as browser:
        went = await browser.get("/sign-in/oidc")
    asked = {name: value for name, (value,) in parse_qs(urlsplit(went.headers["location"]).query).items()}
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 32 and len(asked["nonce"]) >= 32 and asked["state"] != asked["nonce"]
    assert asked["nonce"] not in went.headers["set-cookie"] and "openid" in asked["scope"]


async def test_an_answer_to_another_browser_or_a_late_one_signs_nobody_in(site: Site) -> None:
    async with site.browser() as browser, site.browser() as victim:
        back = await at_the_provider(browser)
        assert (await victim.get(back)).status_code == 401
        await victim.get("/sign-in/oidc")
        assert (await victim.get(back)).status_code == 401  # its own state, another's answer
        site.clock.advance(oidc.LASTS_S + 1)
        late = await browser.get(back)
    assert late.status_code == 401 and "took too long" in late.text
    assert site.people.all() == [] and "/token" not in site.provider.asked


async def test_a_code_counts_once(site: Site) -> None:
    async with site.browser() as browser:
        back = await at_the_provider(browser)
        cookie = browser.cookies["lovla_session_oidc"]
        assert (await browser.get(back)).status_code == 303
    async with site.browser() as thief:
        thief.cookies.set("lovla_session_oidc", cookie)
        assert (await thief.get(back)).status_code == 401


async def test_another_verifier_is_refused_by_the_provider(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "create_s256_code_challenge", lambda _: "A" * 43)
    async with site.browser() as browser:
        answer = await signed_in(site, browser)
    assert answer.status_code == 401 and site.people.all() == []


SPOILED: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "another"},
    "another issuer": {"iss": "https://elsewhere.example"},
    "for another client": {"aud": ["somebody"]},
    "for another client too, by it": {"aud": ["somebody", CLIENT], "azp": "somebody"},
    "it is over": {"exp": 1_500_000_000},
    "another token's hash": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("said", SPOILED.values(), ids=SPOILED.keys())
async def test_an_id_token_that_is_not_for_us_now_is_refused(site: Site, said: dict[str, Any]) -> None:
    site.provider.spoil = lambda person: {**person, **said}
    async with site.browser() as browser:
        answer = await signed_in(site, browser)
    assert answer.status_code == 401 and "cannot be trusted" in answer.text and site.people.all() == []


async def test_an_id_token_that_another_key_signed_is_refused(site: Site) -> None:
    site.provider.signs_with = providers.signing_key(1)
    async with site.browser() as browser:
        answer = await signed_in(site, browser)
    assert answer.status_code == 401 and "cannot be trusted" in answer.text


@pytest.mark.parametrize("groups", [[], ["everyone"], "port", None])
async def test_who_is_in_no_group_of_ours_is_told_so(site: Site, groups: object) -> None:
    site.provider.person["groups"] = groups
    async with site.browser() as browser:
        answer = await signed_in(site, browser)
    assert answer.status_code == 401 and "none of your groups" in answer.text


async def test_a_name_that_is_a_local_accounts_or_anothers_is_not_taken_over(site: Site) -> None:
    site.people.add("ana", "admin", PASSWORD, site.clock.now())
    async with site.browser() as browser:
        assert (await signed_in(site, browser)).status_code == 401
        site.provider.person |= {"preferred_username": "bo"}
        assert (await signed_in(site, browser)).status_code == 303
        site.provider.person["sub"] = "8-another"
        refused = await signed_in(site, browser)
    assert refused.status_code == 401 and "somebody else" in refused.text


async def test_another_group_is_another_role_at_once_and_a_disabled_account_stays_out(site: Site) -> None:
    async with site.browser() as browser:
        await signed_in(site, browser)
        before = browser.cookies["lovla_session"]
        site.provider.person["groups"] = ["port-admins", "port-planners"]
        await signed_in(site, browser)
        assert site.people.of_session(before, site.clock.now()) is None
        assert site.people.all()[0].role == "admin"
        now = browser.cookies["lovla_session"]
        assert site.people.of_session(now, site.clock.now()) is not None
        site.provider.person["groups"] = ["everyone"]
        assert (await signed_in(site, browser)).status_code == 401
        assert site.people.of_session(now, site.clock.now()) is None, "put out of the group, signed out everywhere"
        site.provider.person["groups"] = ["port-admins"]
        site.people.disable("ana")
        assert (await signed_in(site, browser)).status_code == 401


async def test_local_accounts_sign_in_as_before_and_no_password_fits_a_providers_person(site: Site) -> None:
    site.people.add("bo", "viewer", PASSWORD, site.clock.now())
    async with site.browser() as browser:
        form = {"name": "bo", "password": PASSWORD, "next": "/feeds"}
        assert (await browser.post("/sign-in", data=form)).status_code == 303
    async with site.browser() as browser:
        await signed_in(site, browser)
        for password in ("", f"oidc {site.provider.issuer} 7-ana"):
            tried = await browser.post("/sign-in", data={"name": "ana", "password": password})
            assert tried.status_code == 401


async def test_a_provider_that_is_away_is_a_sentence(site: Site) -> None:
    site.provider.issuer = "https://says.another.example"
    async with site.browser() as browser:
        answer = await browser.get("/sign-in/oidc")
    assert answer.status_code == 401 and "cannot be reached" in answer.text


@pytest.mark.parametrize(
    "said",
    [
        {"oidc_issuer": "http://idp.example", "oidc_client_id": "x", "oidc_roles": "a=planner"},
        {"oidc_issuer": "https://idp.example", "oidc_roles": "a=planner"},
        {"oidc_issuer": "https://idp.example", "oidc_client_id": "x"},
        {"oidc_issuer": "https://idp.example", "oidc_client_id": "x", "oidc_roles": "a=boss"},
    ],
)
def test_half_a_provider_is_a_mistake(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ConsoleSettings(kafka="127.0.0.1:1", **said)


def test_a_role_may_stand_deeper_and_the_greatest_counts() -> None:
    settings = ConsoleSettings(
        kafka="127.0.0.1:1",
        oidc_issuer="https://idp.example",
        oidc_client_id="x",
        oidc_roles="a=viewer b=admin",
        oidc_role_claim="realm_access.roles",
    )
    assert oidc.role_in({"realm_access": {"roles": ["a", "b"]}}, settings) == "admin"
    assert settings.oidc_role_of == {"a": "viewer", "b": "admin"}
