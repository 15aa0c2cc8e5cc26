"""The way in's means, for the console's door: one way to check a key, one shape of refusal, one bound on connections, one way
to tell which zone a port keeps.

The only module of the console that knows the way in, as alerts/gate.py is of the alerts (docs/decisions/0030, 0040).
"""

from __future__ import annotations

from services.ingest.auth import Caller, by_key
from services.ingest.body import Budget, Held
from services.ingest.connections import bounded
from services.ingest.limits import Bucket
from services.ingest.places import zone_of_code, zone_of_unlocode
from services.ingest.problems import KINDS, MEDIA_TYPE, Place, Problem

__all__ = (
    "KINDS",
    "MEDIA_TYPE",
    "Bucket",
    "Budget",
    "Caller",
    "Held",
    "Place",
    "Problem",
    "bounded",
    "by_key",
    "zone_of_code",
    "zone_of_unlocode",
)
