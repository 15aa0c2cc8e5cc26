"""The sender pool's rate."""

from __future__ import annotations

from services.alerts.channels import Rate


def test_what_a_second_allows_goes_at_once_and_then_one_by_one() -> None:
    rate, now_s, sent = Rate(10.0), 100.0, list[float]()
    while len(sent) < 35:
        wait_s = rate.wait_s(now_s)
        if wait_s > 0.0:
            now_s += max(wait_s, 0.001)
        else:
            sent.append(now_s)
    assert sent[9] == 100.0  # ten at once
    assert 102.4 < sent[-1] < 102.6  # 25 more by ten a second
    assert all(later - earlier > 0.99 for earlier, later in zip(sent[10:], sent[20:], strict=False))


def test_an_idle_hour_saves_up_no_more_than_a_second() -> None:
    rate = Rate(2.0)
    assert [rate.wait_s(3_600.0 * n) for n in range(2)] == [0.0, 0.0]
    assert rate.wait_s(3_600.0) == 0.0 and rate.wait_s(3_600.0) > 0.4
