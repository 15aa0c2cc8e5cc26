"""The catalogue of metrics, and the page they are read from.

Names are literals: a misspelt one is a mypy error, and docs, dashboards and alert rules are checked against CATALOGUE.
Labels take values from closed sets only (a stage, a table, a registered sender): never a consignment, never text of a sender.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

CounterName = Literal[
    # every process
    "lovla_restarts_total",
    # the loop
    "lovla_loop_records_total",
    "lovla_loop_outputs_total",
    "lovla_loop_batches_total",
    "lovla_loop_rebalances_total",
    "lovla_kafka_errors_total",
    # the doors
    "lovla_http_requests_total",
    "lovla_http_refused_total",
    # ingest and readers
    "lovla_ingest_events_total",
    "lovla_readers_events_total",
    "lovla_dead_letters_total",
    # tracker
    "lovla_tracker_events_total",
    "lovla_tracker_changes_total",
    # sink
    "lovla_sink_rows_total",
    "lovla_sink_inserts_total",
    # alerts
    "lovla_alerts_sent_total",
    "lovla_alerts_failed_total",
    "lovla_alerts_dead_total",
    "lovla_alerts_suppressed_total",
    "lovla_alerts_inbound_total",
    "lovla_alerts_faults_total",
    "lovla_alerts_unreadable_total",
    "lovla_alerts_candidates_total",
    "lovla_alerts_notifications_total",
    "lovla_console_sign_ins_total",
    "lovla_console_refused_total",
    "lovla_console_acts_total",
]
GaugeName = Literal[
    "lovla_loop_lag_seconds",
    "lovla_register_records",
    "lovla_register_position",
    "lovla_lease_shard",
    "lovla_tracker_time_age_seconds",
    "lovla_tracker_journeys",
    "lovla_tracker_open_exceptions",
    "lovla_parked",
    "lovla_sink_lag_records",
    "lovla_audit_unaccounted",
    "lovla_audit_duplicate",
    "lovla_audit_gap",
    "lovla_audit_last_seconds",
    "lovla_alerts_due",
    "lovla_alerts_known",
    "lovla_alerts_late_seconds",
    "lovla_alerts_oldest_due_seconds",
    "lovla_alerts_paused",
    "lovla_alerts_provider_away",
    "lovla_alerts_subscriptions",
    "lovla_console_viewers",
]
HistogramName = Literal[
    "lovla_loop_process_seconds",
    "lovla_loop_commit_seconds",
    "lovla_http_request_seconds",
    "lovla_sink_insert_seconds",
    "lovla_sink_freshness_seconds",
    "lovla_alerts_accept_seconds",
    "lovla_console_request_seconds",
]


@dataclass(frozen=True)
class Metric:
    """What a metric counts, and by which labels."""

    text: str
    labels: tuple[str, ...] = ()


CATALOGUE: dict[CounterName | GaugeName | HistogramName, Metric] = {
    "lovla_restarts_total": Metric("Times that a process began again by itself, by what had ended it.", ("cause",)),
    "lovla_loop_records_total": Metric("Records read in committed batches.", ("loop",)),
    "lovla_loop_outputs_total": Metric("Records written in committed batches.", ("loop",)),
    "lovla_loop_batches_total": Metric("Batches by outcome: committed, aborted, failed, rebuilt.", ("loop", "outcome")),
    "lovla_loop_rebalances_total": Metric("Partitions came or went.", ("loop", "kind")),
    "lovla_kafka_errors_total": Metric("Errors that the Kafka client told, by its own name.", ("client", "error")),
    "lovla_http_requests_total": Metric("HTTP requests of a door.", ("route", "status")),
    "lovla_http_refused_total": Metric("Requests that a door refused, by problem.", ("reason",)),
    "lovla_http_request_seconds": Metric("Time to answer a request.", ("route",)),
    "lovla_ingest_events_total": Metric("Events accepted at the door.", ("sender",)),
    "lovla_readers_events_total": Metric("Shipment events read, by standard.", ("standard",)),
    "lovla_dead_letters_total": Metric("Dead letters written.", ("stage", "reason")),
    "lovla_tracker_events_total": Metric("Events folded, by what became of them.", ("fate",)),
    "lovla_tracker_changes_total": Metric("Changes published, by kind.", ("kind",)),
    "lovla_sink_rows_total": Metric("Rows inserted.", ("table",)),
    "lovla_sink_inserts_total": Metric("Inserts by outcome: done, retried, refused.", ("table", "outcome")),
    "lovla_loop_lag_seconds": Metric("Age of the newest record of the last committed batch when it was committed.", ("loop",)),
    "lovla_register_records": Metric("Keys in a register's view.", ("topic",)),
    "lovla_register_position": Metric("Next offset that a register's view reads.", ("topic",)),
    "lovla_lease_shard": Metric("1 for the shard that this process owns.", ("shard",)),
    "lovla_tracker_time_age_seconds": Metric("Age of the pipeline's time T.", ("shard",)),
    "lovla_tracker_journeys": Metric("Journeys held, by state.", ("state",)),
    "lovla_tracker_open_exceptions": Metric("Open exceptions, by kind.", ("kind",)),
    "lovla_parked": Metric("What is parked after faults of ours.", ("stage",)),
    "lovla_sink_lag_records": Metric("Records of a topic that are not yet rows.", ("topic",)),
    "lovla_audit_unaccounted": Metric(
        "Raw records that became nothing, rows that no record explains; 0 when healthy.", ("topic",)
    ),
    "lovla_audit_duplicate": Metric("Records with more than one row; 0 when healthy.", ("topic",)),
    "lovla_audit_gap": Metric("Records without their row, or gone from the log; 0 when healthy.", ("topic",)),
    "lovla_audit_last_seconds": Metric("When the last round of the audit ended, in seconds since 1970."),
    "lovla_loop_process_seconds": Metric("Time the stage took for a batch.", ("loop",)),
    "lovla_loop_commit_seconds": Metric("Time from begin to commit of a transaction.", ("loop",)),
    "lovla_sink_insert_seconds": Metric("Time of one insert.", ("table",)),
    "lovla_sink_freshness_seconds": Metric("From the record's timestamp to its row.", ("table",)),
    "lovla_alerts_faults_total": Metric("Records whose handling failed by a fault of ours; each ends the worker."),
    "lovla_alerts_unreadable_total": Metric("Records that the worker could not read, and passed.", ("topic",)),
    "lovla_alerts_candidates_total": Metric("Changes that concern a subscriber."),
    "lovla_alerts_notifications_total": Metric("Notifications that became due, by purpose.", ("purpose",)),
    "lovla_alerts_known": Metric("Consignments that compose remembers, counted once for each subscriber."),
    "lovla_alerts_late_seconds": Metric("By how much compose is behind with what is due."),
    "lovla_alerts_sent_total": Metric("Notifications that a provider took.", ("channel",)),
    "lovla_alerts_failed_total": Metric("Attempts that did not get through, by why.", ("channel", "reason")),
    "lovla_alerts_dead_total": Metric("Notifications that were given up; `lovla alerts retry` tries them again.", ("channel",)),
    "lovla_alerts_inbound_total": Metric("What people answered by SMS, by how it was understood.", ("word",)),
    "lovla_alerts_subscriptions": Metric("Subscriptions, by state.", ("state",)),
    "lovla_alerts_suppressed_total": Metric("Notifications that were not sent, by why.", ("reason",)),
    "lovla_alerts_due": Metric("Notifications taken and not settled."),
    "lovla_alerts_oldest_due_seconds": Metric(
        "Age of the oldest notification that is due and not settled; not of what waits because of its own address."
    ),
    "lovla_alerts_paused": Metric("1 while an operator holds all messages back."),
    "lovla_alerts_provider_away": Metric("1 while a provider's breaker is not closed.", ("provider",)),
    "lovla_alerts_accept_seconds": Metric("From due to accepted by the provider.", ("channel",)),
    "lovla_console_sign_ins_total": Metric("Sign-ins to the console, by outcome: in, wrong, locked.", ("outcome",)),
    "lovla_console_refused_total": Metric("Requests that the console refused, by problem.", ("reason",)),
    "lovla_console_acts_total": Metric("What people did in the console, by act.", ("act",)),
    "lovla_console_viewers": Metric("Pages that listen to what is new now."),
    "lovla_console_request_seconds": Metric("Time in which the console answered, by address.", ("route",)),
}
"""Other services add their lines here, so that one list says everything there is."""

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


_MAKING = threading.Lock()
_N = TypeVar("_N")
_M = TypeVar("_M")


def _once(make: Callable[[_N], _M]) -> Callable[[_N], _M]:
    """Makes each metric at first use, not at import; once per process, whichever threads ask first at the same moment."""
    made: dict[_N, _M] = {}

    def of(name: _N) -> _M:
        if name not in made:
            with _MAKING:
                if name not in made:
                    made[name] = make(name)
        return made[name]

    return of


@_once
def _counter(name: CounterName) -> Counter:
    return Counter(name, CATALOGUE[name].text, CATALOGUE[name].labels)


@_once
def _gauge(name: GaugeName) -> Gauge:
    return Gauge(name, CATALOGUE[name].text, CATALOGUE[name].labels)


@_once
def _histogram(name: HistogramName) -> Histogram:
    return Histogram(name, CATALOGUE[name].text, CATALOGUE[name].labels, buckets=_BUCKETS_S)


_labelled: dict[tuple[object, ...], Any] = {}
"""(name, (label, value), ...) -> the metric. prometheus_client itself checks, sorts and locks each time."""


def _of(make: Callable[[_N], _M], name: _N, labels: Mapping[str, str]) -> _M:
    key = (name, *labels.items())
    found: _M | None = _labelled.get(key)
    if found is None:
        made: Any = make(name)
        found = _labelled[key] = made.labels(**labels) if labels else made
    return found


def counter(name: CounterName, **labels: str) -> Counter:
    """`counter("lovla_sink_rows_total", table="events").inc(n)`. Raises ValueError for labels that are not the metric's."""
    return _of(_counter, name, labels)


def gauge(name: GaugeName, **labels: str) -> Gauge:
    """`gauge("lovla_parked", stage="readers").set(n)`. Raises as `counter`."""
    return _of(_gauge, name, labels)


def histogram(name: HistogramName, **labels: str) -> Histogram:
    """`histogram("lovla_sink_insert_seconds", table="events").observe(seconds)`. Raises as `counter`."""
    return _of(_histogram, name, labels)


def page() -> tuple[bytes, str]:
    """The metrics page and its content type, for those who serve it themselves (the API)."""
    return generate_latest(), CONTENT_TYPE_LATEST


class Page:
    """The running server; `port` is the one it really has."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.port: int = server.server_address[1]

    def close(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()


def serve(port: int | None, healthy: Callable[[], str | None], ready: Callable[[], str | None] | None = None) -> Page | None:
    """Serve /metrics, /healthz and /readyz on 127.0.0.1 in a thread of their own; None: no port, no page.

    `healthy` answers None, or what is wrong (503 with that sentence). `ready` is the same unless given. Raises OSError if
    the port is taken.
    """
    if port is None:
        return None
    checks = {"/healthz": healthy, "/readyz": ready or healthy}

    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # seconds a client may dawdle

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                body, kind = page()
                self._answer(200, body, kind)
            elif path in checks:
                wrong = checks[path]()
                self._answer(503 if wrong else 200, (wrong or "ok").encode() + b"\n", "text/plain; charset=utf-8")
            else:
                self._answer(404, b"not found\n", "text/plain; charset=utf-8")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not worth a line."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return Page(server)
