"""How rows go into ClickHouse: every setting explicit, one insert = one block = one part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.runtime.clickhouse import ClickHouse
from services.sink.rows import Row

_ONE_BLOCK: Mapping[str, object] = {
    "async_insert": 0,  # on by default in this server: our block would be merged with others' and its token with theirs
    "max_insert_threads": 1,
    "min_insert_block_size_rows": 0,  # no squashing: the block goes as it came
    "min_insert_block_size_bytes": 0,
    "max_insert_block_size": 1_048_576,
    "max_partitions_per_insert_block": 1,  # a block in two months is refused, not split
    "throw_on_max_partitions_per_insert_block": 1,
    "materialized_views_ignore_errors": 0,
    "parallel_view_processing": 0,
}


def log_settings(token: str) -> dict[str, object]:
    """For a planned block. Which of the two deduplicate settings governs changed in 2026: both are set."""
    return {
        **_ONE_BLOCK,
        "insert_deduplicate": 1,
        "deduplicate_insert": "enable",
        "insert_deduplication_token": token,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
    }


def state_settings() -> dict[str, object]:
    """For tables that keep the newest of each key: repeats are harmless, so nothing is deduplicated on the way in."""
    return {**_ONE_BLOCK, "insert_deduplicate": 0, "deduplicate_insert": "disable"}


def columns_of(rows: Sequence[Row]) -> list[Sequence[object]]:
    """Rows to columns."""
    return list(zip(*rows, strict=True))


def fill_views(clickhouse: ClickHouse, database: str, table: str, partition: int, first: int, last: int) -> None:
    """Run the views of `table` once more over the rows [first, last] of `partition`.

    A table's part and its views' parts are not written atomically, and a block that is recognised as a repeat does not reach
    the views again. All views are Replacing, so rows they have already do no harm. Views are named <target>__from__<table>.
    """
    views = clickhouse.query(
        "SELECT name, as_select FROM system.tables "
        "WHERE database = {database:String} AND engine = 'MaterializedView' AND endsWith(name, {ending:String})",
        {"database": database, "ending": f"__from__{table}"},
    )
    for view in views:
        target = view["name"].partition("__from__")[0]
        # Identifiers are our own DDL's, numbers are numbers: nothing of a sender stands in this statement.
        rows = f"k_partition = {int(partition)} AND k_offset BETWEEN {int(first)} AND {int(last)}"
        clickhouse.execute(
            f"INSERT INTO {target} {view['as_select']} SETTINGS additional_table_filters = "
            f"{{'{database}.{table}': '{rows}'}}, deduplicate_insert_select = 'disable'"
        )
