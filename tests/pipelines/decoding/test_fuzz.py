"""One build over 2,000 seeded mutations of small clips, judged by ffmpeg beside it.

The judge is the ffmpeg program alone, every warning of its read; what the build makes
of a clip goes through the structure of the file, libavcodec and, where they doubt,
ffmpeg.
"""

import collections
import json
import random
import subprocess
from concurrent import futures

import pytest

from mindrecord_io.versions import opening
from pipelines import ffmpeg

pytestmark = pytest.mark.slow

SEED = 20_261_123
NUM_MUTANTS = 2000
NUM_UNTOUCHED = 20  # of each source
ACCEPTED_SHARE = 0.3
MAX_PROCESS_KIB = 2 << 20

# Runs `python -m pipelines WORDS` and leaves the size of its largest process in a file.
MEASURED = """\
import pathlib, resource, subprocess, sys
status = subprocess.call([sys.executable, "-m", "pipelines", *sys.argv[2:]])
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pathlib.Path(sys.argv[1]).write_text(str(most))
sys.exit(status)
"""

TESTSRC = "testsrc2=size=64x48:rate=12:duration={}"
SOURCES = {  # suffix decides the container, the codec follows
    "a": ("webm", TESTSRC.format(1), "-c:v", "libvpx-vp9"),
    "b": ("webm", TESTSRC.format(0.7), "-c:v", "libvpx-vp9", "-deadline", "realtime"),
    "c": ("webm", TESTSRC.format(0.9), "-c:v", "libvpx-vp9", "-g", "3"),
    "d": ("webm", TESTSRC.format(0.8), "-c:v", "libvpx"),
    "e": ("mkv", TESTSRC.format(0.8), "-c:v", "libvpx-vp9", "-pix_fmt", "yuv444p"),
    "f": ("mp4", TESTSRC.format(0.8), "-c:v", "libx264", "-movflags", "+faststart"),
    "g": ("avi", TESTSRC.format(0.7), "-c:v", "mpeg4"),
}
WEIGHTS = (6, 6, 6, 3, 2, 2, 1)


def flipped(rng, content, _):
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng, content, _):
    return content[: rng.randrange(1, len(content))]


def zeroed(rng, content, _):
    begin, size = rng.randrange(len(content)), rng.choice([1, 4, 16, 64, 256])
    end = min(len(content), begin + size)
    return content[:begin] + bytes(end - begin) + content[end:]


def spliced(rng, content, other):
    at, begin = rng.randrange(len(content)), rng.randrange(len(other))
    if rng.random() < 0.5:
        return content[:at] + other[begin:]
    return content[:at] + other[begin : begin + rng.randrange(1, 400)] + content[at:]


MUTATIONS = (flipped, cut, zeroed, spliced)


def mutants():
    """Yields nothing but the same mutations every time, given the same sources."""
    rng = random.Random(SEED)
    names = list(SOURCES)
    while True:
        name, other = rng.choices(names, WEIGHTS)[0], rng.choice(names)
        yield name, other, rng.choice(MUTATIONS), random.Random(rng.random())


@pytest.fixture(scope="module")
def clips(tmp_path_factory, tools):
    """A folder of clips, all named .webm: mutants m*, untouched copies u*."""
    folder = tmp_path_factory.mktemp("fuzz")
    contents = {}
    for name, (suffix, source, *encoding) in SOURCES.items():
        path = folder / f"{name}.{suffix}"
        same = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1")
        tools.run_ffmpeg("-f", "lavfi", "-i", source, *encoding, *same, path)
        contents[name] = path.read_bytes()
    (folder / "clips").mkdir()
    for name, content in contents.items():
        for copy in range(NUM_UNTOUCHED):
            (folder / "clips" / f"u{name}{copy}.webm").write_bytes(content)
    num_made = 0
    for name, other, mutate, rng in mutants():
        changed = mutate(rng, contents[name], contents[other])
        if changed not in contents.values():
            clip_id = f"m{num_made}-{name}-{mutate.__name__}"
            (folder / "clips" / f"{clip_id}.webm").write_bytes(changed)
            num_made += 1
        if num_made == NUM_MUTANTS:
            return folder / "clips"
    raise AssertionError("there is no end of mutants")


@pytest.fixture(scope="module")
def builds(clips, tools):
    """What the build said without and with leave to lose as many as it loses."""
    ids = sorted(path.stem for path in clips.iterdir())
    package = tools.Package(clips.parent)
    package.annotate({"train": dict.fromkeys(ids, 0), "validation": {}})
    words = (
        *("build", "--clips", clips, "--annotations", package.annotations),
        *("--dataset", clips.parent / "dataset", "--num_shards", 8, "--page_mib", 1),
        *("--num_workers", 2, "--max_clip_seconds", 30, "--max_decoder_mib", 800),
        *("--accept_partial", ACCEPTED_SHARE, "--max_quarantined"),
    )

    def build(max_lost):
        numbered = map(str, (*words, max_lost))
        largest = clips.parent / f"kib-{max_lost}"
        return tools.run_python("-c", MEASURED, str(largest), *numbered)

    refused = build(0)
    number = refused.stderr.splitlines()[-1].split(" clips cannot")[0].split()[-1]
    num_lost = int(number.replace(",", ""))
    return refused, build(num_lost), num_lost


@pytest.fixture(scope="module")
def rows(builds, clips):
    version = opening.open_version(clips.parent / "dataset")
    return {row["clip_id"]: row for row in version.read_clips().to_pylist()}


def is_damaged(path):
    """ffmpeg's own verdict: an error or any warning."""
    command = [ffmpeg.ffmpeg_path(), "-nostdin", "-v", "warning", "-threads", "1"]
    # In fine units of time: in those of the rate, uneven times collide in the muxer.
    times = ("-fps_mode", "passthrough", "-enc_time_base", "1/90000")
    done = subprocess.run(
        [*command, "-i", path, "-map", "0:v:0", *times, "-f", "null", "-"],
        capture_output=True,
        check=False,
    )
    return done.returncode != 0 or bool(done.stderr.strip())


def clean_sha256(rows, clip_id):
    """The hash of the frames of the clip from which a mutant was made."""
    source = clip_id.split("-")[1]
    return rows[f"u{source}0"]["frames_sha256"]


def test_the_exit_status_is_as_the_limit_says(builds):
    refused, accepted, num_lost = builds

    assert (refused.returncode, refused.stdout) == (1, "")
    assert accepted.returncode == 0, accepted.stderr[-2000:]
    assert json.loads(accepted.stdout)["num_quarantined"] == num_lost
    assert num_lost > NUM_MUTANTS / 4


def test_every_untouched_clip_is_stored_whole(rows):
    untouched = [row for clip_id, row in rows.items() if clip_id.startswith("u")]

    assert len(untouched) == len(SOURCES) * NUM_UNTOUCHED
    found = {
        (row["status"], row["reason"], row["num_frames_lost"]) for row in untouched
    }
    assert found == {("stored", "", 0)}


def test_every_mutant_that_ffmpeg_calls_damaged_is_quarantined_or_partial(rows, clips):
    mutants = [path for path in clips.iterdir() if path.name.startswith("m")]
    with futures.ThreadPoolExecutor(2) as executor:
        damaged = dict(zip(mutants, executor.map(is_damaged, mutants), strict=True))

    # A warning is no damage where the frames are those of the clean clip, to the bit.
    unnoticed = {
        path.stem
        for path in mutants
        if damaged[path]
        and not rows[path.stem]["reason"]
        and rows[path.stem]["frames_sha256"] != clean_sha256(rows, path.stem)
    }

    assert unnoticed == set()
    assert sum(damaged.values()) > NUM_MUTANTS / 4
    # What ffmpeg alone has no word for: frames that are missing, or of another size.
    lost_all_the_same = {
        rows[path.stem]["reason"]
        for path in mutants
        if not damaged[path] and rows[path.stem]["status"] == "quarantined"
    }
    assert lost_all_the_same <= {"truncated", "damaged", "concatenated"}


def test_partial_clips_lost_less_than_the_share_of_the_clean_clips_frames(rows):
    partial = [row for row in rows.values() if row["reason"] == "partial"]

    assert len(partial) > 10
    for row in partial:
        _, source, mutation = row["clip_id"].split("-")
        if mutation != spliced.__name__:
            num_clean = rows[f"u{source}0"]["num_frames"]
            assert num_clean - row["num_frames"] < ACCEPTED_SHARE * num_clean, row
        assert row["detail"]


def test_no_mutant_broke_a_limit_or_the_decoder(rows):
    reasons = collections.Counter(row["reason"] for row in rows.values())

    assert set(reasons) <= {
        *("", "partial", "truncated", "damaged", "not_decodable", "not_video"),
        "encrypted",
        *("audio_only", "concatenated", "no_frames", "too_many_frames"),
        "wrong_container",
    }


def test_no_process_needed_much_memory(builds, clips):
    sizes = [int(path.read_text()) for path in clips.parent.glob("kib-*")]

    assert len(sizes) == 2
    assert 50_000 < max(sizes) < MAX_PROCESS_KIB
