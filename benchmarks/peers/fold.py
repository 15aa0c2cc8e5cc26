"""The fold that every peer runs alike, small enough to be written the same in Java and in each framework's own manner.

An event is 387 bytes of JSON; the fold reads its "id", "revision" and "milestone" (0 to 11), the key is the consignment. Of a
consignment is kept: for each event id the greatest revision, and of that revision its milestone. An event whose id is known
with the same or a greater revision changes nothing and has no output. Any other gives one output, keyed by consignment:
{"c": consignment, "n": distinct ids, "m": the greatest milestone, "s": the sum over ids of hash(id) * (revision + 1)}, which
depends on the set of events only, so that the last output of each consignment is the same for every right implementation.

Standard library only: the peers' environments import it (Java has it again, in FoldPeer.java).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator

MODULUS = 1 << 52
EVENT_BYTES = 387
REPEATS_IN = 33  # one record in so many is a repeat of an earlier one
REVISED_IN = 50  # one event in so many comes in a second revision

State = dict[str, tuple[int, int]]
"""Event id -> (revision, milestone)."""


def apply(state: State, event_id: str, revision: int, milestone: int) -> bool:
    """Takes an event in; false if nothing changes."""
    known = state.get(event_id)
    if known is not None and known[0] >= revision:
        return False
    state[event_id] = (revision, milestone)
    return True


def output(consignment: str, state: State) -> bytes:
    """What is said of a consignment after a change."""
    total = sum(zlib.crc32(event_id.encode()) * (revision + 1) for event_id, (revision, _) in state.items()) % MODULUS
    most = max(milestone for _, milestone in state.values())
    return b'{"c":"%b","n":%d,"m":%d,"s":%d}' % (consignment.encode(), len(state), most, total)


def events(count: int, consignments: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of `count` records, repeats and revisions among them; the same on every machine."""
    latest: list[tuple[bytes, bytes]] = []
    for n in range(count):
        if n % REPEATS_IN == 7 and latest:
            yield latest[n % len(latest)]
            continue
        revised = n % REVISED_IN == 11 and n > consignments
        base = n - consignments if revised else n
        number = base * 7919 % consignments
        key = f"LACDHS-{number:07d}"
        fields = {
            "id": hashlib.md5(str(base).encode(), usedforsecurity=False).hexdigest(),
            "revision": 2 if revised else 1,
            "consignment": key,
            "milestone": base // consignments % 12,
            "at": 1_760_000_000_000 + base * 1_000,
            "sender": "MAEU",
            "references": [{"kind": "container", "value": f"MRSU{number:07d}"}, {"kind": "bill", "value": f"B{number:08d}"}],
            "place": "USLAX",
            "note": "",
        }
        bare = json.dumps(fields, separators=(",", ":"))
        fields["note"] = "x" * max(0, EVENT_BYTES - len(bare))
        pair = (key.encode(), json.dumps(fields, separators=(",", ":")).encode())
        if len(latest) < 1_000:
            latest.append(pair)
        else:
            latest[n % 1_000] = pair
        yield pair


def expected(records: Iterable[tuple[bytes, bytes]]) -> tuple[int, str]:
    """(how many outputs, the final state's hash) by the plainest way."""
    states: dict[str, State] = {}
    outputs = 0
    for key, value in records:
        event = json.loads(value)
        outputs += apply(states.setdefault(key.decode(), {}), event["id"], event["revision"], event["milestone"])
    return outputs, final_hash({name.encode(): output(name, state) for name, state in states.items()})


def final_hash(last: dict[bytes, bytes]) -> str:
    """Over the last output of each consignment."""
    return hashlib.sha256(b"\n".join(key + b" " + last[key] for key in sorted(last))).hexdigest()
