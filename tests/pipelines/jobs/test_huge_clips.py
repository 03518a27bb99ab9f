"""A clip of a terabyte costs itself, and not the hours of hashing it."""

import pytest

from pipelines import quarantine
from pipelines.jobs import build, build_options
from pipelines.planning import shard_plans
from pipelines.planning.clip_references import Reference
from tests import tiny_dataset


@pytest.mark.timeout(20)
def test_a_file_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / "1.webm"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    clip = Reference(0, "1", "train", 0, str(path), expected_sha256="ab" * 32)
    planned = shard_plans.hash_clip(clip)
    assert planned.source == quarantine.unread_file(1 << 40)
    assert planned.expected_sha256 == ""


def test_a_file_at_the_limit_is_read(tmp_path):
    path = tmp_path / "1.webm"
    path.write_bytes(b"abc")
    clip = Reference(0, "1", "train", 0, str(path))
    assert not quarantine.is_unread(shard_plans.hash_clip(clip, 3).source)
    assert quarantine.is_unread(shard_plans.hash_clip(clip, 2).source)


def test_the_usual_limit_is_no_new_limit_to_older_versions():
    usual, other = quarantine.DecodeLimits(), quarantine.DecodeLimits(max_gib=5)
    assert "max_gib" not in usual.text
    assert '"max_gib": 5' in other.text


@pytest.mark.slow
def test_a_huge_clip_is_quarantined_and_decoded_once_the_limit_is_raised(
    package_copy, tmp_path
):
    huge = package_copy.clip("101")
    content = huge.read_bytes()
    with huge.open("r+b") as file:
        file.truncate((1 << 30) + 1)
    annotations = tiny_dataset.annotate(
        tmp_path / "annotations", {"train": {"101": 0, "102": 1}, "validation": {}}
    )

    def built(max_gib):
        return build.build(
            build_options.BuildOptions(
                clips=package_copy.clips,
                annotations=annotations,
                dataset=tmp_path / "dataset",
                settings=tiny_dataset.SETTINGS,
                clip_limits=quarantine.DecodeLimits(max_gib=max_gib),
                max_quarantined=1,
            )
        ).version

    def outcome(version):
        rows = version.read_clips(["clip_id", "reason", "detail"], "train").to_pylist()
        (row,) = (row for row in rows if row["clip_id"] == "101")
        return row["reason"], row["detail"]

    assert outcome(built(1)) == (
        "file_too_large",
        f"{(1 << 30) + 1} bytes are more than 1 GiB (--max_clip_gib)",
    )
    huge.write_bytes(content)
    assert outcome(built(2)) == ("", "")
