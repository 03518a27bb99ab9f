import numpy as np
import pyarrow as pa

from mindrecord_io.storage import table_join

TABLE = pa.table({"clip_id": ["a", "b", "c", "b"], "size": [1, 2, 3, 9]})


def test_rows_come_in_the_order_of_the_ids_and_nulls_where_there_is_none():
    found = table_join.aligned(TABLE, pa.array(["c", "x", "a", "c"]))
    assert found.to_pydict() == {
        "clip_id": ["c", None, "a", "c"],
        "size": [3, None, 1, 3],
    }


def test_of_several_rows_of_an_id_the_first_is_taken():
    found = table_join.aligned(TABLE, pa.array(["b"]))
    assert found.column("size").to_pylist() == [2]


def test_no_rows_align_with_no_ids_and_with_any():
    empty = TABLE.slice(0, 0)
    assert table_join.aligned(TABLE, pa.array([], pa.string())).num_rows == 0
    assert table_join.aligned(empty, pa.array(["a"])).to_pylist() == [
        {"clip_id": None, "size": None}
    ]


def test_ids_are_among_others_and_null_is_not():
    ids = pa.array(["a", None, "z"])
    assert table_join.is_among(ids, pa.array(["z", "y"])).tolist() == [
        False,
        False,
        True,
    ]


def test_null_is_not_true():
    values = pa.chunked_array([[True, None], [False]])
    assert table_join.mask(values).tolist() == [True, False, False]


def test_chosen_rows_of_several_tables_come_together():
    chosen = np.array([False, True, False, True])
    both = table_join.chosen_rows(chosen, TABLE, TABLE.select(["size"]))
    assert list(both) == [
        ({"clip_id": "b", "size": 2}, {"size": 2}),
        ({"clip_id": "b", "size": 9}, {"size": 9}),
    ]
    assert list(table_join.chosen_rows(np.zeros(4, np.bool_), TABLE)) == []
