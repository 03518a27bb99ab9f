"""A clip that the annotations no longer name: by `relabel`, then by `build`."""

import pytest

from mindrecord_io.versions import opening
from pipelines.jobs import history
from tests import tiny_dataset as tiny

WITHDRAWN = "105"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(package, tmp_path_factory):
    return tiny.make(tmp_path_factory.mktemp("made"), package.clips)


def statuses(version):
    rows = version.read_clips(["clip_id", "status"]).to_pylist()
    return {row["clip_id"]: row["status"] for row in rows}


def messages(caplog, *beginnings):
    return [text for text in caplog.messages if text.startswith(beginnings)]


def test_relabel_forgets_it_and_a_build_lists_its_file(made, tmp_path, caplog):
    fewer = tiny.annotate(tmp_path / "fewer", tiny.changed(c105=None))
    before = statuses(opening.open_version(made.dataset))
    caplog.set_level("INFO", logger="pipelines")
    told = "against version", "no label", "no clip, label", "version 0", "2 files"
    with tiny.lent_worker():
        status, result = made.relabel(made.dataset, fewer)
        relabelled = opening.open_version(made.dataset)
        assert (status, result["version"]) == (0, "000002")
        assert result["shards"] == {"reused": 3, "relabelled": 1, "decoded": 0}
        assert statuses(relabelled) == {
            clip_id: found for clip_id, found in before.items() if clip_id != WITHDRAWN
        }
        lines = messages(caplog, *told)
        assert lines[0] == f"against version 000001: 1 withdrawn ({WITHDRAWN})"
        caplog.clear()

        built = made.build(made.dataset, fewer)

        assert built.manifest.version == "000003"
        assert built.manifest.shards == relabelled.manifest.shards
        assert statuses(built) == statuses(relabelled) | {WITHDRAWN: "unlisted"}
        assert messages(caplog, *told)[:3] == [
            f"2 files not annotated and not stored; the first: {WITHDRAWN}",
            "version 000002 lists 1 such files: its table of clips will not do",
            "no label or split differs from version 000002",
        ]
        caplog.clear()

        assert made.build(made.dataset, fewer) == built  # and so it stays

    assert "no clip, label or setting changed: version 000003 stays" in caplog.messages
    assert [version.changes for version in history.history(made.dataset)] == [
        (),
        ("3 of its shards kept, 1 new", "annotations changed", "-1 clips"),
        ("4 of its shards kept, 0 new", "unlisted 1 -> 2"),
    ]
