import contextlib
import os
import sqlite3

import pytest

from mindrecord_io.shards import index_checks, mindrecord_encoding

NAME = "train-00000-of-00001.mindrecord"
ROW = (0, 0, 0, 9, 0, 1, 0, 9, 0, "101", 0, 48, 0, 1, 0, 3, 0, 64)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / f"{NAME}.db"
    path.write_bytes(mindrecord_encoding.index_file(NAME, [ROW]))
    return path


def test_an_index_as_it_is_written_is_right(path):
    assert index_checks.wrong_index(path) == ""


def test_the_index_of_a_real_shard_is_right(published_version):
    for entry in published_version.manifest.shards:
        path = published_version.shard_path(entry)
        index = path.with_name(f"{path.name}.db")
        assert index_checks.wrong_index(index) == ""


RECURSIVE = (
    "DROP TABLE SHARD_NAME",
    "CREATE VIEW SHARD_NAME AS WITH RECURSIVE n(NAME) AS "
    "(SELECT 'a' UNION ALL SELECT NAME FROM n) SELECT NAME FROM n",
)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (RECURSIVE, "has other tables than"),
        (("DROP TABLE INDEXES",), "has other tables than"),
        (("CREATE TABLE more (a)",), "has other tables than"),
        (
            ("CREATE TRIGGER t INSERT ON INDEXES BEGIN SELECT 1; END",),
            "has other tables",
        ),
        (("UPDATE SHARD_NAME SET NAME = 'other'",), "is the index of [('other',)]"),
    ],
)
def test_another_database_is_refused(path, statements, reason):
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    assert reason in index_checks.wrong_index(path)


def test_a_question_of_too_many_steps_is_given_up(path, monkeypatch):
    monkeypatch.setattr(index_checks, "_MAX_NUM_STEPS", 5)
    monkeypatch.setattr(index_checks, "_STEPS_PER_CALL", 1)
    assert index_checks.wrong_index(path) == "is no index of a shard: interrupted"


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0junk", b"x" * 5000])
def test_what_is_no_database_is_refused(path, content):
    path.write_bytes(content)
    assert index_checks.wrong_index(path) != ""


@pytest.mark.timeout(30)
def test_a_pipe_is_not_opened(path):
    path.unlink()
    os.mkfifo(path)
    assert "is a pipe" in index_checks.wrong_index(path)
