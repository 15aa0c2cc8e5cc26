"""The registers' CSV files become records, or an error names row and column."""

from __future__ import annotations

import pytest

from services.ingest.tables import BadTable, read_facilities, read_senders


def test_senders_are_read_with_their_facilities() -> None:
    text = "code,kind,name,scac,iata,awb_prefix,facilities,source\nLA-APMT,terminal,APM Terminals,,,,LA-APMT;LB-X,the port\n"
    (sender,) = read_senders(text)
    assert sender.facilities == ("LA-APMT", "LB-X")
    assert sender.scac is None


def test_mailboxes_are_read_in_capitals() -> None:
    (sender,) = read_senders("code,kind,name,edi_ids\nHARBOR,trucker,Harbor Line,zz:HLINE; 5551;\n")
    assert sender.edi_ids == ("ZZ:HLINE", "5551")


def test_facilities_are_read_with_empty_cells_as_unknown() -> None:
    text = (
        "\ufeffcode,kind,name,unlocode,iata,zone,street,city,postal_code,gln,smdg,free_time_h,source\n"
        "H-HARBOR,hospital,Harbor-UCLA,USTOR,,America/Los_Angeles,1000 W Carson St,Torrance,90502,,,96,\n"
    )
    (facility,) = read_facilities(text)
    assert (facility.code, facility.free_time_h, facility.gln) == ("H-HARBOR", 96, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("code,kind\nA,terminal\n", "missing column name"),
        ("code,kind,name,colour\nA,terminal,A,red\n", "unknown column colour"),
        ("code,kind,name\nA,castle,A\n", "row 2, column kind"),
        ("code,kind,name\nA,terminal,A\nA,terminal,B\n", "row 3: A stands twice"),
        ("code,kind,name,edi_ids\nA,terminal,A,ZZ:A:B\n", "row 2, column edi_ids"),
        ("code,kind,name\nA,terminal,A,more\n", "row 2: more cells"),
    ],
)
def test_a_bad_table_says_where(text: str, says: str) -> None:
    with pytest.raises(BadTable, match=says):
        read_senders(text)
