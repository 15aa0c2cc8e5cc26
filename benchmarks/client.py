"""A client that pushes at a set rate whatever the answers do (open loop), or as fast as the answers come (closed loop).

A process of its own, so that its CPU is told apart: `python -m benchmarks.client`, one JSON object on standard input (`Order`),
one on standard output (`Answered`). Latency counts from the moment at which a request was *due*, not from when it could be
sent: a door that stalls is charged with all that had to wait (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from dataclasses import dataclass, field

import msgspec

from benchmarks import load

KEEP = 100_000


class Order(msgspec.Struct):
    """What to push. `rate_s`: requests a second; 0: closed loop. `form`: of load.FORMS, or `batch` with `events` each."""

    port: int
    keys: list[str]
    form: str
    events: int
    requests: int
    rate_s: float
    connections: int
    base_s: float
    first_journey: int = 0


class Answered(msgspec.Struct):
    """`latencies_ms`: of those answered 202; `refused`: by status. `dues`: when each was due (seconds since the epoch)."""

    latencies_ms: list[float]
    refused: dict[str, int]
    wall_s: float
    cpu_s: float
    since: float
    late_ms: float


@dataclass
class _Pusher:
    order: Order
    bodies: list[tuple[bytes, str, int]]
    latencies_ms: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    late_ms: float = 0.0

    async def run(self) -> Answered:
        order = self.order
        queue: asyncio.Queue[tuple[int, float] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        workers = [asyncio.create_task(self.work(queue)) for _ in range(order.connections)]
        await asyncio.sleep(0.3)  # connections are made
        began, cpu_s, since = loop.time(), _cpu_s(), time.time()
        for n in range(order.requests):
            if order.rate_s:
                due = began + n / order.rate_s
                if (pause := due - loop.time()) > 0:
                    await asyncio.sleep(pause)
                self.late_ms = max(self.late_ms, (loop.time() - due) * 1000)
                queue.put_nowait((n, due))
            else:
                queue.put_nowait((n, 0.0))
        for _ in workers:
            queue.put_nowait(None)
        await asyncio.gather(*workers)
        return Answered(self.latencies_ms, self.refused, loop.time() - began, _cpu_s() - cpu_s, since, self.late_ms)

    async def work(self, queue: asyncio.Queue[tuple[int, float] | None]) -> None:
        """One connection, kept open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.order.port)
        loop = asyncio.get_running_loop()
        while (job := await queue.get()) is not None:
            n, due = job
            began = due or loop.time()
            content, content_type, sender = self.bodies[n]
            head = (
                f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.order.keys[sender]}\r\n"
                f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
            )
            writer.write(head.encode() + content)
            status = await _answer(reader)
            if status == 202:
                self.latencies_ms.append((loop.time() - began) * 1000)
            else:
                self.refused[str(status)] = self.refused.get(str(status), 0) + 1
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of one answer; its body is read and dropped."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))
            return status
    raise ValueError("an answer without a length")


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def bodies(order: Order) -> list[tuple[bytes, str, int]]:
    """(content, content type, index of the carrier's key) of every request, made before the clock starts."""
    base = load.moment(order.base_s)
    count = order.requests * order.events
    found: list[tuple[bytes, str, int]] = []
    if order.events == 1:
        journeys = range(order.first_journey, order.first_journey + -(-count // load.EVENTS_A_JOURNEY))
        form = next(known for known in load.FORMS if known == order.form)
        for told in load.tellings(journeys, base):
            content, content_type = load.body(form, told)
            found.append((content, content_type, load.CARRIERS.index(told.sender)))
        return found[: order.requests]
    # a request is one carrier's: journeys of one carrier lie len(CARRIERS) apart
    each = -(-order.events // load.EVENTS_A_JOURNEY)
    for n in range(order.requests):
        carrier = n % len(load.CARRIERS)
        start = order.first_journey + (n // len(load.CARRIERS)) * each * len(load.CARRIERS) + carrier
        numbers = range(start, start + each * len(load.CARRIERS), len(load.CARRIERS))
        several = list(load.tellings(numbers, base))[: order.events]
        found.append((load.raw_batch(several).value, "application/json", carrier))
    return found


def main() -> None:
    """One order, one answer."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    answered = asyncio.run(_Pusher(order, bodies(order)).run())
    sys.stdout.buffer.write(msgspec.json.encode(answered))


if __name__ == "__main__":
    main()
