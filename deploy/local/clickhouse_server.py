"""The process that is the ClickHouse server: `python clickhouse_server.py DATA_FOLDER`, run where config.xml lies.

The package opens a server of its own while it is imported, with the config.xml of the working folder; so it is imported
elsewhere. Then one call starts the doors and never returns: a SELECT that sleeps for ever holds the server open.
The format must be TabSeparated: with Null every SELECT over the wire comes back empty.
"""

from __future__ import annotations

import os
import sys
import tempfile

FOREVER = """
SYSTEM START LISTEN TCP;
SYSTEM START LISTEN HTTP;
SELECT sleepEachRow(3) FROM system.numbers FORMAT Null
SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 3000000, max_execution_time = 0;
"""


def main(data: str) -> None:
    """Serve until killed; every acknowledged insert is on disk, so no farewell is needed."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as elsewhere:
        os.chdir(elsewhere)
        from chdb import _chdb

        os.chdir(here)
    _chdb.query(  # type: ignore[attr-defined]  # a C extension without stubs
        FOREVER, "TabSeparated", path=data
    )


if __name__ == "__main__":
    main(sys.argv[1])
