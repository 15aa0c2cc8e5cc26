"""How much the alerts' door takes: of one key, of one network without a key, and of all strangers together. Pure."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

from services.alerts.gate import Bucket, Problem

KEY_S: Final = 20.0
STRANGER_S: Final = 1.0  # pages of one network
STRANGER_BURST: Final = 30.0
NEW_S: Final = 1 / 360  # subscriptions of one network: 10 an hour
NEW_BURST: Final = 10.0
ALL_NEW_S: Final = 1 / 12  # of all strangers together: 300 an hour, or we send the spam of others
ALL_NEW_BURST: Final = 60.0
ALL_S: Final = 100.0
_KEPT: Final = 20_000


def network(address: str | None) -> str:
    """Whose door it is: an IPv4 address, an IPv6 /64 (what one household has)."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network(f"{ip}/64", strict=False))


def coarse(address: str | None) -> str:
    """Where a consent came from, too coarse to be a person: /24, or /48."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False))


class Rates:
    """Token buckets; the longest unused go first when there are too many."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    def of_key(self, meter: str, now_s: float) -> None:
        """One request with a key; raises Problem 429."""
        self._take("key", meter, KEY_S, 2 * KEY_S, now_s)

    def of_stranger(self, whose: str, now_s: float) -> None:
        """One page or link; raises Problem 429."""
        self._take("all", "", ALL_S, 2 * ALL_S, now_s)
        self._take("page", whose, STRANGER_S, STRANGER_BURST, now_s)

    def of_new(self, whose: str, now_s: float) -> None:
        """One subscription, or one more asking, without a key; raises Problem 429."""
        self._take("new", whose, NEW_S, NEW_BURST, now_s)
        self._take("all new", "", ALL_NEW_S, ALL_NEW_BURST, now_s)

    def of_all(self, now_s: float) -> None:
        """One unsubscribing: mailbox providers send many from one network, and none may be lost for that. Problem 429."""
        self._take("all", "", ALL_S, 2 * ALL_S, now_s)

    def _take(self, what: str, whose: str, rate_s: float, burst: float, now_s: float) -> None:
        bucket = self._buckets.setdefault((what, whose), Bucket(rate_s, burst, burst, now_s))
        self._buckets.move_to_end((what, whose))
        while len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        wait_s = bucket.take(1, now_s)
        if wait_s > 0:
            raise Problem("too-many-requests", "Too many requests; wait a while and try again.", retry_after_s=wait_s)
