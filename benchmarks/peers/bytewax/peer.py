"""The fold on Bytewax: `python peer.py BOOTSTRAP TOPIC OUT STATE_FOLDER`, with fold.py beside it. At least once.

One worker, as ours; recovery on, a snapshot a second into its SQLite store, for without it there is no state after a crash.
"""

import sys
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main
from fold import apply, output


class Event(msgspec.Struct, gc=False):
    id: str
    revision: int
    milestone: int


decode = msgspec.json.Decoder(Event).decode


def fold(state: dict | None, given: tuple[str, bytes]) -> tuple[dict, KafkaSinkMessage | None]:
    """One event: the state, and what is said of its consignment."""
    key, value = given
    known = state if state is not None else {}
    event = decode(value)
    if not apply(known, event.id, event.revision, event.milestone):
        return known, None
    return known, KafkaSinkMessage(key.encode(), output(key, known))


def keyed(message: object) -> tuple[str, tuple[str, bytes]]:
    key = message.key.decode()
    return key, (key, message.value)


def main() -> None:
    bootstrap, topic, out, folder = sys.argv[1:]
    store = Path(folder)
    store.mkdir(parents=True, exist_ok=True)
    init_db_dir(store, 1)
    flow = Dataflow("fold")
    read = kop.input("in", flow, brokers=[bootstrap], topics=[topic], batch_size=5_000)
    folded = op.stateful_map("fold", op.map("key", read.oks, keyed), fold)
    said = op.filter_map("said", folded, lambda pair: pair[1])
    kop.output("out", said, brokers=[bootstrap], topic=out, add_config={"compression.type": "lz4"})
    cluster_main(flow, [], 0, epoch_interval=timedelta(seconds=1), recovery_config=RecoveryConfig(str(store)))


if __name__ == "__main__":
    main()
