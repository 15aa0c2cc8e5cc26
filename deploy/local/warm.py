"""Kafka's classes, loaded and linked ahead of time: a broker is then up in a third of the CPU time (JEP 483, 514; Java 25).
With them what Kafka's tool writes into a new data folder, so that it need not run for the next.

`make setup` lets a broker run once in a folder of its own, and Java writes what it had to load into the virtual environment.
Every later start maps that file. Its name says for which Java and which jars it was made, so a change of either does without
until the next set-up; a damaged file is passed over by Java itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local import jars
from deploy.local.errors import StackError

READY_S = 120
WRITTEN_S = 120  # Java links and writes when the broker ends: some 5 s on a quiet machine
TOLD_EVERY_S = 10.0
ADVICE = "nothing is missing without it, and the next `make setup` tries it again"
CHECKPOINT = "bootstrap.checkpoint"
TRAINING = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def archive(java: str) -> Path:
    """Where the classes of this Java and these jars are kept."""
    executable = Path(java).resolve()
    stat = executable.stat()
    made_for = f"{executable} {stat.st_size} {stat.st_mtime_ns} {jars.cache()}".encode() + jars.LOCK.read_bytes()
    return Path(sys.prefix) / f"kafka-{hashlib.sha256(made_for).hexdigest()[:16]}.aot"


def checkpoint(java: str) -> Path:
    """What every data folder begins with (levels of Kafka's features, nothing of one cluster), as Kafka's own tool wrote it."""
    return archive(java).with_suffix(".checkpoint")


def options(java: str) -> list[str]:
    """What to tell Java; nothing where there is no such file."""
    file = archive(java)
    return [f"-XX:AOTCache={file}"] if file.exists() else []


def make(java: str) -> None:
    """Lets a broker run, work a little and end.

    Raises:
        StackError: it does not start, or Java wrote nothing (one older than 25 cannot).
    """
    from deploy.local import part, process
    from deploy.local.kafka import KafkaServer

    file = archive(java)
    with tempfile.TemporaryDirectory(prefix="lovla-warm-") as folder, _draft(file) as draft:
        port, controller_port = process.free_ports(2)
        server = KafkaServer(Path(folder), port, controller_port, jvm=(*TRAINING, f"-XX:AOTCacheOutput={draft}"))
        checkpoint(java).unlink(missing_ok=True)  # so that the tool is asked
        running = part.launch(server)
        try:
            part.await_ready(server, running, READY_S, ADVICE)
            _work(server.bootstrap)
        finally:
            process.stop(running, grace_s=WRITTEN_S)
        if not draft.exists():
            raise StackError(f"Java ({java}) wrote no archive")
        for old in (*file.parent.glob("kafka-*.aot"), *file.parent.glob("kafka-*.checkpoint")):
            old.unlink()
        draft.replace(file)
        beside = draft.with_suffix(".begin")
        shutil.copyfile(server.data / CHECKPOINT, beside)
        beside.replace(checkpoint(java))


@contextlib.contextmanager
def _draft(file: Path) -> Iterator[Path]:
    """A name beside it of our own, gone afterwards."""
    draft = file.with_suffix(f".{os.getpid()}")
    try:
        yield draft
    finally:
        for rest in file.parent.glob(f"{draft.name}*"):
            rest.unlink()


def _work(bootstrap: str) -> None:
    """What every stack does: topics, a transaction, a group that reads it."""
    from confluent_kafka import Consumer, Producer

    from deploy.local import topics
    from schemas.topics import TOPICS

    topics.declare(bootstrap, 1)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "warm", "compression.type": "lz4", "log_level": 2})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(TOPICS[0].name, b"warm", b"warm")
    producer.commit_transaction(30)
    reader = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "warm",
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    reader.subscribe([TOPICS[0].name])
    if reader.poll(30) is not None:
        reader.commit(asynchronous=False)
    reader.close()


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """A line now and then, so that whoever waits sees that something goes on."""
    done, began = threading.Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(TOLD_EVERY_S):
            _say(
                f"setup: still reading Kafka's classes after {time.monotonic() - began:.0f} s "
                f"(load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores; a busy machine takes a minute or two)"
            )

    telling = threading.Thread(target=tell, name="telling", daemon=True)
    telling.start()
    try:
        yield
    finally:
        done.set()
        telling.join()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """`python -m deploy.local.warm`: make it unless it is there. What goes wrong costs speed alone, and is told."""
    from confluent_kafka import KafkaException

    from deploy.local.kafka import java

    try:
        file = archive(java())
        if file.exists() and checkpoint(java()).exists():
            return
        _say("setup: Kafka's classes are read ahead, once (some 10 s)")
        with _telling():
            make(java())
    except (StackError, OSError, KafkaException) as error:
        _say(f"setup: Kafka will start more slowly: {error}")


if __name__ == "__main__":
    main()
