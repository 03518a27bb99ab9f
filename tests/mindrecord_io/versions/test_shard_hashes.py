import logging
import re
import shutil

import pytest

from mindrecord_io.versions import shard_checks
from mindrecord_io.versions.manifests import DatasetError, Version


@pytest.fixture
def version(published_version, tmp_path):
    """The shared version, copied so that it can be damaged."""
    dataset = shutil.copytree(published_version.dataset, tmp_path / "dataset")
    return Version(dataset, published_version.manifest)


def shard_paths(version, split):
    return [
        version.shard_path(entry)
        for entry in version.manifest.shards
        if entry.split == split and entry.mindrecord
    ]


def flip_bit(path, position):
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)


def test_shards_as_published_pass(version, caplog):
    with caplog.at_level(logging.INFO):
        shard_checks.check_hashes(version, "train")

    assert re.search(r"\d+ shards of split train are as published", caplog.text)


@pytest.mark.parametrize("suffix", ["", ".db"])
@pytest.mark.parametrize("position", [0, 8, 5000, -1])
def test_a_flipped_bit_is_refused_with_the_shards_name(version, suffix, position):
    path = shard_paths(version, "train")[0]
    path = path.with_name(path.name + suffix)
    flip_bit(path, position)

    with pytest.raises(DatasetError) as error:
        shard_checks.check_hashes(version, "train")

    assert str(path.relative_to(version.dataset)) in str(error.value)
    assert "damages in split 'train' of version 000001" in str(error.value)


def test_other_splits_are_not_looked_at(version):
    flip_bit(shard_paths(version, "train")[0], 5000)

    shard_checks.check_hashes(version, "validation")


def test_an_unknown_split_is_refused(version):
    with pytest.raises(ValueError, match="split must be one of"):
        shard_checks.check_hashes(version, "val")


def test_every_damaged_shard_counts_and_three_are_named(version):
    paths = shard_paths(version, "train")
    for path in paths:
        flip_bit(path, 300_000)
        flip_bit(path.with_name(path.name + ".db"), 5000)

    with pytest.raises(DatasetError, match=f"{2 * len(paths)} damages") as error:
        shard_checks.check_hashes(version, "train", num_workers=1)

    assert str(error.value).count("SHA-256") <= 6
