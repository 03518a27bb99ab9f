import hashlib
import json

import pytest

from mindrecord_io.serving import pixel_hashes
from mindrecord_io.versions import opening
from pipelines.jobs import fingerprint


@pytest.fixture(scope="module")
def build(package, tools, tmp_path_factory):
    def run(*flags):
        dataset = tmp_path_factory.mktemp("dataset") / "dataset"
        done = tools.run_command(
            *("build", "--clips", package.clips, "--dataset", dataset),
            *("--annotations", package.annotations, *flags),
        )
        assert done.returncode == 0, done.stderr
        return dataset

    return run


def printed(capsys, dataset):
    assert fingerprint.main(["--dataset", str(dataset)]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_hash_is_of_ids_and_pixels_and_not_of_how_they_are_kept(build, capsys):
    one, other = build("--num_shards", 3), build("--num_shards", 5, "--page_mib", 1)
    coarse = build("--num_shards", 3, "--jpeg_quality", 60)

    answers = [printed(capsys, dataset) for dataset in (one, other, coarse)]

    assert answers[0] == answers[1]
    assert answers[0]["num_clips"] == 8
    assert answers[0]["pixels"] != answers[2]["pixels"]
    assert answers[0]["num_frames"] == answers[2]["num_frames"]


def test_the_number_of_workers_is_none_of_the_hash(build):
    version = opening.open_version(build("--num_shards", 3))

    few, many = (pixel_hashes.hash_pixels(version, n) for n in (1, 8))

    assert few == many
    assert len(bytes.fromhex(few.pixels)) == hashlib.sha256().digest_size


def test_frames_that_are_gone_fail_the_command(build, capsys, caplog):
    dataset = build("--num_shards", 3)
    for path in dataset.glob("shards/train/*/*.mindrecord"):
        path.write_bytes(b"short")

    assert fingerprint.main(["--dataset", str(dataset)]) == 1

    assert "fingerprint failed: clip " in caplog.text
    assert capsys.readouterr().out == ""
