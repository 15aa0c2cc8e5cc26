"""The same fold on our loop: `python -m benchmarks.peers.ours TRANSACTIONAL_ID TOPIC OUT CHANGELOG GROUP fold|bare`.

`fold`: state in memory, one output an event, one changelog record a changed consignment and batch, offsets: one transaction.
`bare`: consume and produce, no decoding and no state: the ceiling of client and broker in Python.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import msgspec

from benchmarks.peers.fold import State, apply, output
from services.runtime.loop import AssignedSource, Limits, Output, Record, TransactionalLoop
from services.runtime.settings import Settings


class Event(msgspec.Struct, gc=False):
    """What the fold needs of an event."""

    id: str
    revision: int
    milestone: int


class Fold:
    """The stage: an overlay of copied states, merged when the batch is committed."""

    def __init__(self, out: str, changelog: str) -> None:
        self._out, self._changelog = out, changelog
        self._states: dict[bytes, State] = {}
        self._new: dict[bytes, State] = {}
        self._decode = msgspec.json.Decoder(Event).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        states, out, decode = self._states, self._out, self._decode
        new: dict[bytes, State] = {}
        outputs: list[Output] = []
        for record in batch:
            key = record.key or b""
            event = decode(record.value or b"")
            state = new.get(key)
            if state is None:
                state = new[key] = dict(states.get(key, ()))
            if apply(state, event.id, event.revision, event.milestone):
                outputs.append(Output(out, key, output(key.decode(), state)))
        outputs += [Output(self._changelog, key, self._encode(state)) for key, state in new.items()]
        self._new = new
        return outputs

    def committed(self) -> None:
        self._states.update(self._new)

    def aborted(self) -> None:
        self._new = {}


class Bare:
    """Passes each value on."""

    def __init__(self, out: str) -> None:
        self._out = out

    def process(self, batch: Sequence[Record]) -> Sequence[Output]:
        return [Output(self._out, record.key, record.value) for record in batch]

    def committed(self) -> None:
        """Nothing to merge."""

    def aborted(self) -> None:
        """Nothing to drop."""


def main() -> None:
    """Until ended from outside."""
    name, topic, out, changelog, group, kind = sys.argv[1:]
    settings = Settings.load()
    stop = threading.Event()
    stage = Fold(out, changelog) if kind == "fold" else Bare(out)
    source = AssignedSource(settings, [topic], group, Limits(), with_headers=False)
    loop = TransactionalLoop(settings, name="bench", transactional_id=name, source=source, stage=stage)
    loop.start(stop)
    loop.run(stop)


if __name__ == "__main__":
    main()
