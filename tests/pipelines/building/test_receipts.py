import json

import pytest

from mindrecord_io import records
from pipelines.building import receipts
from pipelines.building.receipts import ShardReceipt


def receipt(split, index, action="reused"):
    summary = records.Fingerprint(7, "0" * 64)
    return ShardReceipt(split, index, "k", action, 1.0, 2.5, summary)


def test_receipts_are_read_in_the_order_of_their_names(tmp_path):
    for index, name in ((1, "b.json"), (0, "a.json")):
        receipts.write(tmp_path, name, receipt("train", index))
    (tmp_path / ".c.json.1f").write_bytes(b"being written")
    (tmp_path / "notes").write_bytes(b"no receipt")
    assert receipts.names(tmp_path) == ["a.json", "b.json"]
    assert receipts.read(tmp_path, ShardReceipt) == [
        receipt("train", 0),
        receipt("train", 1),
    ]


def test_a_second_receipt_of_a_name_replaces_the_first(tmp_path):
    for action in ("reused", "decoded"):
        receipts.write(tmp_path, "a.json", receipt("test", 0, action))
    assert receipts.read(tmp_path, ShardReceipt) == [receipt("test", 0, "decoded")]


def test_a_receipt_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"split": "train"}')
    with pytest.raises(ValueError, match="missing fields"):
        receipts.read(tmp_path, ShardReceipt)


def test_receipts_of_shards_are_read_in_the_order_of_splits_and_shards(tmp_path):
    places = [("test", 0), ("validation", 1), ("train", 10), ("train", 9)]
    for split, index in places:
        name = receipts.shard_receipt_name(split, index, 11)
        fields = {"split": split, "index": index, "key": "k", "action": "reused"}
        times = {"begin_seconds": 1, "end_seconds": 2.5}
        summary = {"summary": {"num_bytes": 7, "sha256": "0" * 64}}
        (tmp_path / name).write_text(json.dumps(fields | times | summary))

    read = receipts.read_of_shards(tmp_path)

    assert [(r.split, r.index) for r in read] == [
        ("train", 9),
        ("train", 10),
        ("validation", 1),
        ("test", 0),
    ]
    assert read[0] == receipt("train", 9)


def test_names_of_receipts_are_those_of_the_shards():
    assert receipts.shard_receipt_name("train", 17, 512) == (
        "train-00017-of-00512.mindrecord.json"
    )


def test_a_folder_of_this_machine_goes_with_what_it_is_in(tmp_path):
    receipts.write(tmp_path, "a.json", receipt("train", 0))
    receipts.remove(tmp_path)
    assert receipts.names(tmp_path) == ["a.json"]
