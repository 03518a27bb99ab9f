import dataclasses
import json
import shutil

import pyarrow as pa
import pytest
from pyarrow import parquet

from mindrecord_io import naming, records
from mindrecord_io.shards import schema
from mindrecord_io.storage import files
from mindrecord_io.versions import opening
from pipelines.building import child_process, label_files, verify_transforms
from pipelines.jobs import verify
from pipelines.jobs.parsers import VerifyOptions
from tests import versions_by_hand as by_hand

HUGE = b"\x7f" + b"\xff" * 7


@pytest.fixture
def dataset(published_version, tmp_path):
    """A copy, to be damaged, of real shards: two of train, one of validation."""
    dataset = tmp_path / "dataset"
    shutil.copytree(published_version.dataset, dataset)
    folder = naming.labels_folder(published_version.folder)
    names = published_version.category_names()
    folder = dataset / folder.relative_to(published_version.dataset)
    shutil.rmtree(folder)
    folder.mkdir()
    columns = ("clip_id", "split", "label_id", "label")
    rows = published_version.read_clips([*columns, "num_frames", "status"]).to_pylist()
    label_files.write_label_files(
        folder,
        records.LabelMap(tuple(names)),
        [
            (records.Annotation(*(row[name] for name in columns)), row["num_frames"])
            for row in rows
            if row["status"] == records.STORED
        ],
    )
    return dataset


@pytest.fixture
def by_hand_dataset(tmp_path):
    """A data set whose rows cannot be read, as no MindRecord wrote them."""
    by_hand.publish(tmp_path / "dataset")
    return tmp_path / "dataset"


@pytest.fixture
def reader(monkeypatch):
    """Replaces the process that reads rows by what the test sets as `answer`."""

    class Reader:
        answer = staticmethod(lambda request: {"wrong": []})
        started, killed = 0, 0

        def __init__(self, module):
            assert module == "pipelines.building.row_check_child"
            Reader.started += 1

        def send(self, header):
            self.request = header

        def receive(self, max_seconds, max_payload_num_bytes):
            assert max_seconds > 100
            return Reader.answer(self.request), b""

        def kill(self):
            Reader.killed += 1

    monkeypatch.setattr(verify_transforms.child_process, "ChildProcess", Reader)
    return Reader


def shard_paths(dataset):
    return [entry.path for entry in opening.open_version(dataset).manifest.shards]


def overwrite(path, position, content):
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content)


def flip(path, position):
    content = path.read_bytes()
    overwrite(path, position, bytes([content[position] ^ 1]))


def adopt(dataset, path):
    """Makes a shard's changed file the published one, in manifest and summary."""
    fingerprint = records.to_json(files.fingerprint(dataset / path))
    summary_path = naming.summary_path((dataset / path).parent)
    summary = json.loads(summary_path.read_text())
    summary_path.write_text(json.dumps(summary | {"mindrecord": fingerprint}))
    manifest_path = naming.manifest_path(naming.version_folder(dataset, "000001"))
    manifest = json.loads(manifest_path.read_text())
    (entry,) = (shard for shard in manifest["shards"] if shard["path"] == path)
    entry["mindrecord"] = fingerprint
    entry["summary"] = records.to_json(files.fingerprint(summary_path))
    manifest_path.write_text(json.dumps(manifest))


def last_line(text):
    return json.loads(text.splitlines()[-1])


@pytest.mark.slow
def test_a_sound_version_is_reported_clean_and_left_alone(tools, dataset):
    before = by_hand.snapshot(dataset)
    done = tools.run_command("verify", "--dataset", dataset, "--num_workers", 2)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    result = last_line(done.stdout)
    assert result.pop("seconds") > 0
    assert result == {
        "version": "000001",
        "num_shards": 3,
        "num_clips": 11,
        "damaged": [],
    }
    assert by_hand.snapshot(dataset) == before


@pytest.mark.slow
def test_every_damage_is_reported_in_one_run(tools, dataset):
    first, second, third = shard_paths(dataset)
    begin = schema.HEADER_NUM_BYTES
    flip(dataset / first, 100)
    flip(dataset / f"{first}.db", 5000)
    flip(dataset / second, begin + 50)
    (dataset / f"{third}.db").unlink()
    (dataset / third).with_name("core").touch()
    list_path = "versions/000001/labels/val_videofolder.txt"
    (dataset / list_path).write_text("")

    done = tools.run_command("verify", "--dataset", dataset)

    assert done.returncode == 1
    damaged = {d["path"]: d["reason"] for d in last_line(done.stdout)["damaged"]}
    core = (dataset / third).with_name("core").relative_to(dataset).as_posix()
    assert damaged.keys() == {
        first,
        f"{first}.db",
        second,
        f"{third}.db",
        core,
        list_path,
    }
    assert damaged[f"{third}.db"] == "is missing, expected 16384 bytes"
    for path, reason in damaged.items():
        assert f"E pipelines.jobs.verify: damaged: {path}: {reason}\n" in done.stderr
    assert done.stderr.count("damaged: ") == 6


@pytest.mark.slow
def test_a_shard_that_crashes_its_reader_is_damage_and_the_others_are_read(
    tools, dataset
):
    """As if a shard had been damaged before it was hashed and published."""
    first, second, third = shard_paths(dataset)
    overwrite(dataset / first, schema.HEADER_NUM_BYTES + 8, HUGE)  # a field's length
    adopt(dataset, first)
    table = naming.clips_table_path(naming.version_folder(dataset, "000001"))
    change_label(dataset, table, clip_id="202", label_id=0)

    done = tools.run_command("verify", "--dataset", dataset, "--num_workers", 1)

    assert done.returncode == 1
    damaged = last_line(done.stdout)["damaged"]
    crashed = "has the published bytes, but the process that reads it: killed by SIG"
    (why,) = (d["reason"] for d in damaged if d["path"] == first)
    assert why.startswith(crashed)
    assert [d for d in damaged if d["path"] == second] == []
    (why,) = (d["reason"] for d in damaged if d["path"] == third)
    assert why.endswith("clip 202: label 1, in clips.parquet 0")


def change_label(dataset, table_path, *, clip_id, label_id):
    """Changes a label in the table and in the summary, but not in the shard."""
    table = parquet.read_table(table_path)
    rows = table.to_pylist()
    (row,) = (row for row in rows if row["clip_id"] == clip_id)
    row["label_id"] = label_id
    parquet.write_table(pa.Table.from_pylist(rows, schema=table.schema), table_path)
    said = opening.open_version(dataset).manifest
    summary_path = naming.summary_path((dataset / row["shard"]).parent)
    summary = json.loads(summary_path.read_text())
    (clip,) = (clip for clip in summary["clips"] if clip["clip_id"] == clip_id)
    clip["label_id"] = label_id
    summary_path.write_text(json.dumps(summary))
    shards = [
        dataclasses.replace(shard, summary=files.fingerprint(summary_path))
        if shard.path == row["shard"]
        else shard
        for shard in said.shards
    ]
    said = dataclasses.replace(
        said, clips_table=files.fingerprint(table_path), shards=tuple(shards)
    )
    path = naming.manifest_path(naming.version_folder(dataset, said.version))
    path.write_text(json.dumps(records.to_json(said)))


def test_quick_looks_at_sizes_and_counts_alone(by_hand_dataset, capsys):
    first, second, *_ = shard_paths(by_hand_dataset)
    flip(by_hand_dataset / first, 3)
    assert verify.main(["--dataset", str(by_hand_dataset), "--quick"]) == 0
    assert last_line(capsys.readouterr().out)["damaged"] == []

    with (by_hand_dataset / second).open("ab") as file:
        file.write(b"more")
    num_bytes = (by_hand_dataset / second).stat().st_size
    assert verify.main(["--dataset", str(by_hand_dataset), "--quick"]) == 1
    assert last_line(capsys.readouterr().out)["damaged"] == [
        {"path": second, "reason": f"has {num_bytes} bytes, expected {num_bytes - 4}"}
    ]


def test_every_shard_whose_hash_is_right_is_read(by_hand_dataset, reader, tmp_path):
    asked = []
    reader.answer = lambda request: asked.append(request) or {"wrong": []}
    flip(by_hand_dataset / shard_paths(by_hand_dataset)[1], 3)

    result = verify.verify(VerifyOptions(by_hand_dataset, num_workers=2))

    assert [damage.reason[:12] for damage in result.damaged] == ["has SHA-256 "]
    assert sorted(request["shard_index"] for request in asked) == [0, 2, 3]
    assert {request["version"] for request in asked} == {"000001"}
    assert reader.killed == reader.started > 0


def test_what_the_reader_finds_is_damage_of_the_shard(by_hand_dataset, reader):
    reader.answer = lambda request: {
        "wrong": ["one", "two"] if request["shard_index"] == 2 else []
    }
    result = verify.verify(VerifyOptions(by_hand_dataset))
    path = shard_paths(by_hand_dataset)[2]
    assert [(d.path, d.reason) for d in result.damaged] == [
        (path, "one"),
        (path, "two"),
    ]


def test_readers_that_die_or_hang_are_replaced(by_hand_dataset, reader):
    def answer(request):
        if request["shard_index"] == 0:
            raise child_process.ChildDiedError("killed by SIGSEGV")
        if request["shard_index"] == 1:
            raise child_process.ChildTimeoutError("no answer within 121 s")
        return {"wrong": []}

    reader.answer = answer
    result = verify.verify(VerifyOptions(by_hand_dataset))
    prefix = "has the published bytes, but the process that reads it: "
    assert [damage.reason for damage in result.damaged] == [
        f"{prefix}killed by SIGSEGV",
        f"{prefix}no answer within 121 s",
    ]
    assert reader.started == 3


def test_with_a_damaged_table_shards_are_still_hashed(by_hand_dataset, reader):
    def refuse(request):
        raise AssertionError(request)

    reader.answer = refuse
    table = naming.clips_table_path(naming.version_folder(by_hand_dataset, "000001"))
    flip(table, 40)
    path = shard_paths(by_hand_dataset)[0]
    flip(by_hand_dataset / path, 3)
    result = verify.verify(VerifyOptions(by_hand_dataset))
    assert [d.path for d in result.damaged] == ["versions/000001/clips.parquet", path]
    assert reader.started == 0


def test_shards_of_which_nothing_is_stored_are_not_read(tmp_path, reader):
    by_hand.publish(tmp_path, {"train": {"101": 0}}, quarantined=["101"])
    result = verify.verify(VerifyOptions(tmp_path))
    assert (result.num_shards, result.num_clips, result.damaged) == (1, 0, ())
    assert reader.started == 0


def test_an_older_version_can_be_named(by_hand_dataset, reader, capsys):
    by_hand.publish(by_hand_dataset, by_hand.without("101"))
    argv = ["--dataset", str(by_hand_dataset), "--version", "000001"]
    assert verify.main(argv) == 0
    result = last_line(capsys.readouterr().out)
    assert (result["version"], result["num_clips"]) == ("000001", 6)


def test_receipts_lie_in_the_scratch_folder_and_are_removed(
    by_hand_dataset, reader, tmp_path
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    seen = []

    def answer(request):
        seen.extend(path.name[:7] for path in scratch.iterdir())
        return {"wrong": []}

    reader.answer = answer
    argv = ["--dataset", str(by_hand_dataset), "--scratch", str(scratch)]
    assert verify.main(argv) == 0
    assert set(seen) == {"verify-"}
    assert list(scratch.iterdir()) == []


def test_a_shard_that_nobody_checked_fails_the_command(
    by_hand_dataset, reader, monkeypatch, caplog
):
    monkeypatch.setattr(verify_transforms, "read_receipts", lambda folder: [])
    assert verify.main(["--dataset", str(by_hand_dataset)]) == 1
    assert "verify failed: 0 of 4 shards left a receipt in " in caplog.text
    assert "need --scratch DIR, a folder they share" in caplog.text


def test_a_task_that_fails_fails_the_command(
    by_hand_dataset, reader, monkeypatch, caplog
):
    def fail(folder, name, content):
        raise OSError("disk full")

    monkeypatch.setattr(verify_transforms.receipts, "write", fail)
    assert verify.main(["--dataset", str(by_hand_dataset)]) == 1
    assert "verify failed: the pipeline failed: " in caplog.text
    assert "disk full" in caplog.text


def test_receipts_come_back_in_the_order_of_the_manifest(tmp_path):
    damage = verify_transforms.version_checks.Damage("a", "b")
    receipts = [
        verify_transforms.CheckReceipt(0, 3, ()),
        verify_transforms.CheckReceipt(1, 4, (damage,)),
        verify_transforms.CheckReceipt(2, 0, (damage, damage)),
    ]
    for name, receipt in zip("cab", receipts, strict=True):
        text = json.dumps(records.to_json(receipt))
        (tmp_path / f"{name}.json").write_text(text)
    assert verify_transforms.read_receipts(tmp_path) == receipts


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--version", "000007"], "no version 000007, there are ['000001']"),
        (["--scratch", "/nowhere"], "No such file or directory"),
    ],
)
def test_what_cannot_be_done_ends_with_status_1(by_hand_dataset, caplog, more, reason):
    assert verify.main(["--dataset", str(by_hand_dataset), *more]) == 1
    assert caplog.messages[-1].startswith("verify failed: ")
    assert reason in caplog.messages[-1]


def test_no_data_set_ends_with_status_1(tmp_path, caplog):
    assert verify.main(["--dataset", str(tmp_path)]) == 1
    assert "no data set here, or none published yet" in caplog.text


def test_a_newer_format_ends_with_status_1(by_hand_dataset, caplog):
    folder = naming.version_folder(by_hand_dataset, "000001")
    path = naming.manifest_path(folder)
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"format_version": 999}))
    assert verify.main(["--dataset", str(by_hand_dataset)]) == 1
    assert "format version 999 is newer than this program's" in caplog.text


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ([], "--dataset"),
        (["--dataset", "x", "--num_workers", "0"], "at least 1"),
        (["--dataset", "x", "--version", "1.0"], "a version is named like '000003'"),
        (["--dataset", "x", "--versoin=1"], "nearest: --version"),
        (["--dataset", "x", "--data", "y"], "no flag '--data' here or in Beam"),
    ],
)
def test_wrong_usage_ends_with_status_2(capsys, argv, reason):
    with pytest.raises(SystemExit) as ended:
        verify.main(argv)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_flags_of_beam_reach_beam():
    asked = verify._parse(["--dataset", "x", "--runner=FnApiRunner", "--quick"])
    assert asked.beam_flags == ("--runner=FnApiRunner",)
    assert asked.is_quick
