"""Training refuses a shard in which a single bit is not as it was published."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from eval import config
from mindrecord_io.shards import schema
from mindrecord_io.versions import manifests
from train import __main__ as command

CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3, check_hashes: true}
training: {epochs: 1, batch_size: 64}
"""
REGIONS = ("header", "raw page", "blob page", "index")
NUM_FLIPS = 200
SEED = 3
JPEG_BEGIN = b"\xff\xd8\xff"


@pytest.fixture
def version(published_version, tmp_path):
    """The shared version, copied so that it can be damaged."""
    dataset = shutil.copytree(published_version.dataset, tmp_path / "dataset")
    return manifests.Version(dataset, published_version.manifest)


@pytest.fixture
def words(version, tmp_path):
    (tmp_path / "run.yaml").write_text(CONFIG)
    flags = {
        "--config_path": tmp_path / "run.yaml",
        "--dataset": version.dataset,
        "--output": tmp_path / "output",
    }
    return [str(word) for pair in flags.items() for word in pair]


def pages(path, kind):
    """Where a shard's pages of a kind are, half-open, as its header tells."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    begin, num_bytes = header["header_size"], header["page_size"]
    return [
        (first := begin + page["page_id"] * num_bytes, first + page["page_size"])
        for page in header["page"]
        if page["page_type"] == kind
    ]


def place(version, region, rng):
    """A file of a random shard and a random position in a region of it."""
    path = version.shard_path(rng.choice(version.manifest.shards))
    if region == "header":
        # Most of it is padding: half of the flips hit what says something.
        num_used = 8 + int.from_bytes(path.read_bytes()[:8], "little")
        return path, rng.randrange(rng.choice([num_used, schema.HEADER_NUM_BYTES]))
    if region == "raw page":
        return path, rng.randrange(*rng.choice(pages(path, "RAW_DATA")))
    if region == "blob page":
        return path, rng.randrange(*rng.choice(pages(path, "BLOB_DATA")))
    index = path.with_name(f"{path.name}.db")
    return index, rng.randrange(index.stat().st_size)


def flip(path, position, bit):
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def test_the_pages_are_where_rows_and_frames_are(version):
    for entry in version.manifest.shards:
        path = version.shard_path(entry)
        content = path.read_bytes()
        rows = b"".join(content[slice(*page)] for page in pages(path, "RAW_DATA"))
        blobs = b"".join(content[slice(*page)] for page in pages(path, "BLOB_DATA"))
        assert rows.count(b"num_frames") == entry.num_rows
        assert blobs.count(JPEG_BEGIN) == content.count(JPEG_BEGIN) > entry.num_rows


@pytest.mark.slow
def test_of_200_flipped_bits_every_one_is_refused_with_the_shards_name(
    version, words, caplog, capsys, monkeypatch
):
    # A device is chosen once in a process, before anything runs on it.
    monkeypatch.setattr(config, "use_device", lambda *_: config.use_graph_mode())
    rng = random.Random(SEED)
    refused, wrong = Counter(), []
    for number in range(NUM_FLIPS):
        region = REGIONS[number % len(REGIONS)]
        path, position = place(version, region, rng)
        bit = rng.randrange(8)
        flip(path, position, bit)
        caplog.clear()

        status = command.main(words)

        flip(path, position, bit)
        named = path.relative_to(version.dataset).as_posix()
        errors = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
        is_told = len(errors) == 1 and f"{named}: has SHA-256 " in errors[0]
        if status == 1 and is_told and "1 damages in split" in errors[0]:
            refused[region] += 1
        else:
            wrong.append((region, named, position, bit, status, errors))

    assert wrong == []
    assert refused == dict.fromkeys(REGIONS, NUM_FLIPS // len(REGIONS))
    assert capsys.readouterr().out == ""
    assert not (version.dataset.parent / "output").exists()
    # With every bit back in its place it gets as far as it can with seven clips.
    caplog.clear()
    assert command.main(words) == 1
    assert "less than one batch of 64" in caplog.messages[-1]


@pytest.mark.slow
@pytest.mark.parametrize("region", REGIONS)
def test_the_command_ends_with_status_1_and_does_not_crash(version, words, region):
    path, position = place(version, region, random.Random(f"{SEED} {region}"))
    flip(path, position, bit=0)

    run = subprocess.run(
        [sys.executable, "-m", "train", *words],
        capture_output=True,
        text=True,
        env=os.environ,
    )

    assert (run.returncode, run.stdout) == (1, "")
    (line,) = [line for line in run.stderr.splitlines() if " E clipmill: " in line]
    assert f"{path.relative_to(version.dataset).as_posix()}: has SHA-256 " in line
    assert "Traceback" not in run.stderr
