"""The alerts' door: keys, the public page, signed links. Over a register in memory."""

from __future__ import annotations

import json
import re

import pytest

from schemas.alerts_v1 import Acknowledgement, Filters, Subscription
from services.alerts.links import MANAGE_FOR
from services.alerts.public_page import HEADERS
from tests.unit.alerts.subscribers import EMAIL, PHONE, House

BODY = {"channel": "email", "address": EMAIL, "filters": {"facilities": ["LAC-USC"]}}
FORM = {"channel": "email", "address": EMAIL, "facilities": "LAC-USC", "agreed": "yes"}


@pytest.fixture
def house() -> House:
    return House()


def path(url: str) -> str:
    return "/" + url.split("/", 3)[3]


# --- by key


def test_a_key_with_the_scope_makes_reads_changes_and_removes(house: House) -> None:
    key = house.key("LACDHS", "alerts")
    made = house.http("POST", "/v1/subscriptions", json=BODY, headers=key)
    assert made.status_code == 201 and made.json()["state"] == "unconfirmed" and "address_hash" not in made.json()
    one = made.headers["location"]
    house.store.confirm(made.json()["subscription"], house.said())
    assert house.http("GET", one, headers=key).json()["address"] == EMAIL
    assert house.http("POST", f"{one}/pause", headers=key).json()["state"] == "paused"
    assert house.http("POST", f"{one}/resume", headers=key).json()["state"] == "active"
    changed = house.http("PATCH", one, json={"quiet": ["22:00", "06:00"]}, headers=key).json()
    assert changed["quiet"] == ["22:00", "06:00"] and changed["filters"]["facilities"] == ["LAC-USC"]
    assert house.http("POST", f"{one}/stop", headers=key).json()["state"] == "stopped"
    assert house.http("DELETE", one, headers=key).status_code == 204
    assert house.http("GET", one, headers=key).status_code == 404
    acts = [one.act for one in house.register.consents()]
    assert acts == ["asked", "confirmed", "paused", "resumed", "changed", "stopped", "forgotten"]


@pytest.mark.parametrize("scopes", [("push",), ("register",), ("alerts", "sandbox")])
def test_a_key_without_the_scope_or_of_the_sandbox_makes_nothing(house: House, scopes: tuple[str, ...]) -> None:
    key = house.key("LACDHS", *scopes)  # type: ignore[arg-type]  # parametrized words
    assert house.http("POST", "/v1/subscriptions", json=BODY, headers=key).status_code == 403
    assert house.register.written == []


def test_without_a_key_there_is_nothing(house: House) -> None:
    for method, where in (("GET", ""), ("POST", ""), ("POST", "/forget"), ("GET", f"/{'a' * 16}")):
        answer = house.http(method, f"/v1/subscriptions{where}", json=BODY)
        assert answer.status_code == 401 and answer.headers["content-type"] == "application/problem+json"


def test_a_repeat_gets_the_first_answer_whatever_became_of_the_registers(house: House) -> None:
    key = house.key("LACDHS", "alerts")
    repeat = key | {"Idempotency-Key": "order-4711"}
    first = house.http("POST", "/v1/subscriptions", json=BODY, headers=repeat)
    del house.facilities["LAC-USC"]
    again = house.http("POST", "/v1/subscriptions", json=BODY, headers=repeat)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["location"] == first.headers["location"] and len(house.register.notifications()) == 1
    assert again.json() == first.json() | {"unregistered": ["facilities: LAC-USC"]}  # it is said, and no reason to refuse
    for other in (
        key,
        key | {"Idempotency-Key": "order-4712"},
        house.key("CEDARS", "alerts") | {"Idempotency-Key": "order-4711"},
    ):
        assert house.http("POST", "/v1/subscriptions", json=BODY, headers=other).status_code == 422
    house.store.forget("email", EMAIL, house.said())
    removed = house.http("POST", "/v1/subscriptions", json=BODY, headers=repeat)
    assert removed.status_code == 422, "what is gone is made anew, or not"


def test_anothers_subscription_looks_like_none(house: House) -> None:
    theirs = house.subscribed(owner="CEDARS")
    key = house.key("LACDHS", "alerts")
    for method, act in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/stop"), ("POST", "/ask")):
        answer = house.http(method, f"/v1/subscriptions/{theirs.subscription}{act}", json={}, headers=key)
        assert answer.status_code == 404, (method, act)
    assert house.http("GET", "/v1/subscriptions", headers=key).json() == {"subscriptions": []}
    assert house.state(theirs) == "active"


def test_an_operator_sees_all_and_alone_forgets(house: House) -> None:
    mine = house.subscribed()
    where, body = "/v1/subscriptions/forget", {"channel": "email", "address": EMAIL}
    assert house.http("POST", where, json=body, headers=house.key("LACDHS", "alerts")).status_code == 403
    operator = house.key("OPS", "operator")
    assert len(house.http("GET", "/v1/subscriptions", headers=operator).json()["subscriptions"]) == 1
    assert house.http("POST", where, json=body, headers=operator).json() == {"forgotten": 1}
    assert mine.subscription not in house.store.all()


def test_a_list_comes_page_by_page(house: House) -> None:
    made = sorted(house.subscribed(f"buyer{number}@hospital.example").subscription for number in range(5))
    key, found, after = house.key("LACDHS", "alerts"), [], ""
    for _ in range(3):
        page = house.http("GET", f"/v1/subscriptions?limit=2&after={after}", headers=key).json()
        found += [one["subscription"] for one in page["subscriptions"]]
        after = page.get("next", "")
    assert found == made and after == ""
    assert house.http("GET", "/v1/subscriptions?limit=0", headers=key).status_code == 400


def test_what_is_wrong_is_named_by_its_place_and_never_quoted(house: House) -> None:
    key = house.key("LACDHS", "alerts")
    bad = BODY | {"address": "secret-person", "filters": {"tiers": ["one"]}}
    answer = house.http("POST", "/v1/subscriptions", json=bad, headers=key)
    assert answer.status_code == 422 and answer.json()["errors"][0]["where"] == "/filters/tiers/0"
    answer = house.http("POST", "/v1/subscriptions", json=BODY | {"address": "secret-person"}, headers=key)
    assert answer.json()["errors"][0]["where"] == "/address" and "secret-person" not in answer.text
    assert house.http("POST", "/v1/subscriptions", content=b"{", headers=key).status_code == 422
    assert house.http("POST", "/v1/subscriptions", content=b"x" * 70_000, headers=key).status_code == 413


def test_a_number_is_confirmed_by_the_code_that_its_owner_reads_out(house: House) -> None:
    key = house.key("LACDHS", "alerts")
    name = house.http("POST", "/v1/subscriptions", json={"channel": "sms", "address": PHONE}, headers=key).json()[
        "subscription"
    ]
    where = f"/v1/subscriptions/{name}/confirm"
    assert house.http("POST", where, json={"code": "000000"}, headers=key).status_code == 422
    code = house.store.links.code(house.store.get(name))
    assert house.http("POST", where, json={"code": code}, headers=key).json()["state"] == "active"


def test_the_secret_of_a_webhook_is_shown_once(house: House) -> None:
    key = house.key("LACDHS", "alerts")
    made = house.http("POST", "/v1/subscriptions", json={"channel": "webhook", "address": "https://a.example/"}, headers=key)
    assert made.json()["secret"].startswith("whsec_")
    assert "secret" not in house.http("GET", made.headers["location"], headers=key).json()


def test_kafka_away_is_said_and_nothing_counts(house: House) -> None:
    key = house.key("LACDHS", "alerts")
    house.register.refuses_after = 0
    answer = house.http("POST", "/v1/subscriptions", json=BODY, headers=key)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "2"
    house.trouble = "not read yet"
    assert house.http("GET", "/v1/subscriptions", headers=key).status_code == 503
    assert house.http("GET", "/readyz").status_code == 503 and house.http("GET", "/healthz").status_code == 200


# --- the public page


def test_the_page_is_html_without_a_script_and_names_the_hospitals(house: House) -> None:
    page = house.http("GET", "/subscribe")
    assert page.status_code == 200 and "<script" not in page.text and "LA General" in page.text
    for name, value in HEADERS.items():
        assert page.headers[name] == value
    assert house.http("GET", "/subscribe.css").headers["content-type"].startswith("text/css")


def test_the_form_asks_the_address_and_shows_the_same_for_every_address(house: House) -> None:
    new = house.http("POST", "/subscribe", data=FORM)
    assert new.status_code == 200 and len(house.register.notifications()) == 1
    (made,) = house.store.all().values()
    assert made.owner is None and made.state == "unconfirmed" and made.filters.facilities == ("LAC-USC",)
    again = house.http("POST", "/subscribe", data=FORM)
    house.store.confirm(made.subscription, house.said())
    known = house.http("POST", "/subscribe", data=FORM)
    house.store.forget("email", EMAIL, house.said())
    suppressed = house.http("POST", "/subscribe", data=FORM)
    assert new.text == again.text == known.text == suppressed.text
    assert len(house.register.notifications()) == 1, "asked again, or a suppressed address was asked"


def test_by_sms_the_page_asks_for_the_code_and_a_suppressed_number_is_not_told_apart(house: House) -> None:
    form = FORM | {"channel": "sms", "address": PHONE}
    shown = house.http("POST", "/subscribe", data=form)
    handle = re.search(r'name="subscription" value="(\w{16})"', shown.text)
    assert handle is not None
    one = house.store.get(handle[1])
    wrong = house.http("POST", "/code", data={"subscription": handle[1], "code": "000000"})
    assert wrong.status_code == 422 and house.state(one) == "unconfirmed"
    house.store.stop_address("sms", "+12135550199", "STOP", house.said())
    other = house.http("POST", "/subscribe", data=form | {"address": "+12135550199"})
    assert re.sub(r'value="\w{16}"', "", other.text) == re.sub(r'value="\w{16}"', "", shown.text)
    fake = re.search(r'name="subscription" value="(\w{16})"', other.text)
    assert fake is not None
    answer = house.http("POST", "/code", data={"subscription": fake[1], "code": "000000"})
    assert re.sub(r'value="\w{16}"', "", answer.text) == re.sub(r'value="\w{16}"', "", wrong.text)
    right = {"subscription": handle[1], "code": house.store.links.code(house.store.get(handle[1]))}
    assert "Confirmed" in house.http("POST", "/code", data=right).text and house.state(one) == "active"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"agreed": ""}, "Say that you want"),
        ({"channel": "webhook"}, "Choose email or SMS"),
        ({"facilities": ""}, "Name at least one"),
        ({"address": "nobody"}, "email address is expected"),
        ({"zone": "<script>"}, "IANA"),
        ({"quiet_from": "22:00"}, "HH:MM"),
    ],
)
def test_a_form_that_cannot_be_taken_comes_back_with_the_reason_and_what_was_typed(
    house: House, given: dict[str, str], why: str
) -> None:
    page = house.http("POST", "/subscribe", data=FORM | {"categories": "glove"} | given)
    assert page.status_code == 422 and why in page.text
    assert '<option value="glove" selected>' in page.text and "<script" not in page.text
    assert house.register.written == []


def test_what_was_typed_cannot_become_part_of_the_page(house: House) -> None:
    page = house.http("POST", "/subscribe", data=FORM | {"carriers": '"><b>x', "zone": "'<i>"})
    assert page.status_code == 422 and "&#34;&gt;&lt;b&gt;x" in page.text and "<b>" not in page.text and "<i>" not in page.text


def test_strangers_of_one_network_make_ten_an_hour(house: House) -> None:
    codes = [
        house.http("POST", "/subscribe", data=FORM | {"address": f"a{number}@b.example"}).status_code for number in range(12)
    ]
    assert codes == [200] * 10 + [429] * 2
    assert house.http("POST", "/subscribe", host="198.51.100.1", data=FORM).status_code == 200
    house.clock.advance(3_600)
    assert house.http("POST", "/subscribe", data=FORM | {"address": "z@b.example"}).status_code == 200


def test_the_page_and_what_follows_from_it_speak_spanish(house: House) -> None:
    page = house.http("GET", "/subscribe", headers={"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"})
    assert 'lang="es"' in page.text and "Zona horaria" in page.text and "Time zone" not in page.text
    assert "Time zone" in house.http("GET", "/subscribe", headers={"Accept-Language": "fr"}).text
    assert "Revise su correo" in house.http("POST", "/subscribe", data=FORM | {"language": "es"}).text
    (made,) = house.store.all().values()
    assert made.language == "es"
    manage = path(house.store.links.manage(made.subscription, house.clock.now()))
    assert "Sus avisos" in house.http("GET", manage).text


def test_an_operator_may_close_the_page_and_links_go_on(house: House) -> None:
    closed = House()
    closed.door.page = False
    from services.alerts.api import build

    closed._app = build(closed.door)
    assert closed.http("GET", "/subscribe").status_code == 404
    made = closed.subscribed()
    assert closed.http("POST", path(closed.store.links.unsubscribe(made.subscription))).status_code == 200
    assert closed.state(made) == "stopped"


# --- links


def test_get_changes_nothing_whatever_the_link(house: House) -> None:
    asked, active = house.asked(), house.subscribed("else@hospital.example")
    links, now = house.store.links, house.clock.now()
    before = list(house.register.written)
    for url in (
        links.confirm(asked),
        links.manage(active.subscription, now),
        links.unsubscribe(active.subscription),
        links.acknowledge(active.subscription, "ab" * 16, now),
    ):
        for method in ("GET", "HEAD"):
            answer = house.http(method, path(url))
            assert answer.status_code in (200, 405) and answer.headers.get("Referrer-Policy") in ("no-referrer", None)
    assert house.register.written == before


@pytest.mark.parametrize(
    "body", [b"List-Unsubscribe=One-Click", b"", b"--x\r\nContent-Disposition: form-data\r\n\r\nOne-Click\r\n--x--"]
)
def test_one_click_stops_whatever_the_body_says(house: House, body: bytes) -> None:
    made = house.subscribed()
    url = path(house.store.links.unsubscribe(made.subscription))
    assert house.http("POST", url, content=body).status_code == 200
    assert house.state(made) == "stopped" and house.store.get(made.subscription).stopped_by == "link"
    assert house.http("POST", url, content=body).status_code == 200, "mailbox providers come twice"


def test_one_click_is_not_lost_to_a_rate_of_one_network(house: House) -> None:
    made = [house.subscribed(f"a{number}@b.example") for number in range(60)]
    answers = {house.http("POST", path(house.store.links.unsubscribe(one.subscription))).status_code for one in made}
    assert answers == {200}


def test_the_link_of_a_message_pauses_changes_resumes_stops_and_removes(house: House) -> None:
    made = house.subscribed(filters=Filters(facilities=("LAC-USC",)))
    url = path(house.store.links.manage(made.subscription, house.clock.now()))
    assert "n…@hospital.example" in house.http("GET", url).text and EMAIL not in house.http("GET", url).text
    house.http("POST", url, data={"act": "pause"})
    assert house.state(made) == "paused"
    house.http("POST", url, data={"act": "resume"})
    page = house.http("POST", url, data={"act": "change", "carriers": "maeu, ONEY", "minimum_severity": "critical"})
    assert "It is changed" in page.text
    filters = house.store.get(made.subscription).filters
    assert filters.carriers == ("MAEU", "ONEY") and filters.minimum_severity == "critical" and filters.facilities == ()
    wrong = house.http("POST", url, data={"act": "change", "zone": "Mars"})
    assert wrong.status_code == 422 and house.store.get(made.subscription).filters == filters
    house.http("POST", url, data={"act": "stop"})
    assert house.state(made) == "stopped"
    assert "gone" in house.http("POST", url, data={"act": "remove"}).text
    assert house.store.all() == {} and house.http("GET", url).status_code == 404


def test_a_link_too_old_says_where_a_fresh_one_is(house: House) -> None:
    made = house.subscribed()
    url = path(house.store.links.manage(made.subscription, house.clock.now()))
    house.clock.advance(MANAGE_FOR.total_seconds())
    answer = house.http("POST", url, data={"act": "stop"})
    assert answer.status_code == 404 and "fresh one" in answer.text and house.state(made) == "active"
    assert house.http("GET", "/manage/nonsense").status_code == 404


def test_a_confirmation_after_a_stop_counts_no_more(house: House) -> None:
    asked = house.asked()
    url = path(house.store.links.confirm(asked))
    house.http("POST", path(house.store.links.unsubscribe(asked.subscription)))
    assert house.http("POST", url).status_code == 422 and house.state(asked) == "stopped"


def test_an_acknowledgement_by_link_is_for_that_notification(house: House) -> None:
    made = house.subscribed()
    url = path(house.store.links.acknowledge(made.subscription, "ab" * 16, house.clock.now()))
    assert "Noted" in house.http("POST", url).text
    (told,) = [record.model for record in house.register.written if isinstance(record.model, Acknowledgement)]
    assert (told.subscription, told.notification, told.source) == (made.subscription, "ab" * 16, "link")


def test_a_fault_of_ours_says_nothing_of_anybody(house: House, caplog: pytest.LogCaptureFixture) -> None:
    made = house.subscribed()

    def broken() -> dict[str, Subscription]:
        raise RuntimeError(f"about {EMAIL}")

    url = path(house.store.links.manage(made.subscription, house.clock.now()))
    house.register.subscriptions = broken  # type: ignore[method-assign]  # a register that breaks
    answer = house.http("GET", url)
    assert answer.status_code == 500 and EMAIL not in answer.text
    logged = json.dumps([record.getMessage() for record in caplog.records])
    assert EMAIL not in logged and url not in logged
