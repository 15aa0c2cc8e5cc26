"""The way in's means, for the alerts' door: one way to check a key, one shape of refusal, one bound on bodies and connections.

The only module of the alerts that knows the way in (docs/decisions/0030); everything else here talks through topics.
"""

from __future__ import annotations

from services.ingest.auth import Caller, by_key
from services.ingest.body import Budget, Held, media_type
from services.ingest.connections import bounded
from services.ingest.idempotency import key_in
from services.ingest.limits import Bucket
from services.ingest.problems import KINDS, MEDIA_TYPE, Place, Problem, places_of
from services.ingest.readers import Unreadable
from services.ingest.readers.strict_json import parse_narrow

__all__ = (
    "KINDS",
    "MEDIA_TYPE",
    "Bucket",
    "Budget",
    "Caller",
    "Held",
    "Place",
    "Problem",
    "Unreadable",
    "bounded",
    "by_key",
    "key_in",
    "media_type",
    "parse_narrow",
    "places_of",
)
