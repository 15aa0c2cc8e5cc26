"""Identifiers: one way to write them, and whether their check digits hold."""

from __future__ import annotations

import pytest

from services.ingest import identifiers


@pytest.mark.parametrize(
    ("kind", "sent", "written"),
    [
        ("container", "mrsu 437163-9", "MRSU4371639"),
        ("air_waybill", "02012345675", "020-12345675"),
        ("air_waybill", "020 1234 5675", "020-12345675"),
        ("air_waybill", "020-12345675", "020-12345675"),
        ("air_waybill", "H-12", "H-12"),
        ("bill_of_lading", " maeu 203990011 ", "MAEU203990011"),
        ("voyage", "9321483 / 015e", "9321483/015E"),
        ("consignment", "LACDHS-po/17a ", "LACDHS-po/17a"),
        ("gtin_lot", "095200000000.Lot7", "095200000000.Lot7"),
        ("sscc", "(00)395200000000000017", "395200000000000017"),
        ("sscc", "00395200000000000017", "395200000000000017"),
        ("uld", "AKE 12345 LH", "AKE12345LH"),
    ],
)
def test_references_are_written_one_way(kind: str, sent: str, written: str) -> None:
    assert identifiers.normalise(kind, sent) == written
    assert identifiers.normalise(kind, written) == written


def test_the_check_digit_of_a_container_is_that_of_iso_6346() -> None:
    assert identifiers.container_check_holds("MRSU4371639")
    assert not identifiers.container_check_holds("MRSU4371638")
    assert identifiers.container_check_digit("CSQU305438") == "3"


@pytest.mark.parametrize("value", ["UTLX290344", "MRSA4371639", "MRSU437163", "MRSU43716399"])
def test_rail_cars_and_fragments_are_no_containers(value: str) -> None:
    assert not identifiers.is_container(value)


def test_the_last_digit_of_an_air_waybill_is_modulo_seven() -> None:
    assert identifiers.air_waybill_check_holds("020-12345675")
    assert not identifiers.air_waybill_check_holds("020-12345676")


@pytest.mark.parametrize("value", ["9321484", "932148", "IMO9321", "９３２１４８３", ""])
def test_what_is_no_imo_number_is_not_taken_for_one(value: str) -> None:
    assert identifiers.imo_check_holds("9321483")
    assert not identifiers.imo_check_holds(value)


def test_the_example_number_of_the_specifications_is_known_although_its_check_digit_holds() -> None:
    assert identifiers.imo_check_holds("1234567")
    assert identifiers.is_placeholder("imo", "1234567")


@pytest.mark.parametrize("value", ["", "a b", "é", "x" * 65, "a\x00"])
def test_a_reference_is_short_and_printable(value: str) -> None:
    assert not identifiers.is_reference_value(value)
