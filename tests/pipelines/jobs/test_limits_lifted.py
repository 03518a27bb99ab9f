"""A clip that broke a limit gets another chance under other limits, and only then."""

import shutil

import pytest

from mindrecord_io import records
from mindrecord_io.versions import opening
from pipelines import quarantine
from pipelines.jobs import build, build_options, relabel

SETTINGS = records.DecodeSettings(page_num_bytes=64 << 10)
# Of the package's clips only 101 (6 frames) and 103 (5) have more than 4.
FOUR_FRAMES = quarantine.DecodeLimits(max_frames=4)
FIVE_FRAMES = quarantine.DecodeLimits(max_frames=5)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def limited(package, tmp_path_factory):
    """A data set in which two clips are quarantined as too long."""
    dataset = tmp_path_factory.mktemp("limited") / "dataset"
    built(package, dataset, FOUR_FRAMES)
    return dataset


@pytest.fixture
def dataset(limited, tmp_path):
    return shutil.copytree(limited, tmp_path / "dataset")


def built(package, dataset, clip_limits):
    return build.build(
        build_options.BuildOptions(
            clips=package.clips,
            annotations=package.annotations,
            dataset=dataset,
            settings=SETTINGS,
            clip_limits=clip_limits,
            num_shards=3,
            max_quarantined=2,
        )
    )


def reasons(version):
    table = version.read_clips(["clip_id", "reason"])
    return {row["clip_id"]: row["reason"] for row in table.to_pylist() if row["reason"]}


def shards_of(version, split):
    return {s.key for s in version.manifest.shards if s.split == split}


def test_the_same_limits_decide_the_same_without_decoding(package, dataset):
    result = built(package, dataset, FOUR_FRAMES)

    assert result.num_shards == {"reused": 3, "relabelled": 0, "decoded": 0}
    assert reasons(result.version) == {"101": "too_long", "103": "too_long"}
    assert result.version.manifest.version == "000001"


def test_other_limits_decode_what_broke_the_old_ones_and_keep_the_rest(
    package, dataset
):
    result = built(package, dataset, FIVE_FRAMES)

    assert result.num_shards == {"reused": 2, "relabelled": 0, "decoded": 1}
    assert reasons(result.version) == {"101": "too_long"}
    assert result.version.manifest.version == "000002"


def test_a_shard_made_under_new_limits_is_beside_the_old_one(package, dataset):
    first = built(package, dataset, FOUR_FRAMES).version
    second = built(package, dataset, FIVE_FRAMES).version
    back = built(package, dataset, FOUR_FRAMES).version
    again = built(package, dataset, FIVE_FRAMES)

    assert shards_of(first, "train").isdisjoint(shards_of(second, "train"))
    assert shards_of(back, "train") == shards_of(first, "train")
    assert shards_of(again.version, "train") == shards_of(second, "train")
    assert again.num_shards["decoded"] == 0


def test_relabelling_does_not_bring_back_what_new_limits_have_lifted(
    package, dataset, tmp_path, capsys
):
    built(package, dataset, FIVE_FRAMES)

    status = relabel.main(
        ["--annotations", str(package.annotations), "--dataset", str(dataset)]
    )

    assert status == 0
    version = opening.open_version(dataset)
    assert reasons(version) == {"101": "too_long"}


def test_a_clip_whose_file_changes_during_the_build_fails_it(package, tmp_path):
    own = type(package)(shutil.copytree(package.folder, tmp_path / "own"))
    link = own.clip("101")
    link.unlink()
    link.symlink_to("/proc/uptime")  # reads differently every time

    with pytest.raises(
        build.make_version.JobError, match=r"clip 101: .* changed since the build began"
    ):
        built(own, tmp_path / "dataset", FOUR_FRAMES)
    assert not (tmp_path / "dataset" / "CURRENT").exists()
