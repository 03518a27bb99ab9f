"""Whole builds by the command line: what is stored, and what it says of it."""

import hashlib
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mindrecord_io import naming
from mindrecord_io.storage import files
from mindrecord_io.versions import opening

FLAGS = ("--num_shards", 5, "--page_mib", 1)
RESULT_KEYS = [
    *("version", "num_clips", "num_quarantined", "num_frames", "shards", "num_bytes"),
    *("seconds", "clips_per_second", "lost", "num_leaks", "num_label_conflicts"),
    "num_sources_read",
]

# MindSpore needs a process of its own; it is given nothing but files.
READ_ALL = """\
import hashlib, json, sys
from mindspore.dataset import MindDataset

columns = ["clip_id", "label", "num_frames", "frame_sizes", "frames", "height", "width"]
rows = [
    row
    for path in sys.argv[1:]
    for row in MindDataset(path, columns, 1, shuffle=False).create_dict_iterator(
        num_epochs=1, output_numpy=True
    )
]
for row in rows:
    print(json.dumps({
        "clip_id": str(row["clip_id"]),
        "label": int(row["label"]),
        "num_frames": int(row["num_frames"]),
        "frame_sizes": row["frame_sizes"].tolist(),
        "sha256": hashlib.sha256(row["frames"].tobytes()).hexdigest(),
        "size": [int(row["width"]), int(row["height"])],
    }))
"""


def build(tools, package, dataset, *flags, **arguments):
    return tools.run_command(
        *("build", "--clips", package.clips, "--annotations", package.annotations),
        *("--dataset", dataset, *flags),
        **arguments,
    )


@pytest.fixture(scope="module")
def built(package, tools, tmp_path_factory):
    """The package, built: what the command said, and the version."""
    dataset = tmp_path_factory.mktemp("built") / "dataset"
    done = build(tools, package, dataset, *FLAGS, "--num_workers", 2)
    assert done.returncode == 0, done.stderr
    return done, opening.open_version(dataset)


def table(version, *columns):
    return version.read_clips(["clip_id", *columns]).to_pylist()


def shard_files(dataset):
    """The SHA-256 of every file below shards/, by path."""
    folder = dataset / "shards"
    return {
        str(path.relative_to(folder)): files.fingerprint(path).sha256
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_standard_output_is_one_line_of_json(built):
    done, version = built

    assert done.stdout.count("\n") == 1
    said = json.loads(done.stdout)
    assert list(said) == RESULT_KEYS
    assert said["version"] == version.manifest.version == "000001"
    assert (said["num_clips"], said["num_quarantined"], said["num_frames"]) == (
        8,
        0,
        31,
    )
    assert said["num_bytes"] == sum(
        path.stat().st_size for path in version.dataset.rglob("*.mindrecord*")
    )
    assert said["shards"] == {
        "reused": 0,
        "relabelled": 0,
        "decoded": len(version.manifest.shards),
    }
    assert said["seconds"] > 0
    assert said["clips_per_second"] > 0


def test_standard_error_tells_of_every_shard(built):
    done, version = built

    for entry in version.manifest.shards:
        place = f"{entry.split} shard {entry.index} of {entry.num_shards}"
        assert (
            f"I pipelines.building.build_transforms: decoded {place}: " in done.stderr
        )
    assert f"version 000001 of {version.dataset}: 8 clips, 31 frames" in done.stderr


def test_every_good_clip_is_stored_with_its_annotation(built, tools, package):
    _, version = built

    columns = ("split", "label_id", "label", "status", "num_frames", "uri")
    rows = {row.pop("clip_id"): row for row in table(version, *columns)}
    assert rows == {
        clip_id: {
            "split": split,
            "label_id": -1 if split == "test" else label_id,
            "label": "" if split == "test" else tools.LABELS[label_id],
            "status": "stored",
            "num_frames": tools.NUM_FRAMES.get(clip_id, 3),
            "uri": str(package.clip(clip_id)),
        }
        for split, label_ids in tools.SPLITS.items()
        for clip_id, label_id in label_ids.items()
    }


def test_label_files_are_those_of_the_ecosystem_byte_for_byte(built):
    folder = naming.labels_folder(built[1].folder)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "category.txt": b"Moving something left\nMoving something right\nRest",
        "train_videofolder.txt": b"101 6 0\n102 3 1\n103 5 2\n104 4 0\n105 4 1",
        "val_videofolder.txt": b"201 3 2\n202 3 0",
        "test_videofolder.txt": b"301 3 0",
    }


def test_frame_k_of_every_clip_is_frame_k_of_its_file(built, tools):
    version = built[1]

    for row in table(version, "shard", "frames_offset", "frame_sizes"):
        content = (version.dataset / row["shard"]).read_bytes()
        begin, levels = row["frames_offset"], []
        for num_bytes in row["frame_sizes"]:
            jpeg = np.frombuffer(content[begin : begin + num_bytes], np.uint8)
            levels.append(cv2.imdecode(jpeg, cv2.IMREAD_COLOR).mean())
            begin += num_bytes
        assert levels == pytest.approx(tools.grey_levels(row["clip_id"]), abs=3)


def test_plain_mindspore_reads_every_row_of_every_split(built, tools):
    version = built[1]
    paths = [version.shard_path(entry) for entry in version.manifest.shards]

    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, *map(str, paths)],
        capture_output=True,
        text=True,
        env=tools.command_environment(),
    )

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    columns = ("label_id", "num_frames", "frame_sizes", "frames_sha256")
    assert rows == [
        {
            "clip_id": row["clip_id"],
            "label": row["label_id"],
            "num_frames": row["num_frames"],
            "frame_sizes": row["frame_sizes"],
            "sha256": row["frames_sha256"],
            "size": [64, 48],
        }
        for row in table(version, *columns)
    ], done.stderr


def test_the_number_of_workers_does_not_change_a_byte(built, tools, package, tmp_path):
    done = build(tools, package, tmp_path, *FLAGS, "--num_workers", 1)

    assert done.returncode == 0, done.stderr
    assert shard_files(tmp_path) == shard_files(built[1].dataset)
    assert opening.open_version(tmp_path).read_clips() == built[1].read_clips()


def test_building_again_decodes_nothing_and_the_version_stays(
    built, tools, package, tmp_path
):
    dataset = shutil.copytree(built[1].dataset, tmp_path / "dataset")

    done = build(tools, package, dataset, "--page_mib", 1)

    said = json.loads(done.stdout)
    assert done.returncode == 0
    assert said["version"] == "000001"
    assert said["shards"] == {
        "reused": len(built[1].manifest.shards),
        "relabelled": 0,
        "decoded": 0,
    }
    assert "no clip, label or setting changed: version 000001 stays" in done.stderr
    assert shard_files(dataset) == shard_files(built[1].dataset)
    assert opening.list_versions(dataset) == ["000001"]


@pytest.mark.slow
def test_short_side_and_quality_reach_the_frames(built, tools, package, tmp_path):
    done = build(
        *(tools, package, tmp_path, *FLAGS),
        *("--short_side", 16, "--jpeg_quality", 40, "--num_workers", 2),
    )

    assert done.returncode == 0, done.stderr
    version = opening.open_version(tmp_path)
    assert {(r["width"], r["height"]) for r in table(version, "width", "height")} == {
        (21, 16)
    }
    assert version.manifest.settings.jpeg_quality == 40


def test_a_clip_that_cannot_be_read_fails_the_build_by_name(
    tools, package_copy, tmp_path
):
    # Nobody can read it, not even root: no memory is where its bytes begin.
    package_copy.clip("103").unlink()
    package_copy.clip("103").symlink_to("/proc/self/mem")

    done = build(tools, package_copy, tmp_path / "dataset", "--max_quarantined", 9)

    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.strip().rpartition("build failed: ")[2]
    assert f"clip 103: cannot read {package_copy.clip('103')}: Input/output" in last
    assert opening.current_name(tmp_path / "dataset") is None


def test_a_folder_that_cannot_be_written_fails_the_build(tools, package, tmp_path):
    (tmp_path / "file").touch()

    done = build(tools, package, tmp_path / "file" / "dataset")

    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert "build failed: " in done.stderr
    assert f"{tmp_path}/file/dataset" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_rival_build_is_a_conflict_that_loses_nothing(
    tools, package_copy, package, tmp_path, plant
):
    dataset = tmp_path / "dataset"
    waiting = package_copy.clip("105").rename(package_copy.clip("wait"))
    splits = tools.SPLITS | {"train": {"101": 0, "wait": 1}}
    package_copy.annotate(splits)
    command = tools.start_command(
        *("build", "--clips", package_copy.clips, "--dataset", dataset, *FLAGS),
        *("--annotations", package_copy.annotations),
        python_path=plant,
    )
    tools.wait_until(waiting.with_suffix(".waiting").exists, "the first build decodes")

    rival = build(tools, package, dataset, *FLAGS)
    waiting.with_suffix(".go").touch()
    output, errors = command.communicate(timeout=120)

    assert (rival.returncode, command.returncode, output) == (0, 1, "")
    assert "version 000001 was published by another process" in errors
    assert "run the same command again: finished shards are reused" in errors
    again = build(tools, package_copy, dataset, *FLAGS)
    assert json.loads(again.stdout)["shards"]["decoded"] == 0
    assert opening.current_name(dataset) == "000002"


@pytest.mark.slow
def test_a_build_killed_in_the_middle_leaves_no_process_and_is_resumed(
    tools, package_copy, tmp_path, plant
):
    dataset = tmp_path / "dataset"
    waiting = package_copy.clip("301").rename(package_copy.clip("wait"))
    package_copy.annotate(tools.SPLITS | {"test": {"wait": 0}})
    command = tools.start_command(
        *("build", "--clips", package_copy.clips, "--dataset", dataset, *FLAGS),
        *("--annotations", package_copy.annotations, "--num_workers", 2),
        python_path=plant,
    )
    tools.wait_until(
        lambda: (
            waiting.with_suffix(".waiting").exists()
            and len(list(dataset.rglob("summary.json"))) >= 2
        ),
        "two shards are published, one is being made",
    )
    processes = tools.child_pids(command.pid)

    command.kill()
    command.communicate()

    assert len(processes) >= 2
    tools.wait_until(lambda: not any(map(tools.is_alive, processes)), "orphans end")
    assert opening.current_name(dataset) is None
    waiting.with_suffix(".go").touch()
    again = build(tools, package_copy, dataset, *FLAGS)
    shards = json.loads(again.stdout)["shards"]
    assert shards["reused"] >= 2
    assert shards["decoded"] >= 1
    assert not [path for path in dataset.rglob("*") if naming.is_incomplete(path)]


def test_the_table_names_the_source_files_by_content(built, package):
    for row in table(built[1], "source_num_bytes", "source_sha256"):
        content = package.clip(row["clip_id"]).read_bytes()
        assert row["source_num_bytes"] == len(content)
        assert row["source_sha256"] == hashlib.sha256(content).hexdigest()
