"""pyx12 over the bytes of a file, again and again: `peer.py FILE SECONDS`. Prints {"raw": MB/s, "segments": MB/s} of CPU time.

`raw` cuts the text into segments; `segments` makes objects of them, as its reader does for whoever uses it.
"""

from __future__ import annotations

import gc
import io
import json
import sys
import time
from collections.abc import Callable, Iterable

from pyx12.rawx12file import RawX12File
from pyx12.x12file import X12Reader


def rate(read: Callable[[io.StringIO], Iterable[object]], text: str, seconds: float) -> float:
    """MB a second of CPU."""
    done, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        for _ in read(io.StringIO(text)):
            pass
        done += len(text)
    return done / (time.process_time() - began) / 1e6


def main() -> None:
    """Measure both."""
    gc.collect()  # as services/runtime/garbage.py, which our side of the comparison runs by
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    text = open(sys.argv[1], encoding="latin-1").read()  # noqa: SIM115  ends with the process
    seconds = float(sys.argv[2])
    said = {"raw": rate(RawX12File, text, seconds), "segments": rate(X12Reader, text, seconds)}
    print(json.dumps(said))  # noqa: T201  its output


if __name__ == "__main__":
    main()
