"""The readers: from the bytes of any standard to shipment events. See README.md beside this file."""

from services.ingest.readers.body import decode_body
from services.ingest.readers.model import LIMITS, Context, Limits, Problem, Reading, Registers, Unreadable, Verdict

__all__ = [
    "LIMITS",
    "Context",
    "Limits",
    "Problem",
    "Reading",
    "Registers",
    "Unreadable",
    "Verdict",
    "decode_body",
]
