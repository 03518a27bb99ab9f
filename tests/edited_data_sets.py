"""Edits every field of a data set in turn and runs every command on the result.

    python -m tests.edited_data_sets --num_edits 1000 --folder /tmp/edited

prints how often a command left a traceback, hung, changed a file outside of the data
set, removed what the current version needs, or published a version that lost clips or
has frames cut otherwise. Each command runs on a copy of its own, in a process of its
own that is killed after a while. Edits that fit into one another (a table and its hash
in the manifest) are made together.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from mindrecord_io import naming, records
from mindrecord_io.commands import command_line, log_lines
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table
from pipelines.jobs import history, prune, relabel, report, rollback, verify
from tests import tiny_dataset, versions_by_hand

SEED = 7
COMMAND_SECONDS = 60
EVIL = "\x1b[31m\"'><script>/../\n\0"
TABLE = "versions/000002/clips.parquet"
MANIFEST = "versions/000002/manifest.json"

Edit = Callable[[Path], None]

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 10**18, 10**4000, 0.5, "", EVIL, "../../outside"),
    "x" * 100_000,
    *([], {}, [1], {"a": 1}, "0" * 64, "test"),
)
_METADATA = {"pandas": '{"index_columns": [' + "9" * 5000 + "]}", EVIL: "[" * 100_000}
CURRENTS = (
    *(b"", b"\n", b"000001\n", b"000009\n", b"../../outside\n", b"/etc\n", b"\xff\xfe"),
    *(b"9" * 5000, b"0" * 15, b"000002", b"000002\n000001\n", b"\0" * 100, b"2\n"),
)


def edits(dataset: Path) -> Iterator[tuple[str, Edit]]:
    """Yields the name of every edit, and what makes it."""
    manifest = json.loads((dataset / MANIFEST).read_text())
    summary = _summary(dataset)
    yield from _edits_of_json(MANIFEST, manifest)
    yield from _edits_of_json(summary, json.loads((dataset / summary).read_text()))
    yield from _edits_of_table()
    yield from _edits_of_index()
    yield from _edits_of_files(dataset)


def _summary(dataset: Path) -> str:
    shards = json.loads((dataset / MANIFEST).read_text())["shards"]
    shard = max(shards, key=lambda shard: shard["num_rows"])
    return f"shards/{shard['split']}/{shard['key']}/summary.json"


def _edits_of_json(path: str, content: Any) -> Iterator[tuple[str, Edit]]:
    for place in _places(content):
        for value in VALUES:
            yield f"{path} {place} = {value!r:.40}", _put(path, place, value)
        yield f"{path} {place} removed", _put(path, place, ...)
    for text in (b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff", b"{}"):
        yield f"{path} is {text[:9]!r}", _write(path, text)
    yield f"{path} has a number of 5,000 digits", _in_text(path, _with_long_number)


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from _places(item, (*at, key))


def _put(path: str, place: tuple[Any, ...], value: Any) -> Edit:
    def edit(dataset: Path) -> None:
        content = json.loads((dataset / path).read_text())
        *outer, last = place
        inner = content
        for key in outer:
            inner = inner[key]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
        (dataset / path).write_text(json.dumps(content))

    return edit


def _write(path: str, content: bytes) -> Edit:
    return lambda dataset: (dataset / path).write_bytes(content) and None


def _in_text(path: str, change: Callable[[bytes], bytes]) -> Edit:
    def edit(dataset: Path) -> None:
        (dataset / path).write_bytes(change((dataset / path).read_bytes()))

    return edit


def _with_long_number(content: bytes) -> bytes:
    return re.sub(rb": ?[0-9]+", b": " + b"9" * 5000, content, count=1)


def _edits_of_table() -> Iterator[tuple[str, Edit]]:
    for field in clips_table.SCHEMA:
        for value in _values_for(field.type):
            name = f"table {field.name} = {value!r:.40}"
            yield name, _in_table(_column_put(field, value, 1))
            yield f"{name} everywhere", _in_table(_column_put(field, value, 10**6))
    for name, change in (
        ("a row less", lambda table: table.slice(1)),
        ("no rows", lambda table: table.slice(0, 0)),
        ("a row twice", lambda table: pa.concat_tables([table, table.slice(0, 1)])),
        ("a column less", lambda table: table.drop_columns(["detail"])),
        ("odd metadata", lambda table: table.replace_schema_metadata(_METADATA)),
    ):
        yield f"table: {name}", _in_table(change)


def _values_for(kind: pa.DataType) -> tuple[Any, ...]:
    if pa.types.is_string(kind):
        return ("", EVIL, "../../outside", "train", "stored", "missing", "x" * 100_000)
    if pa.types.is_list(kind):
        return ([], [0], [-1], [2**31 - 1] * 5, [1] * 1000)
    if pa.types.is_floating(kind):
        return (float("nan"), float("inf"), -1.0)
    return (-1, 0, 2**31 - 1)


def _column_put(
    field: pa.Field, value: Any, num_rows: int
) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table.column(field.name).to_pylist()
        values[:num_rows] = [value] * min(num_rows, len(values))
        index = clips_table.SCHEMA.get_field_index(field.name)
        return table.set_column(index, field, pa.array(values, field.type))

    return change


def _in_table(change: Callable[[pa.Table], pa.Table]) -> Edit:
    def edit(dataset: Path) -> None:
        path = dataset / TABLE
        parquet.write_table(
            change(parquet.read_table(path, partitioning=None)), path, row_group_size=3
        )
        content = records.to_json(files.fingerprint(path))
        _put(MANIFEST, ("clips_table",), content)(dataset)

    return edit


def _edits_of_index() -> Iterator[tuple[str, Edit]]:
    for name, statements in (
        ("no table", ["DROP TABLE INDEXES"]),
        ("no rows", ["DELETE FROM INDEXES"]),
        ("another name", ["UPDATE SHARD_NAME SET NAME = '/etc/passwd'"]),
        (
            "a view without end",
            [
                "DROP TABLE SHARD_NAME",
                "CREATE VIEW SHARD_NAME AS WITH RECURSIVE n(NAME) AS (SELECT 'a' UNION "
                "ALL SELECT NAME FROM n) SELECT NAME FROM n",
            ],
        ),
    ):
        yield f"index: {name}", _in_index(statements)


def _in_index(statements: list[str]) -> Edit:
    def edit(dataset: Path) -> None:
        summary = dataset / _summary(dataset)
        (path,) = summary.parent.glob("*.db")
        path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE INDEXES (a)")
            database.execute("CREATE TABLE SHARD_NAME (NAME)")
            for statement in statements:
                database.execute(statement)
        content = records.to_json(files.fingerprint(path))
        _put(_summary(dataset), ("mindrecord_index",), content)(dataset)
        manifest = json.loads((dataset / MANIFEST).read_text())
        for shard in manifest["shards"]:
            if shard["key"] == summary.parent.name:
                shard["mindrecord_index"] = content
                shard["summary"] = records.to_json(files.fingerprint(summary))
        (dataset / MANIFEST).write_text(json.dumps(manifest))

    return edit


def _edits_of_files(dataset: Path) -> Iterator[tuple[str, Edit]]:
    for content in CURRENTS:
        yield f"CURRENT is {content[:20]!r}", _write("CURRENT", content)
    labels = "versions/000002/labels"
    paths = [TABLE, MANIFEST, "CURRENT", f"{labels}/category.txt", _summary(dataset)]
    paths += [f"{labels}/train_videofolder.txt", "versions/000001/manifest.json"]
    shard = (dataset / _summary(dataset)).parent
    paths += [p.relative_to(dataset).as_posix() for p in sorted(shard.glob("*.m*"))]
    for path, (name, make) in itertools.product(paths, _KINDS.items()):
        yield f"{path} is {name}", _replaced_by(path, make)


_KINDS: Mapping[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "junk": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link in a circle": lambda path: path.symlink_to(path),
    "huge": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
}


def _replaced_by(path: str, make: Callable[[Path], object]) -> Edit:
    def edit(dataset: Path) -> None:
        (dataset / path).unlink()
        make(dataset / path)

    return edit


def _commands(dataset: Path, annotations: Path) -> dict[str, Callable[[], int]]:
    flags = ["--dataset", str(dataset)]
    lists = ["--annotations", str(annotations), "--num_workers", "1"]
    return {
        "history": lambda: history.main(flags),
        "verify --quick": lambda: verify.main([*flags, "--quick"]),
        "report": lambda: report.main([*flags, "--num_samples", "2"]),
        "prune --dry_run": lambda: prune.main([*flags, "--keep", "1", "--dry_run"]),
        "prune": lambda: prune.main([*flags, "--keep", "1"]),
        "rollback": lambda: rollback.main([*flags, "--version", "000001"]),
        "relabel": lambda: relabel.main([*flags, *lists]),
        "relabel --dry_run": lambda: relabel.main([*flags, *lists, "--dry_run"]),
    }


class Trial:
    """A data set to be edited, and another beside it that must stay as it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.base = folder / "base"
        versions_by_hand.publish(self.base, versions_by_hand.without("101"))
        versions_by_hand.publish(self.base, quarantined=["105"])
        versions_by_hand.publish(folder / "outside")
        self._annotations = tiny_dataset.annotate(
            folder / "annotations", versions_by_hand.CLIPS, ("Rolling", "Tilting")
        )
        self._outside = versions_by_hand.snapshot(folder / "outside")
        self._frames = _frames(self.base, "000002")
        self._needed = _shards_of(self.base)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self, name: str, edit: Edit) -> None:
        """Edits a copy for each command, and runs it there."""
        for command in _commands(self._folder, self._annotations):
            dataset = self._folder / "edited"
            shutil.rmtree(dataset, ignore_errors=True)
            shutil.copytree(self.base, dataset)
            edit(dataset)
            there = {place for place in self._needed if (dataset / place).exists()}
            self.counts["runs"] += 1
            for fault in self._faults(dataset, command, there):
                self.counts[fault] += 1
                self.wrong.append(f"{fault}: {command}: {name}")

    def _faults(self, dataset: Path, command: str, there: set[str]) -> Iterator[str]:
        log = self._folder / "log"
        status = _status(lambda: _commands(dataset, self._annotations)[command](), log)
        text = log.read_bytes()
        if status is None:
            yield "hang"
        elif status not in (0, 1, 2):
            yield f"status {status}"
        if b"Traceback" in text:
            yield "traceback"
        if b"\x1b" in text:
            yield "escape"
        if max(map(len, text.splitlines()), default=0) > 20_000:
            yield "wall of text"
        if versions_by_hand.snapshot(self._folder / "outside") != self._outside:
            yield "outside"
        if any(not (dataset / place).exists() for place in there):
            yield "needed shard removed"
        if status == 0 and command in ("relabel", "rollback"):
            for version in sorted((dataset / "versions").glob("00000[3-9]")):
                expected = {"relabel": self._frames}.get(command)
                if expected is not None and _frames(dataset, version.name) != expected:
                    yield "cut version"


def _status(call: Callable[[], int], log: Path) -> int | None:
    """Returns the exit status of a call in a process of its own, None if it hung."""
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            status = command_line.start(call, exit_at=lambda line: None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    deadline = time.monotonic() + COMMAND_SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _shards_of(dataset: Path) -> set[str]:
    shards = json.loads((dataset / MANIFEST).read_text())["shards"]
    return {f"shards/{shard['split']}/{shard['key']}" for shard in shards}


def _frames(dataset: Path, version: str) -> list[dict[str, Any]]:
    """Returns every clip of a version with its frames, read from where they are."""
    path = naming.clips_table_path(dataset / "versions" / version)
    columns = ["clip_id", "split", "status", "shard", "frames_offset", "frame_sizes"]
    rows = clips_table.read(path, columns).to_pylist()
    for row in rows:
        shard, offset, sizes = (row.pop(name) for name in columns[3:])
        content = b""
        if row["status"] == records.STORED:
            with (dataset / shard).open("rb") as file:
                file.seek(offset)
                content = file.read(sum(sizes))
        ends = itertools.accumulate(sizes, initial=0)
        row["frames"] = [content[a:b] for a, b in itertools.pairwise(ends)]
    return sorted(rows, key=lambda row: str(row["clip_id"]))


def main() -> int:
    """Makes the edits; returns 1 if a command did what it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--num_edits", type=int, default=100)
    parser.add_argument("--begin", type=int, default=0, help="edits to leave out first")
    flags = parser.parse_args()
    log_lines.configure()
    from pipelines.building import beam_runner, build_transforms  # before the forks

    assert beam_runner
    assert build_transforms
    trial = Trial(flags.folder)
    chosen = list(edits(trial.base))
    random.Random(SEED).shuffle(chosen)
    chosen = chosen[flags.begin :][: flags.num_edits]
    for name, edit in chosen:
        trial.run(name, edit)
    shutil.rmtree(flags.folder / "edited", ignore_errors=True)
    counts = dict(sorted(trial.counts.items()))
    sys.stdout.write("\n".join(trial.wrong[:200]) + "\n")
    sys.stdout.write(json.dumps({"edits": len(chosen), **counts}) + "\n")
    return int(bool(trial.wrong))


if __name__ == "__main__":
    sys.exit(main())
