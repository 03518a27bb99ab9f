import json
import os
import time

import pytest

from infra.benchmarks import measuring, unchanged

NUM_CLIPS = 40


pytestmark = pytest.mark.slow


@pytest.fixture
def package(tmp_path):
    """Forty names of three files that are no videos, and annotations of them."""
    folder = tmp_path / "package" / measuring.CLIPS
    folder.mkdir(parents=True)
    for number in range(1, NUM_CLIPS + 1):
        path = folder / f"{number}.webm"
        if number > 3:
            path.hardlink_to(folder / f"{number % 3 + 1}.webm")
        else:
            path.write_bytes(bytes(100 * number))
    annotations = tmp_path / "package" / "annotations"
    annotations.mkdir()
    rows = [
        {"id": str(n), "template": "Moving something left"}
        for n in range(1, NUM_CLIPS + 1)
    ]
    files = {"labels": {"Moving something left": "0"}, "train": rows[:30]}
    files |= {"validation": rows[30:], "test": []}
    for role, content in files.items():
        path = annotations / f"something-something-v2-{role}.json"
        path.write_text(json.dumps(content))
    return tmp_path / "package"


def test_clips_that_did_not_change_are_counted_as_reused_and_unread(package, tmp_path):
    time.sleep(2.1)  # younger clips are not recognised
    dataset = tmp_path / "dataset"
    unchanged.publish(package, dataset)
    os.utime(package / measuring.CLIPS / "40.webm")
    same_file = {2, *(n for n in range(4, NUM_CLIPS + 1) if n % 3 == 40 % 3)}

    result = unchanged._apart(unchanged.look, package, dataset)

    assert result["num_clips"] == NUM_CLIPS
    assert result["num_shards"] == result["num_shards_reused"] == 2
    assert result["num_clips_opened_by_rehash"] == NUM_CLIPS
    assert result["num_clips_opened"] == len(same_file)
