"""What is published is what was planned, whatever became of a summary.json."""

import json
import shutil

import pytest

from mindrecord_io import naming
from mindrecord_io.versions import opening
from mindrecord_io.versions.manifests import DatasetError
from pipelines.building import beam_runner
from pipelines.jobs import build, build_options, make_version, verify
from pipelines.jobs.parsers import VerifyOptions
from tests import tiny_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory, package):
    return tiny_dataset.make(tmp_path_factory.mktemp("made"), package.clips)


@pytest.fixture
def dataset(made, tmp_path):
    return shutil.copytree(made.dataset, tmp_path / "dataset")


def train_entry(dataset):
    shards = opening.read_manifest(dataset).shards
    return next(e for e in shards if e.split == "train" and e.num_rows > 1)


def summary_of(dataset):
    entry = train_entry(dataset)
    return naming.summary_path(naming.shard_folder(dataset, entry.split, entry.key))


def change(dataset, changed):
    path = summary_of(dataset)
    fields = json.loads(path.read_text())
    changed(fields["clips"])
    path.write_text(json.dumps(fields, separators=(",", ":")))


def as_format_1(dataset):
    """Makes the manifest what it was before it listed summaries."""
    path = naming.manifest_path(dataset / "versions/000001")
    fields = json.loads(path.read_text()) | {"format_version": 1}
    for shard in fields["shards"]:
        del shard["summary"]
    path.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n")


def options(made, dataset, annotations, **fields):
    return build_options.BuildOptions(
        clips=made.clips,
        annotations=annotations,
        dataset=dataset,
        settings=tiny_dataset.SETTINGS,
        num_shards=tiny_dataset.NUM_SHARDS,
        max_quarantined=3,
        **fields,
    )


def move_bytes(clips):
    """A byte more in one frame and one less in the next: JPEGs that are cut wrong."""
    sizes = next(c for c in clips if c["status"] == "stored")["frame_sizes"]
    sizes[0] += 1
    sizes[1] -= 1


CHANGES = {
    "clip lost": lambda clips: clips.pop(),
    "all lost": lambda clips: clips.clear(),
    "label": lambda clips: clips[0].update(label_id=(clips[0]["label_id"] + 1) % 3),
    "source": lambda clips: clips[0]["source"].update(num_bytes=7),
    "sizes": move_bytes,
    "offset": lambda clips: clips[0].update(frames_offset=10**15),
    "hash": lambda clips: clips[0].update(frames_sha256="0" * 64),
    "row": lambda clips: clips[0].update(row=7),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("is_format_1", [False, True])
def test_a_changed_summary_is_neither_reused_nor_copied(
    made, dataset, tmp_path, name, is_format_1
):
    if is_format_1:
        as_format_1(dataset)
    change(dataset, CHANGES[name])
    relabelled = tiny_dataset.annotate(
        tmp_path / "relabelled",
        tiny_dataset.changed(c102=0, c103=1),  # all of one shard
    )

    for annotations in (made.folder / "annotations", relabelled):
        with pytest.raises((make_version.JobError, DatasetError)) as raised:
            build.build(options(made, dataset, annotations))
        text = str(raised.value)
        assert str(train_entry(dataset).key) in text or "shard" in text
        assert "`clipmill build --repair` makes it again" in text
        assert "\n" not in text
    assert opening.list_versions(dataset) == ["000001"]

    damaged = verify.verify(VerifyOptions(dataset, is_quick=True)).damaged
    path = summary_of(dataset).relative_to(dataset).as_posix()
    assert {damage.path for damage in damaged} == {path}


@pytest.mark.parametrize("name", ["clip lost", "hash"])
def test_repair_makes_a_damaged_shard_again(made, dataset, name):
    before = tiny_dataset.sha256s(dataset / "shards")
    change(dataset, CHANGES[name])
    flipped = next((dataset / "shards/validation").rglob("*.mindrecord"))
    content = bytearray(flipped.read_bytes())
    content[-5] ^= 1
    flipped.write_bytes(content)

    annotations = made.folder / "annotations"
    result = build.build(options(made, dataset, annotations, is_repair=True))

    assert result.version.manifest.version == "000001"  # nothing else changed
    assert result.num_shards["decoded"] == 2
    assert tiny_dataset.sha256s(dataset / "shards") == before
    assert verify.verify(VerifyOptions(dataset)).damaged == ()


def test_repair_makes_again_what_no_version_lists(made, tmp_path):
    dataset = tmp_path / "new"
    (dataset / "shards").parent.mkdir()
    shutil.copytree(made.dataset / "shards", dataset / "shards")
    entry = train_entry(made.dataset)
    folder = naming.shard_folder(dataset, entry.split, entry.key)
    fields = json.loads(naming.summary_path(folder).read_text())
    fields["clips"].pop()
    naming.summary_path(folder).write_text(json.dumps(fields))
    annotations = made.folder / "annotations"

    with pytest.raises(make_version.JobError, match="is not in it"):
        build.build(options(made, dataset, annotations))
    result = build.build(options(made, dataset, annotations, is_repair=True))

    assert result.num_shards["decoded"] == 1
    assert tiny_dataset.sha256s(dataset / "shards") == tiny_dataset.sha256s(
        made.dataset / "shards"
    )


def test_a_repair_that_fails_leaves_the_damaged_shard(made, dataset, monkeypatch):
    change(dataset, CHANGES["clip lost"])
    before = tiny_dataset.sha256s(dataset)

    def fail(*_):
        raise beam_runner.PipelineError("no worker")

    monkeypatch.setattr(beam_runner, "run", fail)
    annotations = made.folder / "annotations"
    with pytest.raises(make_version.JobError, match="no worker"):
        build.build(options(made, dataset, annotations, is_repair=True))
    assert tiny_dataset.sha256s(dataset) == before


def test_a_version_of_format_1_is_reused_and_gets_its_hashes(made, dataset):
    as_format_1(dataset)
    result = build.build(options(made, dataset, made.folder / "annotations"))
    assert result.num_shards == {"reused": 4, "relabelled": 0, "decoded": 0}
    manifest = result.version.manifest
    assert (manifest.version, manifest.format_version) == ("000002", 2)
    assert all(entry.summary is not None for entry in manifest.shards)
    assert verify.verify(VerifyOptions(dataset)).damaged == ()
