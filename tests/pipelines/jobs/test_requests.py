"""How many requests a build makes of an object store, by what they are for."""

import collections

import pytest

from mindrecord_io.commands import progress_bar
from pipelines.jobs import build, build_options
from tests import tiny_dataset

pytestmark = pytest.mark.slow

NUM_CLIPS, NUM_SHARDS = 48, 6
SPLITS = {"train": range(1, 33), "validation": range(33, 41), "test": range(41, 49)}


@pytest.fixture
def annotations(package, bucket, tmp_path):
    """Annotations of 48 clips in the bucket: those of the package, named apart."""
    contents = [path.read_bytes() for path in sorted(package.clips.iterdir())]
    for number in range(1, NUM_CLIPS + 1):
        content = contents[number % len(contents)].replace(b"Lavf", b"%04d" % number)
        bucket.write(f"clips/source/{number}.webm", content)
    splits = {
        split: {str(number): -1 if split == "test" else 0 for number in numbers}
        for split, numbers in SPLITS.items()
    }
    bucket.requests()
    return tiny_dataset.annotate(tmp_path / "annotations", splits)


def built(annotations, bucket):
    """Returns the result of a build, and its requests: (method, path) and number."""
    options = build_options.BuildOptions(
        clips="s3://clips/source",
        annotations=annotations,
        dataset="s3://clips/made",
        settings=tiny_dataset.SETTINGS,
        num_shards=NUM_SHARDS,
        num_workers=1,
    )
    result = build.build(options)
    return result, collections.Counter((m, path) for m, path, _ in bucket.requests())


def of_kind(requests, part):
    return collections.Counter(
        {place: number for place, number in requests.items() if part in place[1]}
    )


@pytest.fixture(autouse=True)
def _no_lines(monkeypatch):
    """A line of the log takes a request, and how many come depends on the machine."""
    monkeypatch.setattr(progress_bar, "_LINE_SECONDS", 10**6)


def test_a_build_makes_few_requests_and_one_of_unchanged_clips_reads_none(
    annotations, bucket
):
    result, requests = built(annotations, bucket)

    assert result.num_sources_read == NUM_CLIPS
    assert sum(result.num_shards.values()) == NUM_SHARDS
    clips = of_kind(requests, "/source/")
    assert clips == {
        (method, f"/clips/source/{number}.webm"): 1
        for number in range(1, NUM_CLIPS + 1)
        for method in ("HEAD", "GET")
    }
    of_shards = of_kind(requests, "/shards/") | of_kind(requests, "-of-000")
    of_shards |= of_kind(requests, "/receipts/references")
    num_files = 3 * NUM_SHARDS  # whose bytes are a request each
    assert of_shards.total() <= 10 * NUM_SHARDS + num_files
    assert requests.total() <= 200

    result, requests = built(annotations, bucket)

    assert result.num_sources_read == 0
    assert result.num_shards["reused"] == NUM_SHARDS
    assert of_kind(requests, "/source/") == {}  # listing them tells

    bucket.write("clips/source/7.webm", bucket.read("clips/source/8.webm"))
    bucket.requests()
    result, requests = built(annotations, bucket)
    assert result.num_sources_read == 1
    assert result.num_shards["decoded"] == 1
    gets = of_kind(requests, "/source/")
    assert [p for (m, p), _ in gets.items() if m == "GET"] == ["/clips/source/7.webm"]
