"""JSON that wraps another message as text (`messageRaw`): the message inside is read, positions say where it stood.

The fields beside it are somebody's retelling of it and are not read: where the two differ, the sender's own words count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from schemas.shipment_event_v1 import Warning_
from services.ingest.legible import shown
from services.ingest.readers.draft import Bad
from services.ingest.readers.json_items import Item, json_items
from services.ingest.readers.model import LIMITS, Context, Envelope, Statements, Told, Unreadable, Verdict
from services.ingest.readers.strict_json import pointer

STANDARD: Final = "wrapped"
FIELD: Final = "messageRaw"

_HELD_BYTES: Final = 16 * 1024  # of a wrapped message: its events are some 1 MB at most
_LEVELS: Final[dict[str, str]] = {"UNOC": "latin-1"}


def looks_like(value: object) -> bool:
    """Whether this object wraps a message."""
    return isinstance(value, dict) and isinstance(value.get(FIELD), str)


def messages(content: bytes) -> Sequence[tuple[str, bytes]]:
    """The messages that JSON wraps, each with the pointer that its places begin with; none where `content` wraps nothing."""
    if content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"["):
        return []
    try:
        items = json_items(content, None, LIMITS)
    except Unreadable:
        return []
    return [(pointer(item.position, FIELD), _bytes(item.value[FIELD])) for item in items if looks_like(item.value)]


def read(items: Sequence[Item], context: Context, inner: Callable[[bytes, Context], Statements]) -> Told:
    """The verdicts of all messages that the items wrap; `inner` reads one that is not wrapped itself.

    One that cannot be read costs itself. The standard is that of the first that can. Raises Unreadable (`too_many_events`).
    """
    told = 0
    warnings: list[Warning_] = []
    standard = ""
    for item in items:
        if told > LIMITS.events:
            raise Unreadable("too_many_events", "", f"more than {LIMITS.events} events; send several messages")
        try:
            verdicts, envelope = _readable(_inside(item), context, inner)
        except Bad as bad:
            told += 1
            yield item.refused(bad)
            continue
        except Unreadable as error:
            where = pointer(item.position, FIELD)
            payload = str(item.value[FIELD]).encode("utf-8", "replace")
            told += 1
            yield Bad(error.code, f"{where} {error.where}".strip(), error.text).verdict(where, payload)
            continue
        prefix = f"{pointer(item.position, FIELD)} "
        standard = standard or envelope.standard
        warnings += [_moved(warning, prefix) for warning in envelope.warnings]
        for verdict in verdicts:
            told += 1
            yield _placed(verdict, prefix)
    return Envelope(standard or STANDARD, tuple(warnings[:64]))


def _inside(item: Item) -> bytes:
    """The message that is wrapped. Raises Bad."""
    if item.problem is not None:
        raise Bad(item.problem.code, item.problem.where, item.problem.text)
    if not looks_like(item.value):
        raise Bad("missing_field", item.position, f"{FIELD} with the message as text is required beside others that have it")
    return _bytes(item.value[FIELD])


def _readable(
    content: bytes, context: Context, inner: Callable[[bytes, Context], Statements]
) -> tuple[Iterable[Verdict], Envelope]:
    """What a message says of which nothing counts unless all of it can be read. Raises Unreadable.

    A long one is read twice: so its events need not be held until that is known.
    """
    told = inner(content, context)
    if len(content) <= _HELD_BYTES:
        return list(told), told.envelope
    for _ in told:
        pass
    return inner(content, context), told.envelope


def _bytes(text: str) -> bytes:
    """The message as bytes again: in the character set that its UNB names, where it can be, as it was before it was wrapped."""
    at = text.find("UNB", 0, 64)
    level = text[at + 4 : at + 8] if at >= 0 else ""
    try:
        return text.encode(_LEVELS.get(level, "utf-8"))
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _placed(verdict: Verdict, prefix: str) -> Verdict:
    """The verdict with its places inside the wrapper."""
    position = shown(prefix + verdict.position)
    if verdict.problem is not None:
        problem = verdict.problem
        first, *more = [replace(one, where=prefix + one.where if one.where else position) for one in problem.every]
        warnings = tuple([_moved(warning, prefix) for warning in problem.warnings])
        return Verdict(position, problem=replace(first, more=tuple(more), warnings=warnings))
    if verdict.event is None:
        return Verdict(position, asked=verdict.asked)
    event = verdict.event
    moved = {
        "raw": event.raw.model_copy(update={"position": position}),
        "warnings": tuple(_moved(warning, prefix) for warning in event.warnings),
    }
    return Verdict(position, event.model_copy(update=moved))


def _moved(warning: Warning_, prefix: str) -> Warning_:
    return warning.model_copy(update={"where": shown(prefix + warning.where)})
