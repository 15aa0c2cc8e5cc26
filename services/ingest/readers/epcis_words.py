"""The Core Business Vocabulary of EPCIS 2.0, and the forms in which its words come.

A word comes bare (`receiving`), as a compact URI (`cbv:BizStep-receiving`, or with a prefix of the document's own), as a URN
(`urn:epcglobal:cbv:bizstep:receiving`) or as a web URI (`https://ref.gs1.org/cbv/BizStep-receiving`). Contexts that a document
only points to are never fetched: what GS1's own context defines is known here. Source: CBV 2.0, and GS1's JSON-LD contexts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

CBV: Final = "https://ref.gs1.org/cbv/"
VOC: Final = "https://gs1.org/voc/"
_PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {"cbv": CBV, "gs1": VOC, "epcis": "https://ref.gs1.org/epcis/", "cbvmda": "urn:epcglobal:cbv:mda:"}
)
_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    # the part of a web URI, the part of a URN
    {"BizStep": "bizstep", "Disp": "disp", "BTT": "btt", "SDT": "sdt", "ER": "er", "Comp": "comp"}
)


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


BIZ_STEPS: Final = words(
    """accepting arriving assembling collecting commissioning consigning creating_class_instance cycle_counting
    decommissioning departing destroying disassembling dispensing encoding entering_exiting holding inspecting installing
    killing loading other packing picking receiving removing repackaging repairing replacing reserving retail_selling sampling
    sensor_reporting shipping staging_outbound stock_taking stocking storing transporting unloading unpacking void_shipping"""
)
DISPOSITIONS: Final = words(
    """active available completeness_verified completeness_inferred conformant container_closed container_open damaged
    destroyed dispensed disposed encoded expired in_progress in_transit inactive mismatch_instance mismatch_class
    mismatch_quantity needs_replacement no_pedigree_match non_conformant non_sellable_other partially_dispensed recalled
    reserved retail_sold returned sellable_accessible sellable_not_accessible stolen unavailable unknown"""
)
_BARE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "BizStep": BIZ_STEPS,
        "Disp": DISPOSITIONS,
        "BTT": words("bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt"),
        "SDT": words("owning_party possessing_party location"),
        "ER": words("did_not_occur incorrect_data"),
        "Comp": words(
            """x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting northing latitude
            longitude altitude"""
        ),
    }
)


class Vocabulary:
    """Expands words and member names by the prefixes that a document itself defines, and those of GS1's context."""

    def __init__(self, *contexts: Any) -> None:
        self._prefixes = dict(_PREFIXES)
        for context in contexts:
            for prefix, uri in _defined(context):
                self._prefixes[prefix] = uri

    def uri(self, text: str) -> str:
        """A compact URI in full; anything else as it is."""
        prefix, colon, rest = text.partition(":")
        found = self._prefixes.get(prefix) if colon and not rest.startswith("//") else None
        return text if found is None else found + rest

    def word(self, kind: str, text: str) -> str:
        """A word of the vocabulary as web URI (kind: `BizStep`, `Disp`, `BTT`, `SDT`, `ER`, `Comp`); others as full URI."""
        if text in _BARE[kind]:
            return f"{CBV}{kind}-{text}"
        uri = self.uri(text.strip())
        urn = f"urn:epcglobal:cbv:{_KINDS[kind]}:"
        return f"{CBV}{kind}-{uri.removeprefix(urn)}" if uri.startswith(urn) else uri

    def short(self, kind: str, text: str) -> str:
        """A word of the vocabulary bare, another's as full URI. Capitals, which some write, make no other word of it."""
        uri = self.word(kind, text)
        web = (f"{CBV}{kind}-", f"http{CBV.removeprefix('https')}{kind}-", f"https://ns.gs1.org/cbv/{kind}-")
        for start in (*web, f"urn:epcglobal:cbv:{_KINDS[kind]}:"):
            if uri[: len(start)].lower() == start.lower():
                bare = uri[len(start) :]
                return bare.lower() if bare.lower() in _BARE[kind] else bare
        return uri.lower() if uri.lower() in _BARE[kind] else uri

    def name(self, key: str) -> str:
        """The name of a member of somebody's own as the event hash writes it: `{namespace}local`."""
        prefix, colon, local = key.partition(":")
        found = self._prefixes.get(prefix) if colon else None
        return key if found is None else f"{{{found}}}{local}"


def _defined(context: Any) -> Iterator[tuple[str, str]]:
    parts: Sequence[Any] = context if isinstance(context, list) else [context]
    for part in parts:
        if isinstance(part, dict):
            for prefix, uri in part.items():
                if isinstance(uri, str) and not prefix.startswith("@"):
                    yield prefix, uri
