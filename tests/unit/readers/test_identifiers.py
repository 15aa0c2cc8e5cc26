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


@pytest.mark.parametrize(
    ("owner", "number", "digit", "joined"),
    [
        ("MRSU", "437163", "9", ("MRSU4371639", False)),
        ("mrsu", "437163", "", ("MRSU4371639", True)),
        ("MRSU", "4371639", "", ("MRSU4371639", False)),
        ("MRSU", "4371639", "9", ("MRSU4371639", False)),
        ("MRSU", "437163", "8", ("MRSU4371638", False)),
        ("MRSU", "437163", "x", ("MRSU4371639", True)),
        ("MRSU", "437-163", "9", ("MRSU4371639", False)),
        ("UTLX", "290344", "", None),
        ("TTX", "604321", "", None),
        ("MRSU", "43716", "9", None),
        ("MRSU", "43716399", "", None),
        ("MRSU", "４３７１６３", "9", None),
        ("", "", "", None),
    ],
)
def test_a_container_in_fields_of_its_own(owner: str, number: str, digit: str, joined: tuple[str, bool] | None) -> None:
    assert identifiers.join_container(owner, number, digit) == joined


@pytest.mark.parametrize("value", ["09521321123458", "9521321000018", "395213210000000033", "95200002", "036000291452"])
def test_the_last_digit_of_gs1_keys_is_modulo_ten(value: str) -> None:
    assert identifiers.gs1_check_holds(value)
    assert not any(identifiers.gs1_check_holds(value[:-1] + digit) for digit in "0123456789" if digit != value[-1])


def test_parts_of_an_epc_give_the_gs1_key() -> None:
    assert identifiers.gtin_of_epc("9521321", "012345") == "09521321123458"
    assert identifiers.sscc_of_epc("9521321", "3000000003") == "395213210000000033"
    assert identifiers.gln_of_epc("9521321", "00001") == "9521321000018"
    assert identifiers.gtin_of_epc("9521321", "12345") is None
    assert identifiers.gtin_of_epc("952132x", "012345") is None


@pytest.mark.parametrize(
    ("gtin", "lot", "reference"),
    [
        ("09521321123458", "LOT7", "09521321123458.LOT7"),
        ("9521321123458", "a/1", "09521321123458.a/1"),
        ("036000291452", "7", "00036000291452.7"),
        ("0360002914521234", "7", None),
        ("09521321123458", "", None),
        ("09521321123458", "x" * 21, None),
        ("09521321123458", "a b", None),
        ("09521321123458", "é", None),
    ],
)
def test_a_lot_is_known_by_its_gtin(gtin: str, lot: str, reference: str | None) -> None:
    assert identifiers.gtin_lot(gtin, lot) == reference


@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [
        ("container", "MRSU4371639", None),
        ("container", "MRSU4371638", "container MRSU4371638 should end in 9; kept as sent"),
        ("container", "FREE TEXT", None),
        ("air_waybill", "020-12345675", None),
        ("air_waybill", "020-12345676", "air waybill 020-12345676 should end in 5; kept as sent"),
        ("sscc", "395213210000000033", None),
        ("sscc", "395213210000000034", "SSCC 395213210000000034 should end in 3; kept as sent"),
        ("gtin_lot", "09521321123458.A", None),
        ("gtin_lot", "09521321123450.A", "GTIN 09521321123450 should end in 8; kept as sent"),
        ("gln", "9521321000018", None),
        ("gln", "9521321000010", "GLN 9521321000010 should end in 8"),
        ("bill_of_lading", "MAEU1", None),
    ],
)
def test_a_wrong_digit_is_a_sentence_and_no_reason_to_reject(kind: str, value: str, wrong: str | None) -> None:
    assert identifiers.doubt(kind, value) == wrong


@pytest.mark.parametrize("value", ["1234567", "0000000", "5555555", "9999999"])
def test_placeholders_of_ships_are_known_even_where_their_digit_holds(value: str) -> None:
    assert identifiers.is_placeholder("imo", value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("pro_number", "N/A"),
        ("pro_number", "0"),
        ("pro_number", "X"),
        ("pro_number", "7"),
        ("pro_number", "-"),
        ("pro_number", "n.a."),
        ("bill_of_lading", "UNKNOWN"),
        ("bill_of_lading", "Not available"),
        ("booking", "TBA"),
        ("booking", "to be advised"),
        ("booking", "999999999"),
        ("air_waybill", "000-00000000"),
        ("air_waybill", "020-00000000"),
        ("uld", "NONE"),
        ("container", "N/A"),
        ("rail_car", "0000"),
        ("voyage", "9321483/TBA"),
        ("voyage", "9321483/000"),
    ],
)
def test_a_filler_is_no_number_that_could_tie_strangers_together(kind: str, value: str) -> None:
    assert identifiers.is_placeholder(kind, identifiers.normalise(kind, value))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("pro_number", "NA1234"),
        ("pro_number", "1001"),
        ("bill_of_lading", "UNKO7"),
        ("booking", "TBA204"),
        ("air_waybill", "020-12345675"),
        ("air_waybill", "000-12345675"),
        ("container", "MRSU4371639"),
        ("voyage", "9321483/1"),
        ("voyage", "9321483/015E"),
        ("consignment", "7"),
        ("seal", "0"),
        ("purchase_order", "1"),
    ],
)
def test_a_short_or_strange_number_is_still_a_number(kind: str, value: str) -> None:
    assert not identifiers.is_placeholder(kind, identifiers.normalise(kind, value))


@pytest.mark.parametrize("written", ["9321483", "IMO9321483", "IMO 9321483", "imo:9321483"])
def test_an_imo_number_may_be_written_with_its_letters(written: str) -> None:
    assert identifiers.bare_imo(written) == "9321483"


@pytest.mark.parametrize(
    ("code", "whose"),
    [
        ("HBRT", "carrier"),
        ("MRSU", "container owner"),
        ("UTLX", "rail car owner"),
        ("MAEZ", "chassis owner"),
        ("TTX", "carrier"),
        ("UP", "carrier"),
    ],
)
def test_the_last_letter_of_a_scac_tells_whose_it_is(code: str, whose: str) -> None:
    assert identifiers.scac_names(code) == whose


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("N95 RESPIRATOR TC-84A-1234 WHITE", ("TC-84A-1234", True)),
        ("tc-84a-1234", ("TC-84A-1234", True)),
        ("TC-84A-12", ("TC-84A-12", False)),
        ("TC-21C-132", ("TC-21C-132", False)),
        ("TC-84A-12345", ("TC-84A-12345", False)),
        ("N95 TC84A-1234", ("TC84A-1234", False)),
        ("TC 84A 1234", ("TC 84A 1234", False)),
        ("TC 40 CASES", None),
        ("NIOSH APPROVED", None),
    ],
)
def test_an_approval_number_of_niosh_is_found_in_a_text(text: str, found: tuple[str, bool] | None) -> None:
    assert identifiers.niosh_approval(text) == found
