"""Links and codes: who holds one may do that one thing, for its time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.alerts.addresses import BadAddress, Hasher, masked, normalise
from services.alerts.links import CONFIRM_FOR, MANAGE_FOR, BadLink, Links, OldLink, Purpose
from tests.unit.alerts.subscribers import EMAIL, NOW, PHONE, SECRET, URL, House

LINKS = Links(SECRET, URL)
NAME, NOTIFICATION = "abcdefghij123456", "ab" * 16


def token(url: str) -> str:
    return url.rsplit("/", 1)[1]


def test_a_link_says_what_it_was_made_for() -> None:
    url = LINKS.acknowledge(NAME, NOTIFICATION, NOW)
    assert url.startswith(f"{URL}/ack/")
    opened = LINKS.open("acknowledge", token(url), NOW)
    assert (opened.subscription, opened.notification, opened.at) == (NAME, NOTIFICATION, NOW)


@pytest.mark.parametrize("purpose", ["confirm", "manage", "acknowledge"])
def test_a_link_to_stop_opens_nothing_else(purpose: Purpose) -> None:
    with pytest.raises(BadLink, match="something else"):
        LINKS.open(purpose, token(LINKS.unsubscribe(NAME)), NOW)


def test_a_link_changed_in_any_letter_opens_nothing() -> None:
    good = token(LINKS.manage(NAME, NOW))
    for place in range(len(good)):
        other = "A" if good[place] != "A" else "B"
        with pytest.raises(BadLink):
            LINKS.open("manage", good[:place] + other + good[place + 1 :], NOW)
    for bad in ("", "A", good[:-4], good + "AAAA", "é" * 40, "=" * 48):
        with pytest.raises(BadLink):
            LINKS.open("manage", bad, NOW)


def test_a_link_under_another_secret_opens_nothing() -> None:
    with pytest.raises(BadLink):
        Links(b"other", URL).open("manage", token(LINKS.manage(NAME, NOW)), NOW)


def test_links_grow_old_but_the_one_to_stop() -> None:
    asked = House().asked()
    assert LINKS.open("confirm", token(LINKS.confirm(asked)), NOW + CONFIRM_FOR - timedelta(seconds=6))
    with pytest.raises(OldLink):
        LINKS.open("confirm", token(LINKS.confirm(asked)), NOW + CONFIRM_FOR)
    with pytest.raises(OldLink):
        LINKS.open("manage", token(LINKS.manage(NAME, NOW)), NOW + MANAGE_FOR)
    assert LINKS.open("unsubscribe", token(LINKS.unsubscribe(NAME)), NOW + timedelta(days=4_000)).subscription == NAME


def test_the_code_has_six_digits_and_is_anothers_for_another_number_or_time() -> None:
    asked = House().asked(PHONE)
    code = LINKS.code(asked)
    assert len(code) == 6 and code.isdigit()
    later = asked.model_copy(update={"asked_at": NOW + timedelta(minutes=1)})
    elsewhere = asked.model_copy(update={"subscription": "b" * 16})
    assert len({code, LINKS.code(later), LINKS.code(elsewhere)}) == 3
    assert LINKS.is_code(asked, code, NOW) and not LINKS.is_code(asked, code, NOW + timedelta(minutes=15))
    assert not LINKS.is_code(asked, "", NOW) and not LINKS.is_code(asked, "١٢٣٤٥٦", NOW)


@pytest.mark.parametrize(
    ("channel", "text", "written"),
    [
        ("email", "  Night.Buyer@Hospital.EXAMPLE ", "Night.Buyer@hospital.example"),
        ("email", "lager@bücher.example", "lager@xn--bcher-kva.example"),
        ("sms", "+1 (213) 555-0123", "+12135550123"),
        ("webhook", "https://hooks.hospital.example/lovla?x=1", "https://hooks.hospital.example/lovla?x=1"),
    ],
)
def test_an_address_is_written_in_one_way(channel: str, text: str, written: str) -> None:
    assert normalise(channel, text) == written  # type: ignore[arg-type]  # parametrized words


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "a@b.example\nBcc: all@b.example"),
        ("email", "a b@c.example"),
        ("email", "a@127.0.0.1"),
        ("email", ".a@b.example"),
        ("email", f"{'a' * 65}@b.example"),
        ("email", "<a@b.example>"),
        ("sms", "2135550123"),
        ("sms", "+0135550123"),
        ("sms", "+1213555"[:6]),
        ("sms", "+1213555012345678"),
        ("sms", "+12135550123;ext=1"),
        ("webhook", "ftp://hooks.example/"),
        ("webhook", "https://user:pass@hooks.example/"),
        ("webhook", "https://hooks.example/\r\nHost: x"),
        ("webhook", "https://[::1"),
        ("webhook", "https:///path"),
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(channel: str, text: str) -> None:
    with pytest.raises(BadAddress) as refused:
        normalise(channel, text)  # type: ignore[arg-type]  # parametrized words
    assert text not in str(refused.value)


def test_the_hash_is_keyed_and_the_same_for_every_way_to_write_an_email() -> None:
    hasher = Hasher(SECRET)
    assert hasher.of("email", EMAIL) == hasher.of("email", EMAIL.upper().replace("HOSPITAL.EXAMPLE", "hospital.example"))
    assert hasher.of("email", EMAIL) != Hasher(b"other").of("email", EMAIL)
    assert hasher.of("sms", PHONE) != hasher.of("webhook", PHONE)


def test_a_masked_address_cannot_be_written_to() -> None:
    house = House()
    assert masked(house.asked()) == "n…@hospital.example"
    assert masked(house.asked(PHONE)) == "…123"
