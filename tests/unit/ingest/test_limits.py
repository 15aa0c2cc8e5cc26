"""Token buckets: what a sender may ask of the door."""

from __future__ import annotations

import pytest

from services.ingest.limits import Bucket, Limits, Rates
from services.ingest.problems import Problem


def test_a_full_bucket_lets_its_size_through_and_then_asks_to_wait() -> None:
    bucket = Bucket(rate_s=10, size=20, level=20, at_s=0)
    assert [bucket.take(1, 0.0) for _ in range(20)] == [0.0] * 20
    assert bucket.take(1, 0.0) > 0


def test_it_refills_at_its_rate() -> None:
    bucket = Bucket(rate_s=10, size=20, level=0, at_s=0)
    wait_s = bucket.take(1, 0.0)
    assert bucket.take(1, wait_s) == 0.0


def test_a_large_taking_is_paid_by_waiting_later() -> None:
    bucket = Bucket(rate_s=10, size=20, level=1, at_s=0)
    assert bucket.take(101, 0.0) == 0.0
    assert bucket.take(1, 0.0) == pytest.approx(10.0)


def test_one_sender_does_not_pay_for_another() -> None:
    rates = Rates(Limits(requests_s=1, burst_s=1))
    rates.request("A", False, 0.0)
    rates.request("B", False, 0.0)
    with pytest.raises(Problem) as refused:
        rates.request("A", False, 0.0)
    assert refused.value.status == 429
    assert int(refused.value.response_headers()["Retry-After"]) >= 1


def test_backfill_may_be_faster() -> None:
    rates = Rates(Limits(events_s=10, burst_s=1, backfill_factor=10))
    for _ in range(10):
        rates.events("A", 10, True, 0.0)
    with pytest.raises(Problem):
        rates.events("A", 10, True, 0.0)


def test_the_buckets_of_long_gone_senders_are_forgotten() -> None:
    rates = Rates(Limits(), senders=2)
    for number in range(100):
        rates.request(f"S{number}", False, 0.0)
    assert len(rates._buckets) <= 4
