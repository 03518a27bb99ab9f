"""A data set on gs://, against an emulator: built, read, verified, pruned."""

import json

import pytest
from pyarrow import fs

from pipelines.publishing import data_sets
from tests import gs_server
from tests import versions_by_hand as by_hand


@pytest.fixture(scope="module")
def server():
    with gs_server.serving() as (host, files):
        yield host, files


@pytest.fixture
def files(server, monkeypatch, tmp_path):
    host, files = server
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    monkeypatch.setenv("CLIPMILL_CACHE", str(tmp_path / "cache"))
    return files


def contents(files, folder):
    read = {}
    selector = fs.FileSelector(folder, recursive=True, allow_not_found=True)
    for info in files.get_file_info(selector):
        if info.is_file:
            with files.open_input_stream(info.path) as file:
                read[info.path.removeprefix(f"{folder}/")] = file.read()
    return read


def upload(files, folder, target):
    for path in sorted(p for p in folder.rglob("[!.]*") if p.is_file()):
        below = path.relative_to(folder).as_posix()
        with files.open_output_stream(f"{target}/{below}") as file:
            file.write(path.read_bytes())


def last_line(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


READ = """
import sys
from mindrecord_io.serving import reader, views
from mindrecord_io.serving.batches import BatchPlan
view = views.CentreView(num_segments=2, crop_px=16, resize_px=16)
steps = reader.open_split(sys.argv[1], "train", view, BatchPlan(1))
print(sum(1 for _ in steps))
"""


@pytest.mark.slow
def test_a_build_there_gives_the_bytes_of_a_local_one_and_is_read_back(
    tools, package, files, tmp_path
):
    upload(files, package.clips, "clips/source")
    for dataset in ("gs://clips/made", tmp_path / "dataset"):
        clips = "gs://clips/source" if dataset == "gs://clips/made" else package.clips
        words = ["--clips", clips, "--annotations", package.annotations]
        done = tools.run_command("build", *words, "--dataset", dataset)
        assert last_line(done)["num_clips"] == 8
    made = contents(files, "clips/made")
    local = by_hand.snapshot(tmp_path / "dataset")
    shards = {p: content for p, content in local.items() if p.startswith("shards/")}
    assert {p: c for p, c in made.items() if p.startswith("shards/")} == shards
    assert made["CURRENT"] == b"000001\n"
    checked = tools.run_command("verify", "--dataset", "gs://clips/made")
    assert last_line(checked)["damaged"] == []
    assert tools.run_python("-c", READ, "gs://clips/made").stdout == "5\n"


def test_versions_and_shards_are_listed_without_objects_for_folders(files, tmp_path):
    by_hand.publish(tmp_path / "dataset")
    by_hand.publish(tmp_path / "dataset", by_hand.without("101"))
    upload(files, tmp_path / "dataset", "clips/listed")
    with data_sets.opened("gs://clips/listed") as data_set:
        local = data_sets.LocalDataSet(tmp_path / "dataset")
        assert data_set.list_versions() == ["000001", "000002"]
        assert data_set.shard_keys("train") == local.shard_keys("train")


def test_old_versions_are_pruned_and_gone_back_to(tools, files, tmp_path):
    by_hand.publish(tmp_path / "dataset")
    by_hand.publish(tmp_path / "dataset", by_hand.without("101"))
    upload(files, tmp_path / "dataset", "clips/set")
    words = ["--dataset", "gs://clips/set"]
    back = last_line(tools.run_command("rollback", *words, "--version", "000001"))
    assert back == {"version": "000003", "same_as": "000001"}
    pruned = last_line(tools.run_command("prune", *words, "--keep", "1"))
    assert pruned["removed_versions"] == ["000001", "000002"]
    assert last_line(tools.run_command("verify", *words, "--quick"))["damaged"] == []
    assert not [path for path in contents(files, "clips/set") if ".incomplete" in path]
