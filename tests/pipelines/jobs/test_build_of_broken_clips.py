"""One build over a folder with every kind of broken clip, refused and then accepted."""

import json
import shutil
from pathlib import Path

import pytest

from mindrecord_io import naming
from mindrecord_io.versions import opening
from pipelines.decoding import matroska

pytestmark = pytest.mark.slow

CLUSTER = b"\x1f\x43\xb6\x75"  # begins what holds a WebM file's frames

# By clip id: the reason, and a part of the details.
BROKEN = {
    "cut": ("truncated", " of 24 frames; ffmpeg: "),
    "empty": ("empty", "/empty.webm has no bytes"),
    "picture": ("not_video", "but one JPEG"),
    "text": ("not_video", "begins 68 65 6c 6c 6f"),
    "playlist": ("not_video", "begins 23 45 58 54 4d 33 55"),
    "header": ("truncated", "header.webm is cut off: 0 "),
    "sound": ("audio_only", "sound and no video stream"),
    "twice": ("concatenated", "2 files one behind the other"),
    "ogg": ("wrong_container", "but Ogg"),
    "flipped": ("damaged", " of 6 frames; ffmpeg: [libvpx-vp9] "),
    "crash": ("decoder_crashed", "killed by SIGSEGV, 2 times"),
    "breed": (
        "timeout",
        "decoding waits, and takes longer than 4 s (--max_clip_seconds)",
    ),
    "fork": ("decoder_crashed", "killed by SIGSEGV, 2 times"),
    "leave": ("decoder_crashed", "exited with status 7, 2 times"),
    "sleep": (
        "timeout",
        "decoding waits, and takes longer than 4 s (--max_clip_seconds)",
    ),
    "eat": ("out_of_memory", "more than 600 MiB (--max_decoder_mib)"),
}
NUM_LOST = len(BROKEN) + 1  # and one is missing
FLAGS = (
    *("--num_shards", 6, "--num_workers", 2, "--page_mib", 1),
    *("--max_clip_seconds", 4, "--max_decoder_mib", 600),
)


def with_zeroed_frame(content):
    """Destroys the fourth frame of a clip."""
    begin, end = matroska.read(content).blocks[3]
    return content[:begin] + bytes(end - begin) + content[end:]


def break_clips(package, tools):
    """Adds every broken clip; those that only misbehave are good files."""
    good = package.clip("101").read_bytes()
    source = "testsrc2=size=96x64:rate=12:duration=2"
    tools.run_ffmpeg(
        "-f", "lavfi", "-i", source, "-c:v", "libvpx-vp9", package.clip("cut")
    )
    whole = package.clip("cut").read_bytes()
    package.clip("cut").write_bytes(whole[: len(whole) * 2 // 3])
    package.clip("empty").touch()
    jpeg = package.folder / "picture.jpg"
    tools.run_ffmpeg("-i", package.clip("101"), "-frames:v", "1", jpeg)
    package.clip("picture").write_bytes(b"\xff\xd8\xff\xe0" + jpeg.read_bytes()[4:])
    package.clip("text").write_text("hello world, this is no video")
    package.clip("playlist").write_text(f"#EXTM3U\n#EXTINF:1,\n{package.clip('101')}\n")
    package.clip("header").write_bytes(good[: good.index(CLUSTER)])
    sine = "sine=frequency=440:duration=0.2"
    tools.run_ffmpeg(
        "-f", "lavfi", "-i", sine, "-c:a", "libopus", package.clip("sound")
    )
    for clip_id in ("twice", "ogg"):
        package.clip(clip_id).write_bytes(good + good)
    package.clip("ogg").write_bytes(b"OggS" + good[4:])
    package.clip("flipped").write_bytes(with_zeroed_frame(good))
    for clip_id in ("crash", "sleep", "eat", "breed", "fork", "leave", "talk"):
        package.clip(clip_id).write_bytes(good)
    package.clip("unlisted").write_bytes(good)
    train = dict.fromkeys(["missing", "talk", *BROKEN], 1)
    package.annotate(tools.SPLITS | {"train": {**tools.SPLITS["train"], **train}})


@pytest.fixture(scope="module")
def builds(package, tools, plant, tmp_path_factory):
    """What the build said with too low a limit and then with a sufficient one.

    Also: what there was of versions after the first.
    """
    folder = tmp_path_factory.mktemp("broken")
    broken = type(package)(shutil.copytree(package.folder, folder / "package"))
    break_clips(broken, tools)
    words = (
        *("build", "--clips", broken.clips, "--annotations", broken.annotations),
        *("--dataset", folder / "dataset", *FLAGS, "--max_quarantined"),
    )
    refused = tools.run_command(*words, NUM_LOST - 1, python_path=plant)
    left = opening.list_versions(folder / "dataset")
    left += [path.name for path in (folder / "dataset").iterdir()]
    accepted = tools.run_command(*words, NUM_LOST, python_path=plant)
    return refused, left, accepted


@pytest.fixture(scope="module")
def version(builds):
    assert builds[2].returncode == 0, builds[2].stderr
    line = json.loads(builds[2].stdout)
    dataset = builds[2].args[builds[2].args.index("--dataset") + 1]
    return opening.open_version(Path(dataset), line["version"])


def rows(version):
    table = version.read_clips().to_pylist()
    return {row["clip_id"]: row for row in table}


def test_more_than_allowed_fail_the_build(builds):
    refused, _, _ = builds

    last = refused.stderr.splitlines()[-1]
    assert (refused.returncode, refused.stdout) == (1, "")
    assert (
        f"build failed: {NUM_LOST} clips cannot be stored, --max_quarantined allows "
        f"{NUM_LOST - 1}; nothing is published. The first: "
    ) in last
    named = [
        clip_id for clip_id in BROKEN if f"{clip_id} ({BROKEN[clip_id][0]}: " in last
    ]
    assert len(named) == 5


def test_a_failed_build_leaves_no_version(builds):
    _, left, _ = builds

    assert sorted(left) == ["shards", "versions"]  # no 000001, no CURRENT


def test_the_next_build_reuses_every_shard_of_the_failed_one(builds):
    said = json.loads(builds[2].stdout)

    assert said["version"] == "000001"
    assert said["shards"]["reused"] > 3
    assert (said["shards"]["relabelled"], said["shards"]["decoded"]) == (0, 0)
    assert (said["num_clips"], said["num_quarantined"]) == (9, NUM_LOST)


def test_every_good_clip_is_stored(version, tools):
    good = {clip_id for label_ids in tools.SPLITS.values() for clip_id in label_ids}
    good |= {"talk"}  # its decoder prints, and is none the worse

    stored = {k: row for k, row in rows(version).items() if row["status"] == "stored"}

    assert set(stored) == good
    for clip_id, row in stored.items():
        num_frames = 6 if clip_id == "talk" else tools.NUM_FRAMES.get(clip_id, 3)
        assert row["num_frames"] == num_frames


@pytest.mark.parametrize("clip_id", BROKEN)
def test_every_bad_clip_is_in_the_table_with_its_reason(version, clip_id):
    row = rows(version)[clip_id]

    reason, detail = BROKEN[clip_id]
    assert (row["status"], row["reason"]) == ("quarantined", reason)
    assert detail in row["detail"]
    assert (row["row"], row["num_frames"], row["frame_sizes"]) == (-1, 0, [])


def test_missing_and_unlisted_clips_are_in_the_table_too(version):
    found = rows(version)

    assert found["missing"]["status"] == "missing"
    assert found["missing"]["uri"] is None
    assert found["unlisted"]["status"] == "unlisted"
    said = version.manifest
    assert (said.num_quarantined, said.num_missing, said.num_unlisted) == (
        *(len(BROKEN), 1, 1),
    )


def test_the_label_files_name_no_bad_clip(version):
    listed = naming.labels_folder(version.folder) / "train_videofolder.txt"

    assert listed.read_text().split("\n") == [
        *("101 6 0", "102 3 1", "103 5 2", "104 4 0", "105 4 1", "talk 6 1")
    ]
