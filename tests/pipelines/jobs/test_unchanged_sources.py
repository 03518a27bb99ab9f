"""A build of clips that did not change reads none of them; verify --sources all."""

import os
import shutil

import pytest

from mindrecord_io.storage import files
from pipelines.jobs import build, build_options, verify
from pipelines.jobs.parsers import VerifyOptions
from pipelines.sources import clip_identities
from tests import tiny_dataset

pytestmark = pytest.mark.slow

NAMES = {f"{c}.webm" for clips in tiny_dataset.SPLITS.values() for c in clips}
NAMES -= {f"{tiny_dataset.MISSING}.webm"}


@pytest.fixture(scope="module")
def made(tmp_path_factory, package):
    """A data set without records, as its clips were just written."""
    return tiny_dataset.make(tmp_path_factory.mktemp("made"), package.clips)


@pytest.fixture
def of_any_age(monkeypatch):
    monkeypatch.setattr(clip_identities, "_MARGIN_NS", -(10**15))


@pytest.fixture
def opened(monkeypatch):
    """The names of the clips that this process opens."""
    names, open_regular = [], files.open_regular

    def noting(path):
        if path.suffix == ".webm":
            names.append(path.name)
        return open_regular(path)

    monkeypatch.setattr(files, "open_regular", noting)
    return names


class Builder:
    """Builds from a copy of the clips and of the data set, and counts what it reads."""

    def __init__(self, made, folder, opened):
        self.clips = shutil.copytree(made.clips, folder / "clips")
        # Of clips elsewhere, as their table says: a first build makes version 000002.
        self.dataset = shutil.copytree(made.dataset, folder / "dataset")
        self._annotations, self._opened = made.folder / "annotations", opened

    def read(self, **fields):
        """Returns the names of the clips that a build reads."""
        self._opened.clear()
        options = build_options.BuildOptions(
            clips=self.clips,
            annotations=self._annotations,
            dataset=self.dataset,
            settings=tiny_dataset.SETTINGS,
            num_shards=tiny_dataset.NUM_SHARDS,
            max_quarantined=3,
            **fields,
        )
        self.result = build.build(options)
        assert self.result.num_sources_read == len(self._opened)
        return set(self._opened)

    def changed(self, **fields):
        """Returns name and reason of the clips that verify --sources lists."""
        result = verify.verify(
            VerifyOptions(self.dataset, has_sources=True, is_quick=True, **fields)
        )
        return {os.path.basename(d.path): d.reason for d in result.changed_sources}  # noqa: PTH119


@pytest.fixture
def builder(made, tmp_path, opened):
    return Builder(made, tmp_path, opened)


def test_only_what_changed_is_read(builder, of_any_age):
    assert builder.read() == NAMES
    records = (builder.dataset / "sources.parquet").read_bytes()
    assert builder.read() == set()
    assert builder.result.num_shards == {"reused": 4, "relabelled": 0, "decoded": 0}
    assert builder.result.version.manifest.version == "000002"
    assert (builder.dataset / "sources.parquet").read_bytes() == records

    clip = builder.clips / "102.webm"  # the same content in another file
    shutil.copy2(clip, builder.clips / "copy")
    (builder.clips / "copy").replace(clip)
    assert builder.read() == {"102.webm"}
    assert builder.result.version.manifest.version == "000002"
    assert builder.read() == set()

    shutil.copy(builder.clips / "101.webm", builder.clips / "103.webm")
    assert builder.read() == {"103.webm"}
    assert builder.result.num_shards["decoded"] == 1
    assert builder.result.version.manifest.version == "000003"
    assert builder.read() == set()
    assert builder.read(is_rehash=True) == NAMES

    (builder.dataset / "sources.parquet").write_bytes(b"PAR1")
    assert builder.read() == NAMES
    assert builder.read() == set()


def test_a_clip_that_planning_found_unchanged_is_not_looked_at_again(
    builder, of_any_age, monkeypatch
):
    builder.read()
    looked_at, identity = [], clip_identities.identity

    def noting(uri):
        looked_at.append(os.path.basename(uri))  # noqa: PTH119
        return identity(uri)

    monkeypatch.setattr(clip_identities, "identity", noting)
    shutil.copy(builder.clips / "101.webm", builder.clips / "103.webm")
    assert builder.read() == {"103.webm"}
    assert set(looked_at) == {"103.webm"}


def test_a_young_clip_is_read_again_as_it_may_change_within_its_times(
    builder, monkeypatch
):
    monkeypatch.setattr(clip_identities, "_text", lambda status: "as before")
    monkeypatch.setattr(clip_identities, "_MARGIN_NS", 10**15)
    assert builder.read() == NAMES
    clip = builder.clips / "103.webm"
    clip.write_bytes(clip.read_bytes()[:-1] + b"x")
    assert builder.read() == NAMES
    assert builder.result.version.manifest.version == "000003"


def test_verify_lists_clips_that_are_not_what_was_stored(builder, of_any_age):
    builder.read()
    assert builder.changed() == {}
    (builder.clips / "101.webm").unlink()
    with (builder.clips / "102.webm").open("ab") as file:
        file.write(b"more")
    hidden = builder.clips / "103.webm"
    content = hidden.read_bytes()
    hidden.write_bytes(content[:-1] + b"x")
    size = len(content)
    longer = (builder.clips / "102.webm").stat().st_size
    why = f"has {longer} bytes, stored were {longer - 4}"
    assert builder.changed() == {"101.webm": "is gone", "102.webm": why}

    result = verify.verify(VerifyOptions(builder.dataset, has_sources=True))
    assert result.damaged == ()
    reasons = {os.path.basename(d.path): d.reason for d in result.changed_sources}  # noqa: PTH119
    assert reasons.keys() == {"101.webm", "102.webm", "103.webm"}
    assert reasons["103.webm"].startswith(f"has {size} bytes with SHA-256 ")
    assert verify._log(builder.dataset, result) == 1


def test_verify_names_a_change_that_a_build_would_not_notice(
    builder, of_any_age, monkeypatch
):
    monkeypatch.setattr(clip_identities, "_text", lambda status: "as before")
    assert builder.read() == NAMES
    hidden = builder.clips / "103.webm"
    hidden.write_bytes(hidden.read_bytes()[:-1] + b"x")
    assert builder.read() == set()
    result = verify.verify(VerifyOptions(builder.dataset, has_sources=True))
    (change,) = result.changed_sources
    assert change.path == str(hidden)
    assert change.reason.endswith("with which it was read: build with --rehash")
    assert "103.webm" in builder.read(is_rehash=True)
    assert builder.result.version.manifest.version == "000003"
