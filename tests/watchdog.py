"""Ends what a test session started, should the session itself be killed: reads lines of JSON, acts at end of input.

A line is either a process ({"pid": ..., "started": ..., "argv": [...]}) or a folder ({"folder": ...}) to remove.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys

from deploy.local.process import Running, gone, signal_to


def main() -> None:
    """The pipe closes when the test session ends, however it ends."""
    processes: list[Running] = []
    folders: list[str] = []
    for line in sys.stdin:
        note = json.loads(line)
        if "folder" in note:
            folders.append(note["folder"])
        else:
            processes.append(Running(pid=note["pid"], started=note["started"], argv=tuple(note["argv"])))
    for process in processes:
        signal_to(process, signal.SIGKILL)
        gone(process, 10)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the session; this process outlives it
    main()
