"""Checks the .db beside a shard before MindSpore runs its own SQL on it.

A database may have views in place of tables, by which a question of one line never
ends. Ours has two plain tables, and is read here with a limit on the steps.
"""

import contextlib
import re
import sqlite3
from pathlib import Path

from mindrecord_io.shards import mindrecord_encoding
from mindrecord_io.storage import files

__all__ = ["wrong_index"]

_MAX_NUM_STEPS = 50_000_000  # of the virtual machine; a shard of 10,000 rows takes 1 %
_STEPS_PER_CALL = 100_000
_SPACE = re.compile(r"\s+")


def wrong_index(path: Path) -> str:
    """Returns what is wrong with the index of a shard, "" if nothing.

    Args:
      path: of the .db file; its name is that of the shard and `.db`.
    """
    try:
        files.check_regular(path)
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            return _wrong(database, path.name.removesuffix(".db"))
    except (OSError, sqlite3.Error, OverflowError) as error:
        return f"is no index of a shard: {error}"


def _wrong(database: sqlite3.Connection, shard_name: str) -> str:
    calls = iter(range(_MAX_NUM_STEPS // _STEPS_PER_CALL))
    database.set_progress_handler(lambda: next(calls, -1) < 0, _STEPS_PER_CALL)
    made = database.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
    tables = {name: _SPACE.sub("", sql) for name, sql in made}
    expected = {
        name: _SPACE.sub("", sql) for name, sql in mindrecord_encoding.TABLES.items()
    }
    if tables != expected:
        return f"has other tables than {sorted(expected)}: {sorted(tables)[:5]!s:.200}"
    names = database.execute("SELECT name FROM SHARD_NAME LIMIT 2").fetchall()
    return "" if names == [(shard_name,)] else f"is the index of {names!s:.200}"
