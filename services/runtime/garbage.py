"""How often Python looks for cyclic garbage: rarely, in processes that hold many values and make few cycles.

Measured in the sink: at Python's own threshold (700 new containers) half of the time spent on making rows went into walking
over rows that wait for their block. Cycles are still found: after so many new containers, or with the next full walk.
"""

from __future__ import annotations

import gc

NEW_CONTAINERS = 200_000
"""About 20 MB of cycles at most before they are found."""


def relax(new_containers: int = NEW_CONTAINERS) -> None:
    """Call once, when a stage has started: what is there by then is never walked over again. `new_containers`: after so many it
    is looked among them for cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(new_containers, 20, 50)
