"""The alerts: whom a change concerns, asked of many subscriptions; and how soon after it is due a message is in a mail server.

`measure_matching` is what the worker does with a record, without Kafka: the record's bytes in, the candidates' bytes out.
`measure_delivery` is the whole way on real servers: changes of exceptions come in an open loop, worker and sender run as their
own processes, the mail server is a real one with TLS and a login.
"""

from __future__ import annotations

import gc
import random
import secrets
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial

from benchmarks.bench import Bench
from benchmarks.harness import Meter, NotEqual, Result, interleaved, percentile, until
from benchmarks.load import Raw
from benchmarks.servers import Servers, now
from deploy.local import mailbox, process
from schemas.alerts_v1 import Delivery, Subscription
from schemas.journey_change_v1 import CHANGE, ExceptionChanged
from schemas.topics import DELIVERIES, JOURNEY_CHANGES, SUBSCRIPTIONS
from services.alerts.matching import Book, Match, Told, why_not
from services.runtime import kafka, wire

GOAL_MATCHED_S = 2_000
GOAL_AT = 100_000
GOAL_P99_S = 2.0
COMPARED = 12
"""Changes whose subscribers are also looked for among all subscriptions, one by one."""
CONSIGNMENTS = 100_000
HOSPITALS = [f"H-{n:04}" for n in range(400)]
CARRIERS = [f"C{n:03}" for n in range(40)]
TERMINALS = [f"T-{n:02}" for n in range(30)]
CATEGORIES = ("n95_respirator", "glove", "gown", "ventilator", "test_kit")
KINDS = ("late", "will_be_late", "overdue", "dwell", "silent", "on_hold", "rolled", "short", "misrouted", "conflict")
SEVERITIES = ("minor", "minor", "major", "critical")
WARM_UP, WARM_UP_SHARE = 20, 4
"""Messages before those that count: at least so many, and a part of these. A broker that has just begun spends a third of its
CPU time on compiling itself."""
WORKERS_PARTS = ("alerts-worker", "sender", "mailbox", "kafka")


# -- matching ----------------------------------------------------------------------------------------------------------------


def measure_matching(bench: Bench) -> Result:
    """Changes a second, with what a subscription costs in memory."""
    result = Result(f"of {COMPARED} changes, the same subscribers as by asking each of all subscriptions, in every size")
    records = list(_changes(bench.sizes.alert_changes, now()))
    for count in bench.sizes.subscriptions:
        bench.tell(f"{count:,} subscriptions")
        everybody = list(_subscriptions(count))
        book = Book(everybody)
        _compare(book, everybody, records[:COMPARED])
        variants = {"matched": partial(_match, book, records), "candidates": partial(_write, book, records)}
        found = interleaved(bench.sizes.runs, variants, bench.tell)
        name = f"{count:,} subscriptions"
        goal = GOAL_MATCHED_S if count == GOAL_AT else None
        result.add(f"{name}: changes matched", "1/s", [len(records) / cpu_s for cpu_s, _ in found["matched"]], at_least=goal)
        result.add(f"{name}: subscribers concerned a change", "", found["matched"][0][1] / len(records))
        result.add(f"{name}: candidates", "1/s", [made / cpu_s for cpu_s, made in found["candidates"]])
        result.add(f"{name}: memory of a subscription", "kB", _size(count) / count / 1000)
    result.notes.append(
        "By CPU time of one core, without Kafka. Memory: as Python allots it (a process reuses what it has already). "
        "Matched: a change's bytes are read and those concerned found. Candidates: "
        "also a record for each of them made and written as bytes. Of the subscriptions 70 % name a consignment or reference, "
        "28 % a hospital (half of them with goods or exceptions), 1.95 % a carrier or terminal with what is critical, 0.05 % "
        "all that is critical."
    )
    return result


def _size(count: int) -> int:
    """Bytes that so many subscriptions and their book take. By itself: counting them makes everything slow."""
    gc.collect()
    tracemalloc.start()
    try:
        book = Book(_subscriptions(count))
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del book
    return size


def _match(book: Book, records: Sequence[bytes]) -> tuple[float, int]:
    """CPU seconds, and how many were concerned."""
    moment, concerned = now(), 0
    began = time.process_time()
    for record in records:
        change = CHANGE.validate_json(record)
        assert isinstance(change, ExceptionChanged)
        concerned += sum(1 for _ in book.concerned(change, moment))
    return time.process_time() - began, concerned


def _write(book: Book, records: Sequence[bytes]) -> tuple[float, int]:
    """CPU seconds, and how many candidates there were."""
    match, moment, made = Match(book, {}), now(), 0
    began = time.process_time()
    for offset, record in enumerate(records):
        told = Told(CHANGE.validate_json(record), 0, offset, moment)
        made += len([wire.dump(one) for one in match.take(told, moment).candidates])
    return time.process_time() - began, made


def _compare(book: Book, everybody: Sequence[Subscription], records: Sequence[bytes]) -> None:
    for record in records:
        change = CHANGE.validate_json(record)
        assert isinstance(change, ExceptionChanged)
        found = [one.subscription for one in book.concerned(change, now())]
        asked = sorted(one.subscription for one in everybody if why_not(one, change, now()) is None)
        if found != asked:
            raise NotEqual(f"{len(asked)} of {len(everybody)} subscriptions are concerned, the book finds {len(found)}")


def _subscriptions(count: int) -> Iterator[Subscription]:
    chance = random.Random(6)  # noqa: S311 - no secret
    for n in range(count):
        kind = chance.random()
        filters: dict[str, object]
        if kind < 0.45:
            filters = {"consignments": [_consignment(chance.randrange(CONSIGNMENTS))]}
        elif kind < 0.7:
            filters = {"references": [_reference(chance.randrange(CONSIGNMENTS))]}
        elif kind < 0.84:
            filters = {"facilities": [chance.choice(HOSPITALS)], "minimum_severity": chance.choice(SEVERITIES)}
        elif kind < 0.98:
            wanted = {"categories": [chance.choice(CATEGORIES)]} if n % 2 else {"exceptions": [chance.choice(KINDS)]}
            filters = {"facilities": [chance.choice(HOSPITALS)], **wanted}
        elif kind < 0.9995:
            where = {"carriers": [chance.choice(CARRIERS)]} if n % 2 else {"terminals": [chance.choice(TERMINALS)]}
            filters = {**where, "minimum_severity": "critical"}
        else:
            filters = {"minimum_severity": "critical"}
        yield _subscription(n, filters)


def _subscription(n: int, filters: Mapping[str, object]) -> Subscription:
    return Subscription.model_validate(
        {
            "subscription": f"{n:016d}",
            "channel": "email",
            "address": f"buyer{n}@hospital.example",
            "address_hash": f"{n:064x}",
            "state": "active",
            "filters": filters,
            "created_at": datetime.fromisoformat("2020-03-20T16:00:00Z"),
            "confirmed_at": datetime.fromisoformat("2020-03-20T16:05:00Z"),
        }
    )


def _consignment(n: int) -> str:
    return f"LACDHS-{n:06}"


def _reference(n: int) -> str:
    return f"BENU{n:07}"


def _changes(count: int, at: datetime) -> Iterator[bytes]:
    """Exceptions that open, as the tracker writes them."""
    chance = random.Random(7)  # noqa: S311 - no secret
    for n in range(count):
        yield wire.dump(_opened(n, chance.randrange(CONSIGNMENTS), chance.choice(SEVERITIES), at, chance.choice(KINDS)))


def _opened(n: int, consignment: int, severity: str, at: datetime, kind: str = "overdue") -> ExceptionChanged:
    change = CHANGE.validate_python(
        {
            "change": "exception_opened",
            "change_id": f"{n:032x}",
            "consignment": _consignment(consignment),
            "version": n + 1,
            "ordinal": 0,
            "cause": "live",
            "at": at,
            "buyer": "LACDHS",
            "facility": HOSPITALS[consignment % len(HOSPITALS)],
            "tier": 1 + consignment % 3,
            "carrier": CARRIERS[consignment % len(CARRIERS)],
            "terminal": TERMINALS[consignment % len(TERMINALS)],
            "vessel": f"VESSEL {consignment % 97}",
            "voyage": f"{consignment:06}N",
            "categories": [CATEGORIES[consignment % len(CATEGORIES)]],
            "references": [_reference(consignment), f"PO-{consignment}"],
            "exception": {
                "key": kind,
                "kind": kind,
                "milestone": "discharged" if kind in ("late", "will_be_late", "overdue", "conflict") else None,
                "status": "open",
                "severity": severity,
                "start": at - timedelta(hours=1),
                "evidence": [f"{n:032x}"],
                "party": CARRIERS[consignment % len(CARRIERS)],
                "sentence": "Should have been discharged by 12 Apr 01:20 PDT; nobody says that it has.",
            },
        }
    )
    assert isinstance(change, ExceptionChanged)
    return change


# -- delivery ----------------------------------------------------------------------------------------------------------------


def measure_delivery(bench: Bench) -> Result:
    """Each change concerns one subscriber, each subscriber is told once: changes, mails and acceptances are as many."""
    rate, seconds = bench.sizes.alert_rate, bench.sizes.seconds
    count = int(rate * seconds)
    before = max(WARM_UP, count // WARM_UP_SHARE)
    result = Result("every change became one mail to its own subscriber, and no other mail came")
    with Servers(bench.folder / "alerts", broker=bench.broker) as servers, ExitStack() as running:
        _tell(servers)
        servers.fill(_subscribed(count + before))
        for name in ("mailbox", "alerts-worker", "sender"):
            running.enter_context(servers.service(name))
        _open_loop(servers, range(count, count + before), rate)  # a sender that has just begun waits for its place first
        until(lambda: len(_accepted(servers)) == before, "the first acceptances", 120, 0.5)
        bench.tell(f"{rate:g} exceptions/s for {seconds:g} s")
        with Meter({name: servers.pids[name] for name in WORKERS_PARTS}) as meter:
            since = time.time()
            due, late_s = _open_loop(servers, range(count), rate)
            folder = servers.state_dir / "mailbox"
            until(lambda: len(list(folder.glob("*.eml"))) >= count + before, f"{count} mails", 60 + 4 * seconds, 0.5)
            until(lambda: len(_accepted(servers)) >= count + before, f"{count} acceptances", 30, 0.5)
            wall_s = time.time() - since
        mails = Counter(one.to for one in mailbox.read(folder))
        if mails != Counter({_address(n): 1 for n in range(count + before)}):
            raise NotEqual(f"{count} changes, but {mails.total()} mails to {len(mails)} addresses")
        accepted = _accepted(servers)
    waits = [(one.at - one.due_at).total_seconds() for n in range(count) if (one := accepted[f"{n:016d}"]).due_at is not None]
    ways = [accepted[f"{n:016d}"].at.timestamp() - due[n] for n in range(count)]
    name = f"at {rate:g}/s"
    result.add(f"{name}: due to accepted by the mail server, p50", "s", percentile(waits, 0.5))
    result.add(f"{name}: due to accepted by the mail server, p99", "s", percentile(waits, 0.99), at_most=GOAL_P99_S)
    result.add(f"{name}: change written to accepted, p50", "s", percentile(ways, 0.5))
    result.add(f"{name}: change written to accepted, p99", "s", percentile(ways, 0.99))
    for part in WORKERS_PARTS:
        result.add(f"{name}: {part}", "CPU ms a message", 1000 * meter.cpu_s(part, since, since + wall_s) / count)
        result.add(f"{name}: {part}, memory", "MB", meter.peak_rss(part) / 1e6)
    result.notes.append(
        "Open loop: a change is written when it is due, whatever became of those before it "
        f"(the latest write came {late_s:.2f} s late). The mail server is the local stack's, over STARTTLS with a login, "
        f"on the same cores. {before} messages went before."
    )
    return result


def _tell(servers: Servers) -> None:
    """Settings of mailbox and sender."""
    smtp, sms, alerts = process.free_ports(3)
    servers.tell(
        {
            "LOVLA_SMTP_PORT": str(smtp),
            "LOVLA_SMTP_USER": "lovla",
            "LOVLA_SMTP_PASSWORD": secrets.token_urlsafe(16),
            "LOVLA_SMTP_CA": str(servers.state_dir / "mailbox" / "tls.pem"),
            "LOVLA_SMS_ACCOUNT": "AClocal",
            "LOVLA_SMS_TOKEN": secrets.token_urlsafe(16),
            "LOVLA_STACK_MAILBOX_PORT": str(sms),
            "LOVLA_ALERTS_PORT": str(alerts),
        }
    )


def _address(n: int) -> str:
    return f"buyer{n}@hospital.example"


def _subscribed(count: int) -> Iterator[tuple[str, Raw]]:
    for n in range(count):
        one = _subscription(n, {"consignments": [_consignment(n)]})
        yield SUBSCRIPTIONS.name, Raw(one.subscription.encode(), wire.dump(one), [], 1)


def _open_loop(servers: Servers, numbers: Sequence[int], rate: float) -> tuple[list[float], float]:
    """Writes each change when it is due. When that was (seconds since the epoch), and by how many the latest one was late."""
    producer, pause, late_s = kafka.producer(servers.settings, "bench"), threading.Event(), 0.0
    began = time.time()
    due = [began + n / rate for n in range(len(numbers))]
    for n, moment in zip(numbers, due, strict=True):
        if (left := moment - time.time()) > 0:
            pause.wait(left)
        late_s = max(late_s, time.time() - moment)
        change = _opened(n, n, "critical", now())
        producer.produce(JOURNEY_CHANGES.name, wire.dump(change), change.consignment.encode())
        producer.poll(0)
    if waiting := producer.flush(30):
        raise TimeoutError(f"{waiting} changes were not taken within 30 s")
    return due, late_s


def _accepted(servers: Servers) -> dict[str, Delivery]:
    """By subscription: the acceptance of its mail."""
    found = (Delivery.model_validate_json(seen.value) for seen in servers.read(DELIVERIES.name))
    return {one.subscription: one for one in found if one.state == "accepted"}
