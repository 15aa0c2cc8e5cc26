"""Runs seeds: `python -m tests.simulation.run SEED` replays one and prints its trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.topics import RAW_MESSAGES, SHIPMENT_EVENTS
from tests.simulation import story
from tests.simulation.oracles import Oracles
from tests.simulation.world import FAULTS_AT_LEAST, STEPS_AT_LEAST, Violated, World

TAIL = 60
FEW = 2
"""Partitions of raw messages, and of events, in a world with a short story. A tick that moves T is a record on each pair of
them; with all four of each nine tenths of what is read there would be ticks."""


@contextmanager
def few_partitions(seed: int) -> Iterator[None]:
    """Around a world and its oracles, from its making to its end."""
    topics = [(topic, topic.partitions) for topic in (RAW_MESSAGES, SHIPMENT_EVENTS)]
    for topic, many in topics:
        object.__setattr__(topic, "partitions", FEW if story.is_short(seed) else many)
    try:
        yield
    finally:
        for topic, many in topics:
            object.__setattr__(topic, "partitions", many)


def simulate(seed: int) -> World:
    """One seed, to its end. Raises Violated; its `trace` is the world's."""
    with few_partitions(seed):
        return _simulate(seed)


def _simulate(seed: int) -> World:
    world = World(seed)
    oracles = world.watch = Oracles(world)
    try:
        world.run()
        oracles.at_end()
        if world.step < STEPS_AT_LEAST or world.faults < FAULTS_AT_LEAST:
            raise Violated("length", f"{world.step} steps and {world.faults} faults are too few to prove anything")
    except Violated as violated:
        violated.add_note(told(world))
        raise
    return world


def told(world: World) -> str:
    """The end of the trace, and how to see all of it."""
    tail = "\n".join(world.trace[-TAIL:])
    return f"{tail}\nseed {world.seed}; again, with the whole trace: python -m tests.simulation.run {world.seed}"


def main() -> int:
    seed = int(sys.argv[1])
    with few_partitions(seed):
        world = World(seed)
        oracles = world.watch = Oracles(world)
        try:
            world.run()
            oracles.at_end()
        except Violated as violated:
            print("\n".join(world.trace), f"\n{violated}")
            return 1
    print("\n".join(world.trace), f"\nseed {seed}: {world.step} steps, {world.faults} faults, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
