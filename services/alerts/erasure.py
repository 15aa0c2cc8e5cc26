"""Makes Kafka forget an address at once that was removed from `subscriptions.v1`.

A tombstone hides an address; the address itself stays in the topic's files until compaction, which Kafka does when it likes
(within a day or so, as the topic table says). Here it is made to do so now: the topic gets the settings of a hurry, one record
more closes the segment that is written, and it is done when the topic, read from its beginning, holds no record of that keyed
hash any more. Then the settings are put back.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs import these names without exporting them
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from schemas.topics import SUBSCRIPTIONS
from services.alerts.acts import NO_ONE
from services.runtime import kafka
from services.runtime.progress import Progress, silent
from services.runtime.register import write
from services.runtime.restore import restore
from services.runtime.settings import Settings
from services.runtime.sources import Record

_HURRY = {
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.0001",
    "max.compaction.lag.ms": "1",
    "min.compaction.lag.ms": "0",
    "file.delete.delay.ms": "1000",
}
_ASK_AGAIN_S = 1.0
_DELETED_AFTER_S = 2.0  # file.delete.delay.ms, and a moment


class NotErased(Exception):
    """Kafka has not compacted in time; it will within a day. The text says so."""


def erase(settings: Settings, address_hash: str, within_s: float = 120.0, progress: Progress = silent) -> None:
    """Return when the topic's files hold no record of this address any more; raises NotErased, KafkaException, TimeoutError.

    Its subscriptions must have their tombstones already (Store.forget). Harmless to repeat.
    """
    producer = kafka.producer(settings, "lovla-erasure")
    with kafka.admin(settings.kafka) as admin:
        try:
            _configure(admin, _HURRY)
            began = time.monotonic()
            while True:
                write(producer, SUBSCRIPTIONS.name, NO_ONE, None)  # closes the segment that was written
                if not _holds(settings, address_hash):
                    break
                waited_s = time.monotonic() - began
                progress("Kafka compacts", int(waited_s), int(within_s))
                if waited_s > within_s:
                    raise NotErased(
                        f"{SUBSCRIPTIONS.name} still holds it after {within_s:.0f} s; Kafka compacts within a day. "
                        "Nothing is sent to the address meanwhile; run this again to make sure."
                    )
                time.sleep(_ASK_AGAIN_S)
            time.sleep(_DELETED_AFTER_S)
        finally:
            _configure(admin, SUBSCRIPTIONS.config(), besides=_HURRY)


def _configure(admin: AdminClient, settings: dict[str, str], besides: Collection[str] = ()) -> None:
    """Set these; and give up those of `besides` that are not among them."""
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()]
    entries += [
        ConfigEntry(name, None, incremental_operation=AlterConfigOpType.DELETE) for name in besides if name not in settings
    ]
    resource = ConfigResource(ResourceType.TOPIC, SUBSCRIPTIONS.name, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(timeout=30)


def _holds(settings: Settings, address_hash: str) -> bool:
    """Whether a record of the address is still read from the topic."""
    found: list[int] = []

    def look(record: Record) -> None:
        if record.value is not None and address_hash.encode() in record.value:
            found.append(record.offset)

    restore(settings, SUBSCRIPTIONS.name, 0, look)
    return bool(found)
