"""The fold on Quix Streams, exactly once: `python peer.py BOOTSTRAP TOPIC OUT GROUP STATE_FOLDER`, with fold.py beside it.

Tuned: bytes in and out, state as one msgpack value in its RocksDB, a commit a second, lz4.
"""

import sys

import msgspec
from fold import apply, output
from quixstreams import Application, State


class Event(msgspec.Struct, gc=False):
    id: str
    revision: int
    milestone: int


decode = msgspec.json.Decoder(Event).decode
decode_state = msgspec.msgpack.Decoder(dict[str, tuple[int, int]]).decode
encode_state = msgspec.msgpack.Encoder().encode


def fold(value: bytes, key: bytes, timestamp: int, headers: object, state: State) -> bytes | None:
    """One event: what is said of its consignment, or nothing."""
    event = decode(value)
    kept = state.get_bytes("s")
    known = decode_state(kept) if kept is not None else {}
    if not apply(known, event.id, event.revision, event.milestone):
        return None
    state.set_bytes("s", encode_state(known))
    return output(key.decode(), known)


def main() -> None:
    bootstrap, topic, out, group, folder = sys.argv[1:]
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        state_dir=folder,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=1.0,
        producer_extra_config={"compression.type": "lz4"},
        loglevel="WARNING",
    )
    source = app.topic(topic, value_deserializer="bytes", key_deserializer="bytes")
    target = app.topic(out, value_serializer="bytes", key_serializer="bytes")
    stream = app.dataframe(source).apply(fold, stateful=True, metadata=True)
    stream.filter(lambda said: said is not None).to_topic(target)
    app.run()


if __name__ == "__main__":
    main()
