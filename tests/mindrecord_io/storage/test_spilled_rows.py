import gc
import os

import pyarrow as pa
import pytest

from mindrecord_io.storage import spilled_rows

SCHEMA = pa.schema([("number", pa.int64()), ("name", pa.string())])


@pytest.fixture
def few_in_memory(monkeypatch):
    monkeypatch.setattr(spilled_rows, "_MAX_BUFFERED", 7)


def spilled(num_rows, num_partitions=3):
    rows = spilled_rows.SpilledRows(SCHEMA, num_partitions)
    for number in range(num_rows):
        rows.append((number, f"n{number}"), number % num_partitions)
    return rows


def test_every_partition_has_its_rows_in_the_order_they_came(few_in_memory):
    rows = spilled(50)

    assert len(rows) == 50
    for partition in range(3):
        expected = [(n, f"n{n}") for n in range(partition, 50, 3)]
        assert list(rows.rows(partition)) == expected
        assert list(rows.rows(partition)) == expected  # as often as wanted


def test_batches_are_taken_apart_as_rows_are(few_in_memory):
    rows = spilled_rows.SpilledRows(SCHEMA, 3)
    for begin in range(0, 50, 5):
        numbers = range(begin, begin + 5)
        batch = spilled_rows.batch_of([(n, f"n{n}") for n in numbers], SCHEMA)
        rows.extend(batch, [n % 3 for n in numbers])
    assert len(rows) == 50
    for partition in range(3):
        assert list(rows.rows(partition)) == list(spilled(50).rows(partition))


def test_rows_may_be_added_after_some_were_read(few_in_memory):
    rows = spilled(5)
    assert len(list(rows.rows(0))) == 2
    rows.append((99, None), 0)
    assert list(rows.rows(0)) == [(0, "n0"), (3, "n3"), (99, None)]


def test_some_columns_are_read_alone():
    assert list(spilled(3, 1).rows(0, ["name"])) == [("n0",), ("n1",), ("n2",)]


def test_memory_holds_no_more_rows_than_it_may(few_in_memory):
    rows = spilled_rows.SpilledRows(SCHEMA, 3)
    most = 0
    for number in range(100):
        rows.append((number, ""), number % 3)
        most = max(most, sum(map(len, rows._buffers)))
    assert most == 6


def test_the_file_has_no_name_and_goes_with_the_rows(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rows = spilled(10)
    descriptor = rows._file.fileno()
    assert list(rows.rows(0))
    assert list(tmp_path.iterdir()) == []
    del rows
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_full_disk_is_told_with_where_and_what_to_do(monkeypatch):
    class FullDisk:
        def seek(self, offset):
            pass

        def write(self, content):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    rows = spilled(1)
    monkeypatch.setattr(rows, "_file", FullDisk())
    with pytest.raises(OSError, match=r"No space left .*TMPDIR says where") as error:
        list(rows.rows(0))
    assert error.value.filename


def test_there_is_at_least_one_partition():
    with pytest.raises(ValueError, match="num_partitions must be at least 1: 0"):
        spilled_rows.SpilledRows(SCHEMA, 0)


def test_a_view_is_a_sequence_of_values(few_in_memory):
    view = spilled_rows.SpilledView(spilled(20, 1), ["name", "number"], "{}:{}".format)

    assert len(view) == 20
    assert [view[0], view[19], view[-1]] == ["n0:0", "n19:19", "n19:19"]
    assert view[1:3] == ("n1:1", "n2:2")
    assert list(view) == list(view)
    assert view == tuple(view)
    assert view != tuple(view)[:-1]
    assert view != 5
    with pytest.raises(IndexError, match="no row 20 of 20"):
        view[20]


def test_bytes_that_are_no_such_rows_are_refused():
    content = spilled_rows.encoded(spilled_rows.batch_of([(1, "a")], SCHEMA))
    assert spilled_rows.decoded(content, SCHEMA).to_pylist() == [
        {"number": 1, "name": "a"}
    ]
    with pytest.raises(ValueError, match="not rows of"):
        spilled_rows.decoded(b"anything", SCHEMA)
    with pytest.raises(ValueError, match=r"rows of \['number', 'name'\], not \['x'\]"):
        spilled_rows.decoded(content, pa.schema([("x", pa.int8())]))
