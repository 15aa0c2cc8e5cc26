"""`python -m services.sink`: topics to ClickHouse, until SIGTERM."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from services.runtime import clickhouse, garbage, logs, metrics, process
from services.runtime.clock import SystemClock
from services.runtime.failpoints import Failpoints
from services.runtime.settings import Settings
from services.sink import migrate
from services.sink.auditor import Auditor
from services.sink.logs import LogSink, SinkStopped
from services.sink.states import StateSink

AUDITOR_ENDS_S = 3.0

log = logs.get("sink")


def main() -> int:
    """0 after a clean stop, 1 if the sink stopped because going on would be a guess, 2 if it is set up wrongly. What passes is
    waited for within: Kafka and ClickHouse may be away for as long as they like."""
    settings, clock, stop = process.begin("sink", Settings), SystemClock(), threading.Event()
    process.on_stop(stop.set)
    database = clickhouse.connect(settings, "writer")
    if not _tables_ready(database, stop):
        return 0 if stop.is_set() else 2
    log_sink = LogSink(settings, database, clock, failpoint=Failpoints(settings.failpoint).reach)
    state_sink = StateSink(settings, database, clock)
    failed: list[str] = []
    workers = [
        threading.Thread(target=_guard, args=(work, stop, failed), name=name)
        for name, work in (("sink.logs", log_sink.run), ("sink.state", state_sink.run))
    ]
    auditor = Auditor(settings, database, clock)
    # a daemon: it holds nothing that must be settled, so the process need not wait for it for long
    auditing = threading.Thread(target=auditor.run, args=(stop,), name="sink.auditor", daemon=True)
    auditing.start()
    page = metrics.serve(settings.metrics_port, lambda: log_sink.healthy() or state_sink.healthy())
    garbage.relax()
    for worker in workers:
        worker.start()
    log.info("sink.started")
    for worker in workers:
        worker.join()
    auditing.join(AUDITOR_ENDS_S)
    database.close()
    if page is not None:
        page.close()
    log.info("sink.stopped", failed=bool(failed))
    return 1 if failed else 0


def _guard(work: Callable[[threading.Event], None], stop: threading.Event, failed: list[str]) -> None:
    """One half that fails ends the other: a process that does half its work looks healthy and is not."""
    failed.append(work.__qualname__)  # until it has come back: a C library can end a thread with what nobody can catch
    try:
        work(stop)
        failed.remove(work.__qualname__)
    except SinkStopped as error:
        log.error("sink.must_stop", text=str(error))
    except Exception:
        log.exception("sink.failed")
    finally:
        stop.set()


def _tables_ready(database: clickhouse.ClickHouse, stop: threading.Event) -> bool:
    """Wait until ClickHouse answers; then the log tables must be there with their deduplication window."""
    while not stop.is_set():
        try:
            migrate.check(database)
            return True
        except clickhouse.OutcomeUnknown as error:
            log.warning("sink.clickhouse_away", text=str(error))
            stop.wait(1.0)
        except (migrate.MigrationError, clickhouse.Refused) as error:
            log.error("sink.not_set_up", text=str(error))
            return False
    return False


if __name__ == "__main__":
    sys.exit(main())
