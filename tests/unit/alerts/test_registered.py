"""What a subscription names and no register has: told to whoever names it, since a typo would be a silence."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.alerts_v1 import Filters
from schemas.registers_v1 import Facility
from services.alerts.languages import language
from services.alerts.registered import silent, unregistered
from tests.unit.alerts.subscribers import EMAIL, PLACES, SENDERS, House

FACILITIES = {one.code: one for one in PLACES}
CARRIERS = {one.code: one for one in SENDERS}


def said(**filters: Any) -> list[str]:
    found = unregistered(Filters.model_validate(filters), FACILITIES, CARRIERS)
    return [f"{one.where} {one.say(language('en'))}" for one in found]


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        (
            {"facilities": ["LAC-USC", "H-HARBR"]},
            "/filters/facilities/1 No hospital or other place with the code H-HARBR is known here."
            " Did you mean H-HARBOR (Harbor-UCLA Medical Center)?",
        ),
        ({"facilities": ["LACUSC"]}, "/filters/facilities/0 … Did you mean LAC-USC (LA General)?"),
        ({"facilities": ["CEDARS"]}, "/filters/facilities/0 … Did you mean H-CEDARS (Cedars-Sinai)?"),
        ({"facilities": ["ZZZZZZ"]}, "/filters/facilities/0 No hospital or other place with the code ZZZZZZ is known here."),
        (
            {"facilities": ["LA-APMT"]},
            "/filters/facilities/0 LA-APMT is a terminal or an airport: name it under terminals.",
        ),
        (
            {"terminals": ["H-HARBOR"]},
            "/filters/terminals/0 H-HARBOR is a hospital: name it there, not under terminals.",
        ),
        ({"terminals": ["LA-APM"]}, "/filters/terminals/0 … Did you mean LA-APMT (APM Terminals Pier 400)?"),
        ({"carriers": ["MAERSK"]}, "/filters/carriers/0 … Did you mean MAEU (Maersk)?"),
        ({"carriers": ["SPDR"]}, "/filters/carriers/0 … Did you mean SPEEDY (Speedy Drayage)?"),
        ({"carriers": ["MAEX"]}, "/filters/carriers/0 … Did you mean MAEU (Maersk)?"),
    ],
)
def test_what_no_register_has_is_told_with_what_may_have_been_meant(filters: dict[str, Any], told: str) -> None:
    where, _, rest = told.partition(" … ")
    (line,) = said(**filters)
    assert line.startswith(where) and line.endswith(rest), line
    name = next(iter(filters))
    assert silent(Filters.model_validate(filters), FACILITIES, CARRIERS) == [f"{name}: {filters[name][-1]}"]


def test_what_is_registered_is_not_and_consignments_and_references_are_never_judged() -> None:
    everything = {"facilities": ["LAC-USC"], "terminals": ["LA-APMT"], "carriers": ["MAEU", "SPEEDY"], "categories": ["gown"]}
    assert said(**everything, consignments=["NO-SUCH-1"], references=["MRSU4371639"]) == []


def test_a_spaniard_is_told_in_spanish() -> None:
    (one,) = unregistered(Filters(facilities=("H-HARBR",)), FACILITIES, CARRIERS)
    assert one.say(language("es")).endswith("¿Quiso decir H-HARBOR (Harbor-UCLA Medical Center)?")


# --- by key


def test_a_key_is_refused_by_filter_and_may_say_that_it_will_be_registered() -> None:
    house = House()
    key = house.key("LACDHS", "alerts")
    body = {"channel": "email", "address": EMAIL, "filters": {"facilities": ["H-HARBR"], "carriers": ["ONEI"]}}
    refused = house.http("POST", "/v1/subscriptions", json=body, headers=key)
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
    errors = refused.json()["errors"]
    assert [(one["where"], one["code"]) for one in errors] == [
        ("/filters/facilities/0", "unregistered"),
        ("/filters/carriers/0", "unregistered"),
    ]
    assert "H-HARBOR" in errors[0]["text"] and "ONEY (Ocean Network Express)" in errors[1]["text"]
    assert house.register.written == [] and "?unregistered=allow" in refused.json()["detail"]
    assert house.http("POST", "/v1/subscriptions?unregistered=yes", json=body, headers=key).status_code == 400
    made = house.http("POST", "/v1/subscriptions?unregistered=allow", json=body, headers=key)
    assert made.status_code == 201
    shown = house.http("GET", made.headers["location"], headers=key).json()
    assert shown["unregistered"] == ["facilities: H-HARBR", "carriers: ONEI"]


def test_what_was_registered_a_moment_ago_is_registered() -> None:
    house = House()
    new = Facility(code="H-NEW", kind="hospital", name="New", zone="America/Los_Angeles")
    house.written_a_moment_ago.append(new)
    body = {"channel": "email", "address": EMAIL, "filters": {"facilities": ["H-NEW"]}}
    made = house.http("POST", "/v1/subscriptions", json=body, headers=house.key("LACDHS", "alerts"))
    assert made.status_code == 201 and "unregistered" not in made.json()


def test_a_change_is_judged_by_what_it_adds() -> None:
    house = House()
    key = house.key("LACDHS", "alerts")
    made = house.subscribed(filters=Filters(facilities=("H-GONE",)))
    where = f"/v1/subscriptions/{made.subscription}"
    assert house.http("PATCH", where, json={"quiet": ["22:00", "06:00"]}, headers=key).status_code == 200
    more = {"filters": {"facilities": ["H-GONE", "H-TYPO"]}}
    refused = house.http("PATCH", where, json=more, headers=key)
    assert refused.status_code == 422 and refused.json()["errors"][0]["where"] == "/filters/facilities/1"
    assert house.http("PATCH", f"{where}?unregistered=allow", json=more, headers=key).status_code == 200


# --- without one


def test_the_page_comes_back_with_what_may_have_been_meant_and_asks_nobody() -> None:
    house = House()
    form = {"channel": "email", "address": EMAIL, "agreed": "yes", "carriers": "maersk, oney", "terminals": "la-apm"}
    page = house.http("POST", "/subscribe", data=form)
    assert page.status_code == 422 and house.register.written == []
    assert "Did you mean MAEU (Maersk)?" in page.text and "Did you mean LA-APMT" in page.text
    assert 'value="MAERSK, ONEY"' in page.text or 'value="maersk, oney"' in page.text, "what was typed stays"
    spanish = house.http("POST", "/subscribe", data=form | {"language": "es"})
    assert "¿Quiso decir MAEU (Maersk)?" in spanish.text
    made = house.http("POST", "/subscribe", data=form | {"carriers": "maeu", "terminals": "la-apmt"})
    assert made.status_code == 200 and len(house.store.all()) == 1


def test_the_page_offers_no_terminal_as_a_hospital() -> None:
    page = House().http("GET", "/subscribe").text
    assert '<option value="LAC-USC"' in page and "LA-APMT" not in page


def test_the_link_of_a_message_is_told_too() -> None:
    house = House()
    made = house.subscribed(filters=Filters(facilities=("LAC-USC",)))
    manage = "/" + house.store.links.manage(made.subscription, house.clock.now()).split("/", 3)[3]
    page = house.http("POST", manage, data={"act": "change", "carriers": "MEAU"})
    assert page.status_code == 422 and "Did you mean MAEU (Maersk)?" in page.text
    assert house.store.get(made.subscription).filters.facilities == ("LAC-USC",)
