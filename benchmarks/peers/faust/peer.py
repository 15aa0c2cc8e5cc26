"""The fold on Faust with a table: `python peer.py BOOTSTRAP TOPIC OUT GROUP STATE_FOLDER`, with fold.py beside it.

At least once. Tuned: raw bytes, msgspec, the table in memory with its changelog, no web server, lz4.
"""

import sys

import faust
import msgspec
from fold import apply, output


class Event(msgspec.Struct, gc=False):
    id: str
    revision: int
    milestone: int


decode = msgspec.json.Decoder(Event).decode


def main() -> None:
    bootstrap, source, target, group, folder = sys.argv[1:]
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=folder,
        topic_partitions=4,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        producer_compression_type="lz4",
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=32_768,
        broker_commit_interval=1.0,
        autodiscover=False,
    )
    topic = app.topic(source, key_serializer="raw", value_serializer="raw", partitions=4)
    out = app.topic(target, key_serializer="raw", value_serializer="raw", partitions=4)
    table = app.Table("states", default=dict, partitions=4, key_type=str)

    @app.agent(topic)
    async def fold(stream: object) -> None:
        async for key, value in stream.items():
            event = decode(value)
            name = key.decode()
            known = dict(table[name])
            if apply(known, event.id, event.revision, event.milestone):
                table[name] = known
                await out.send(key=key, value=output(name, known))

    sys.argv[1:] = ["worker", "--loglevel", "warn", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
