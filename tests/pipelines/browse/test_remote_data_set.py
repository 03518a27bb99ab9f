"""The pages of a data set in an object store, of which ranges are read."""

import pytest

from tests.pages_in_chromium import wait_until
from tests.pipelines.browse.conftest import Served
from tests.pipelines.browse.test_server import fetch

pytestmark = pytest.mark.slow


@pytest.fixture
def row(published_version):
    """The row of clip 201, whose frames the test looks at."""
    rows = published_version.read_clips().to_pylist()
    return next(row for row in rows if row["clip_id"] == "201")


@pytest.fixture
def server(published_version, bucket, tmp_path, row):
    """Of the clip's shard there is only what comes before the end of its frames."""
    bucket.upload(published_version.dataset, "clips/dataset")
    end = row["frames_offset"] + sum(row["frame_sizes"])
    content = (published_version.dataset / row["shard"]).read_bytes()
    bucket.write(f"clips/dataset/{row['shard']}", content[:end])
    server = Served("s3://clips/dataset", tmp_path / "corrections.tsv")
    yield server
    server._process.kill()
    server._process.communicate()


def test_a_clip_plays_of_whose_shard_only_its_own_range_is_there(
    server, open_page, published_version, row
):
    page = open_page(server.url + "clip?id=201")
    wait_until(page, "document.querySelector('.player').dataset.shown > 2")
    begin, sizes = row["frames_offset"], row["frame_sizes"]
    stored = (published_version.dataset / row["shard"]).read_bytes()
    frames = fetch(server, "/frames?id=201")[2]
    assert frames == stored[begin : begin + sum(sizes)]


def test_the_first_page_lists_the_clips_of_a_store(server, open_page):
    page = open_page(server.url + "?split=train")
    assert page.locator(".card").count() == 9
