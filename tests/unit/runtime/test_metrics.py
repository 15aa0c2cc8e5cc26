"""Metrics: the catalogue is whole, and the page tells health apart."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import httpx
import pytest

from services.runtime import metrics


def test_every_name_is_in_the_catalogue_and_follows_the_rules() -> None:
    names = {*get_args(metrics.CounterName), *get_args(metrics.GaugeName), *get_args(metrics.HistogramName)}
    assert names == set(metrics.CATALOGUE)
    assert all(name.startswith("lovla_") for name in names)
    assert all(name.endswith("_total") for name in get_args(metrics.CounterName))
    assert all(name.endswith(("_seconds", "_bytes")) for name in get_args(metrics.HistogramName))
    assert not any("consignment" in metric.labels for metric in metrics.CATALOGUE.values())


def test_every_metric_can_be_made() -> None:
    for name in get_args(metrics.CounterName):
        metrics.counter(name, **dict.fromkeys(metrics.CATALOGUE[name].labels, "x"))
    for name in get_args(metrics.GaugeName):
        metrics.gauge(name, **dict.fromkeys(metrics.CATALOGUE[name].labels, "x"))
    for name in get_args(metrics.HistogramName):
        metrics.histogram(name, **dict.fromkeys(metrics.CATALOGUE[name].labels, "x"))


def test_a_metric_is_the_same_whenever_it_is_asked_for_and_another_for_other_labels() -> None:
    one, other = ({"table": table, "outcome": "done"} for table in ("one", "other"))
    metrics.counter("lovla_sink_inserts_total", **one).inc(2)
    metrics.counter("lovla_sink_inserts_total", **dict(reversed(one.items()))).inc(3)
    metrics.counter("lovla_sink_inserts_total", **other).inc()
    page = metrics.page()[0].decode()
    assert 'lovla_sink_inserts_total{outcome="done",table="one"} 5.0' in page
    assert 'lovla_sink_inserts_total{outcome="done",table="other"} 1.0' in page
    for labels in ({}, {"table": "one"}, {**one, "sender": "MAEU"}):
        for _ in range(2):
            with pytest.raises(ValueError):
                metrics.counter("lovla_sink_inserts_total", **labels).inc()


def test_threads_that_ask_first_at_the_same_moment_get_one_metric() -> None:
    # Broken connections are counted by each client's own thread, all in the same moment (seen: a register stopped following).
    together = threading.Barrier(2)

    def slow(_: str) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.2)  # a second maker would come in time
        return object()

    of = metrics._once(slow)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(of, ("a", "a"))
    assert first is second


def test_the_page_serves_metrics_and_tells_healthy_from_not() -> None:
    trouble: list[str] = []
    page = metrics.serve(0, lambda: trouble[0] if trouble else None)
    assert page is not None
    try:
        metrics.counter("lovla_sink_rows_total", table="events").inc(3)
        url = f"http://127.0.0.1:{page.port}"
        assert 'lovla_sink_rows_total{table="events"} 3.0' in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}/healthz").status_code == 200
        trouble.append("Kafka is away")
        answer = httpx.get(f"{url}/readyz")
        assert (answer.status_code, answer.text) == (503, "Kafka is away\n")
        assert httpx.get(f"{url}/else").status_code == 404
    finally:
        page.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")


def test_without_a_port_there_is_no_page() -> None:
    assert metrics.serve(None, lambda: None) is None
