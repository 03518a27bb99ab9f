import json
import re

import pytest

from mindrecord_io import naming
from mindrecord_io.versions import opening, shard_checks, version_checks
from pipelines.jobs import rollback
from tests import versions_by_hand as by_hand


def command(dataset, version="000001"):
    return ["--dataset", str(dataset), "--version", version]


def damage_in(version):
    damaged = version_checks.check_version(version)
    for entry in version.manifest.shards:
        clips = shard_checks.shard_clips(version, entry)
        damaged += shard_checks.check_shard(version, entry, clips)
    return damaged


@pytest.fixture
def dataset(tmp_path):
    """A data set of two versions."""
    by_hand.publish(tmp_path / "dataset")
    by_hand.publish(tmp_path / "dataset", by_hand.without("101"))
    return tmp_path / "dataset"


def test_the_old_content_becomes_a_new_version(dataset, capsys):
    before = by_hand.snapshot(dataset)

    assert rollback.main(command(dataset)) == 0

    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"version": "000003", "same_as": "000001"}
    version, old = (
        opening.open_version(dataset),
        opening.open_version(dataset, "000001"),
    )
    assert version.manifest.version == "000003"
    assert version.manifest.parent == "000002"
    assert version.manifest.created_at > old.manifest.created_at
    assert version.manifest.provenance.command.startswith("clipmill rollback ")
    assert version.manifest.shards == old.manifest.shards
    assert version.read_clips().equals(old.read_clips())
    assert version.category_names() == old.category_names()
    assert damage_in(version) == []
    after = by_hand.snapshot(dataset)
    assert {name: after[name] for name in before if name != "CURRENT"} == {
        name: content for name, content in before.items() if name != "CURRENT"
    }


def test_the_current_version_stays_where_it_says_the_same(dataset, capsys):
    rollback.rollback(dataset, "000001")
    before = by_hand.snapshot(dataset)
    assert rollback.main(command(dataset)) == 0
    assert rollback.main(command(dataset, "000003")) == 0
    assert by_hand.snapshot(dataset) == before
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["version"] for line in lines] == ["000003", "000003"]


def test_rolling_back_and_forth_only_adds_versions(dataset):
    for name in ("000001", "000002", "000001"):
        rollback.rollback(dataset, name)
    parents = [
        opening.open_version(dataset, name).manifest.parent
        for name in opening.list_versions(dataset)
    ]
    assert parents == ["", "000001", "000002", "000003", "000004"]


def truncate_shard(dataset, entry):
    path = dataset / entry.path
    path.write_bytes(path.read_bytes()[:-1])


def remove_shard(dataset, entry):
    folder = (dataset / entry.path).parent
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def damage_table(dataset, entry):
    path = naming.clips_table_path(naming.version_folder(dataset, "000001"))
    path.write_bytes(path.read_bytes()[::-1])


def remove_list(dataset, entry):
    folder = naming.labels_folder(naming.version_folder(dataset, "000001"))
    (folder / "val_videofolder.txt").unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate_shard, r"mindrecord has \d+ bytes, expected \d+"),
        (remove_shard, "cannot be listed: No such file or directory"),
        (damage_table, "clips.parquet has SHA-256 [0-9a-f]+, expected"),
        (remove_list, "labels/val_videofolder.txt is missing"),
    ],
)
def test_a_damaged_version_is_not_published(dataset, caplog, damage, reason):
    damage(dataset, opening.open_version(dataset, "000001").manifest.shards[0])
    before = by_hand.snapshot(dataset)

    assert rollback.main(command(dataset)) == 1

    assert "version 000001 is damaged in 1 places, nothing is publ" in caplog.text
    assert re.search(reason, caplog.text)
    assert by_hand.snapshot(dataset) == before


def test_a_version_that_is_not_there_is_told_with_those_that_are(dataset, caplog):
    assert rollback.main(command(dataset, "000009")) == 1
    assert caplog.messages == [
        f"rollback failed: {dataset}: no version 000009, there are ['000001', '000002']"
    ]


def test_a_rival_that_publishes_meanwhile_wins(dataset, caplog, monkeypatch):
    check = version_checks.check_version

    def check_while_a_rival_publishes(version):
        by_hand.publish(dataset, by_hand.without("102"))
        return check(version)

    monkeypatch.setattr(version_checks, "check_version", check_while_a_rival_publishes)
    assert rollback.main(command(dataset)) == 1
    assert "version 000003 was published by another process" in caplog.text
    assert opening.list_versions(dataset) == ["000001", "000002", "000003"]
    assert opening.current_name(dataset) == "000003"


@pytest.mark.parametrize("version", ["1.0", "../000001", "", "latest", "000000"])
def test_a_name_that_no_version_has_is_wrong_usage(tmp_path, capsys, version):
    with pytest.raises(SystemExit) as ended:
        rollback.main(command(tmp_path, version))
    assert ended.value.code == 2
    assert f"named like '000003', or by its number, got {version!r}" in (
        capsys.readouterr().err
    )
