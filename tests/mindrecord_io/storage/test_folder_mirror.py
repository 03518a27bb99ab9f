"""A folder and its copy in an object store."""

import pytest

from mindrecord_io.storage import object_store
from mindrecord_io.storage.folder_mirror import NOWHERE, FolderMirror

URI = "s3://runs/r50"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "run"
    (folder / "checkpoints" / "step-2").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "checkpoints/step-2/b", "checkpoints/step-2/a"):
        (folder / name).write_text(name)
    return folder


def written(bucket):
    """The objects written, in order."""
    return [
        path.removeprefix("/runs/r50/")
        for method, path, _ in bucket.requests()
        if method == "PUT" and not path.endswith("/")
    ]


def test_files_are_sent_in_the_order_given_and_those_of_a_folder_by_name(
    bucket, folder
):
    mirror = FolderMirror(folder, URI)
    bucket.requests()
    mirror.send(folder / "b.txt", folder / "a.txt", folder / "checkpoints")
    names = ["b.txt", "a.txt", "checkpoints/step-2/a", "checkpoints/step-2/b"]
    assert written(bucket) == names
    assert mirror.names() == sorted(names)
    assert bucket.contents("runs/r50") == {name: name.encode() for name in names}


@pytest.mark.parametrize("scheme", ["s3", "obs"])
def test_what_was_sent_is_fetched_to_another_folder(bucket, folder, tmp_path, scheme):
    uri = f"{scheme}://runs/r50"
    FolderMirror(folder, uri).send(folder)
    other = FolderMirror(tmp_path / "other", uri)
    other.fetch(["a.txt", "checkpoints/step-2/b"])
    files = sorted(p for p in other.folder.rglob("*") if p.is_file())
    assert [p.relative_to(other.folder).as_posix() for p in files] == [
        "a.txt",
        "checkpoints/step-2/b",
    ]
    assert files[1].read_text() == "checkpoints/step-2/b"
    with pytest.raises(FileNotFoundError):
        other.fetch(["gone.txt"])


def test_files_and_folders_are_removed_and_what_is_gone_is_no_error(bucket, folder):
    mirror = FolderMirror(folder, URI)
    mirror.send(folder)
    mirror.remove(folder / "a.txt", folder / "checkpoints", folder / "gone")
    assert mirror.names() == ["b.txt"]
    assert (folder / "a.txt").exists()


def test_places_are_uris_in_a_store_and_paths_without_one(tmp_path):
    mirror = FolderMirror(tmp_path, URI)
    assert mirror.place_of(tmp_path) == URI
    assert mirror.place_of(tmp_path / "a" / "b") == f"{URI}/a/b"
    assert FolderMirror(tmp_path).place_of(tmp_path / "a") == tmp_path / "a"


def test_a_folder_without_a_copy_is_sent_nowhere(folder):
    NOWHERE.send(folder / "gone")
    NOWHERE.remove(folder / "a.txt")
    assert NOWHERE.names() == []
    assert (folder / "a.txt").exists()


def test_what_cannot_be_sent_is_an_error_that_names_it(bucket, folder, monkeypatch):
    monkeypatch.setattr(object_store, "_FIRST_PAUSE_SECONDS", 0.001)
    with pytest.raises(object_store.StorageError, match=r"s3://nobody/x/a\.txt"):
        FolderMirror(folder, "s3://nobody/x").send(folder / "a.txt")
