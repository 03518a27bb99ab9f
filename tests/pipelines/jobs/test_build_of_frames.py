"""Builds of clips that are folders of frames, by the command line."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from mindrecord_io import naming
from mindrecord_io.versions import opening
from tests.frame_files import NUM_FRAMES, jpeg, picture, write_folder

pytestmark = pytest.mark.slow

JESTER = {"train": {"1": 0, "2": 1, "3": 2, "4": 0}, "validation": {"5": 1}}
LABELS = ("Swiping Left", "Swiping Right", "No gesture")
NUM_SHARDS = 3

# MindSpore needs a process of its own; it decodes as whoever has no code of ours.
READ_PIXELS = """\
import hashlib, json, sys
import cv2, numpy as np
from mindspore.dataset import MindDataset

rows = (
    row
    for path in sys.argv[1:]
    for row in MindDataset(path, ["clip_id", "frames", "frame_sizes"], 1, shuffle=False)
    .create_dict_iterator(num_epochs=1, output_numpy=True)
)
read = {}
for row in rows:
    content = np.frombuffer(row["frames"].tobytes(), np.uint8)
    read[str(row["clip_id"])] = [
        hashlib.sha256(cv2.imdecode(jpeg, cv2.IMREAD_COLOR).tobytes()).hexdigest()
        for jpeg in np.split(content, np.cumsum(row["frame_sizes"])[:-1])
    ]
print(json.dumps(read))
"""

# What the reader of training gives of the one clip of a split, whole and in order.
READ_BATCH = """\
import json, sys
import numpy as np
from mindrecord_io.serving import reader, views
from mindrecord_io.serving.batches import BatchPlan

view = views.CentreView(num_segments=5, crop_px=72, resize_px=72)
steps = reader.open_split(sys.argv[1], "validation", view, BatchPlan(1))
(frames, label_ids), = list(steps)
np.save(sys.argv[2], frames)
print(json.dumps(label_ids.tolist()))
"""


@pytest.fixture(scope="module")
def jester(tmp_path_factory):
    """Jester as it is published: lists, and a folder of frames a clip."""
    package = tmp_path_factory.mktemp("jester")
    (package / "lists").mkdir()
    text = "".join(f"{name}\n" for name in LABELS)
    (package / "lists" / "jester-v1-labels.csv").write_text(text)
    for split, clips in JESTER.items():
        text = "".join(f"{clip_id};{LABELS[k]}\n" for clip_id, k in clips.items())
        (package / "lists" / f"jester-v1-{split}.csv").write_text(text)
        for clip_id in clips:
            write_folder(package / "20bn-jester-v1" / clip_id)
    return package


def command(tools, name, *words):
    done = tools.run_command(name, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def build(tools, clips, annotations, dataset, *flags):
    places = ("--clips", clips, "--annotations", annotations, "--dataset", dataset)
    return command(tools, "build", *places, "--num_workers", 2, *flags)


@pytest.fixture(scope="module")
def built(jester, tools, tmp_path_factory):
    dataset = tmp_path_factory.mktemp("built") / "dataset"
    flags = ("--num_shards", NUM_SHARDS)
    build(tools, jester / "20bn-jester-v1", jester / "lists", dataset, *flags)
    return dataset


def rows(dataset):
    found = opening.open_version(dataset).read_clips().to_pylist()
    return {row["clip_id"]: row for row in found}


def run(tools, program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=tools.command_environment(),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_table_and_the_lists_name_every_clip(built, jester):
    found = rows(built)

    assert {clip_id: row["label_id"] for clip_id, row in found.items()} == {
        **JESTER["train"],
        **JESTER["validation"],
    }
    row = found["3"]
    folder = jester / "20bn-jester-v1" / "3"
    assert (row["uri"], row["status"], row["reason"]) == (str(folder), "stored", "")
    assert (row["num_frames"], row["width"], row["height"]) == (NUM_FRAMES, 96, 72)
    sizes = [path.stat().st_size for path in sorted(folder.iterdir())]
    assert (row["frame_sizes"], row["source_num_bytes"]) == (sizes, sum(sizes))
    assert (row["fps_from_header"], row["duration_seconds_from_content"]) == (0, 0)
    labels = naming.labels_folder(opening.open_version(built).folder)
    assert (labels / "val_videofolder.txt").read_text() == "5 5 1"


def test_plain_mindspore_reads_the_pixels_of_the_files(built, jester, tools):
    version = opening.open_version(built)
    paths = [version.shard_path(entry) for entry in version.manifest.shards]

    read = run(tools, READ_PIXELS, *paths)

    def pixels(path):
        return hashlib.sha256(cv2.imread(str(path)).tobytes()).hexdigest()

    assert read == {
        folder.name: [pixels(path) for path in sorted(folder.iterdir())]
        for folder in (jester / "20bn-jester-v1").iterdir()
    }


def test_training_reads_the_pixels_of_the_files(built, jester, tools, tmp_path):
    label_ids = run(tools, READ_BATCH, built, tmp_path / "frames.npy")

    assert label_ids == [JESTER["validation"]["5"]]
    (frames,) = np.load(tmp_path / "frames.npy")
    files = sorted((jester / "20bn-jester-v1" / "5").iterdir())
    for found, path in zip(frames, files, strict=True):
        fast = {"fastdct": True, "fastupsample": True}
        whole = simplejpeg.decode_jpeg(path.read_bytes(), "RGB", **fast)
        assert (found == whole[:, 12:84].transpose(2, 0, 1)).all()
        # That is not quite what cv2.imread makes of the same bytes.
        slow = cv2.imread(str(path))[:, 12:84, ::-1].transpose(2, 0, 1)
        assert np.abs(found.astype(int) - slow).mean() < 1.5


def test_nothing_changed_is_nothing_done_and_one_frame_is_one_shard(
    built, jester, tools, tmp_path
):
    dataset = shutil.copytree(built, tmp_path / "dataset")
    package = shutil.copytree(jester, tmp_path / "jester")
    places = (package / "20bn-jester-v1", package / "lists", dataset)
    before = rows(dataset)

    again = build(tools, *places)
    (package / "20bn-jester-v1" / "2" / "00004.jpg").write_bytes(jpeg(picture(9)))
    changed = build(tools, *places)

    assert again["shards"] == {"reused": NUM_SHARDS, "relabelled": 0, "decoded": 0}
    assert changed["shards"]["decoded"] == 1
    assert changed["shards"]["reused"] == NUM_SHARDS - 1
    after = rows(dataset)
    assert after["2"]["frames_sha256"] != before["2"]["frames_sha256"]
    assert {k: row["frames_sha256"] for k, row in after.items() if k != "2"} == {
        k: row["frames_sha256"] for k, row in before.items() if k != "2"
    }


def test_the_other_commands_take_it_as_any_data_set(built, jester, tools, tmp_path):
    dataset = shutil.copytree(built, tmp_path / "dataset")
    lists = shutil.copytree(jester / "lists", tmp_path / "lists")
    text = (lists / "jester-v1-train.csv").read_text()
    (lists / "jester-v1-train.csv").write_text(
        text.replace("1;Swiping Left", "1;No gesture")
    )

    done = command(tools, "relabel", "--annotations", lists, "--dataset", dataset)

    assert done["shards"]["decoded"] == 0
    assert done["shards"]["relabelled"] == 1
    assert rows(dataset)["1"]["label"] == "No gesture"
    assert command(tools, "verify", "--dataset", dataset)["damaged"] == []
    page = command(tools, "report", "--dataset", dataset)["report"]
    assert "No gesture" in Path(page).read_text()


# By clip id: the reason, and a part of the details.
BROKEN = {
    "blank": ("empty", "blank has no files"),
    "gap": ("missing_frames", "1 of 5 frames lost: no frame 3"),
    "cut": ("truncated", "1 of 5 frames lost: img_00002.jpg: Premature end"),
    "mixed": ("concatenated", "img_00004.jpg: is 96x64, the first frame 96x72"),
    "renamed": ("not_jpeg", "img_00001.jpg: is no JPEG: WebM or Matroska"),
    "pngs": ("no_frames", "no file named .jpg or .jpeg, but img_00000.png"),
    "notes": ("foreign_files", "other things among its frames: notes.txt"),
    "flow": ("misnumbered", "flow_x_00000.jpg, img_00000.jpg are not of one"),
    "large": ("frame_too_large", "frames of 128x96, the limit: 9000 px"),
}


@pytest.fixture
def frames_of_strangers(package_copy):
    """Good clips and broken ones as the seed's loader looks for them, and files."""
    for path in package_copy.clips.iterdir():
        if path.stem not in ("101", "201"):
            path.unlink()
            write_folder(path.with_suffix(""), first=0, name="img_{:05d}.jpg")
    broken = {clip_id: package_copy.clips / clip_id for clip_id in BROKEN}
    for clip_id, folder in broken.items():
        size = {"height": 96, "width": 128} if clip_id == "large" else {}
        write_folder(folder, first=0, name="img_{:05d}.jpg", **size)
    for path in list(broken["blank"].iterdir()):
        path.unlink()
    (broken["gap"] / "img_00003.jpg").unlink()
    (broken["cut"] / "img_00002.jpg").write_bytes(jpeg(picture(2))[:-99])
    (broken["mixed"] / "img_00004.jpg").write_bytes(jpeg(picture(4, height=64)))
    shutil.copy(package_copy.clip("101"), broken["renamed"] / "img_00001.jpg")
    for path in list(broken["pngs"].iterdir()):
        path.rename(path.with_suffix(".png"))
    (broken["notes"] / "notes.txt").touch()
    (broken["flow"] / "flow_x_00000.jpg").write_bytes(jpeg(picture(0)))
    write_folder(package_copy.clips / "unlisted")
    train = {"101": 0, "102": 1, "103": 2, "104": 0, "105": 1, "gone": 0}
    package_copy.annotate(
        {
            "train": train | dict.fromkeys(BROKEN, 2),
            "validation": {"201": 2, "202": 0},
            "test": {"301": 0},
        }
    )
    return package_copy


def test_files_and_folders_good_and_broken_in_one_build(
    frames_of_strangers, tools, tmp_path
):
    places = (frames_of_strangers.clips, frames_of_strangers.annotations)
    flags = ("--max_quarantined", len(BROKEN) + 1, "--max_clip_pixels", 9000)

    said = build(tools, *places, tmp_path / "dataset", "--num_shards", 4, *flags)

    assert (said["num_clips"], said["num_quarantined"]) == (8, len(BROKEN) + 1)
    found = rows(tmp_path / "dataset")
    for clip_id, (reason, detail) in BROKEN.items():
        assert found[clip_id]["status"] == "quarantined"
        assert found[clip_id]["reason"] == reason
        assert detail in found[clip_id]["detail"]
    stored = {k: r["num_frames"] for k, r in found.items() if r["status"] == "stored"}
    folders = dict.fromkeys(("102", "103", "104", "105", "202", "301"), NUM_FRAMES)
    assert stored == {"101": 6, "201": 3, **folders}
    assert (found["unlisted"]["status"], found["gone"]["status"]) == (
        *("unlisted", "missing"),
    )


def test_some_frames_may_be_lost(frames_of_strangers, tools, tmp_path):
    places = (frames_of_strangers.clips, frames_of_strangers.annotations)
    flags = ("--max_quarantined", len(BROKEN) - 1, "--accept_partial", 0.3)

    build(tools, *places, tmp_path / "dataset", *flags)

    found = rows(tmp_path / "dataset")
    for clip_id in ("gap", "cut"):
        row = found[clip_id]
        assert (row["status"], row["reason"]) == ("stored", "partial")
        assert (row["num_frames"], row["num_frames_lost"]) == (4, 1)
        assert BROKEN[clip_id][1] in row["detail"]
