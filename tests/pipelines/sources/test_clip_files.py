import os
from pathlib import Path

import pytest

from mindrecord_io.records import Annotation, LabelMap
from pipelines.planning.matching import match_clips
from pipelines.sources import clip_files
from pipelines.sources.annotations import Annotations
from pipelines.sources.clip_files import SourceError
from tests import listings

LABEL_MAP = LabelMap(("Approaching something", "Bending something"))
TRAIN_CLIP = Annotation("78687", "train", 1, "Bending something")
VALIDATION_CLIP = Annotation("9", "validation", 0, "Approaching something")
TEST_CLIP = Annotation("1420", "test", -1, "")


def annotations_of(*clips):
    return Annotations(LABEL_MAP, clips)


def find_clips(folder):
    return dict(sorted(clip_files.find_clips(folder)))


def touch(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


def test_find_clips_lists_absolute_paths_sorted_by_id(tmp_path, monkeypatch):
    touch(tmp_path, "9.webm", "78687.webm", "1420.WebM", "a.b.webm")
    monkeypatch.chdir(tmp_path.parent)

    paths = find_clips(Path(tmp_path.name))

    assert list(paths.items()) == [
        ("1420", f"{tmp_path}/1420.WebM"),
        ("78687", f"{tmp_path}/78687.webm"),
        ("9", f"{tmp_path}/9.webm"),
        ("a.b", f"{tmp_path}/a.b.webm"),
    ]


def test_find_clips_ignores_what_is_no_clip(tmp_path):
    touch(tmp_path, "1.webm", ".2.webm", "._1.webm", ".webm", "webm", "3.webm.part")
    touch(tmp_path, "4.mp4", "5", "6.webm~", "7.webmx", "readme.txt")
    (tmp_path / "8.webm").mkdir()
    (tmp_path / ".sub").mkdir()
    touch(tmp_path / ".sub", "9.webm")
    os.mkfifo(tmp_path / "10.webm")

    assert list(find_clips(tmp_path)) == ["1"]


def frames(folder, *names):
    folder.mkdir(parents=True)
    return touch(folder, *(names or ("00001.jpg", "00002.jpg")))


def test_find_clips_lists_folders_of_frames(tmp_path):
    for clip_id in ("9", "78687", "a.b"):
        frames(tmp_path / clip_id)
    frames(tmp_path / ".1420")

    assert find_clips(tmp_path) == {
        clip_id: f"{tmp_path}/{clip_id}" for clip_id in ("78687", "9", "a.b")
    }


def test_find_clips_lists_files_and_folders_side_by_side(tmp_path):
    touch(tmp_path, "1.webm")
    frames(tmp_path / "2", "img_00000.JPEG")

    assert find_clips(tmp_path) == {"1": f"{tmp_path}/1.webm", "2": f"{tmp_path}/2"}


def test_find_clips_refuses_a_file_and_a_folder_of_one_id(tmp_path):
    touch(tmp_path, "1.webm")
    frames(tmp_path / "1")

    with pytest.raises(SourceError) as error:
        match_clips(annotations_of(TRAIN_CLIP), tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: clip '1' is there twice: 1 and 1.webm: leave only one"
    )


def test_find_clips_opens_folders_until_one_has_frames(tmp_path, monkeypatch):
    for k in range(20):
        frames(tmp_path / str(k))
    opened, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda p: opened.append(str(p)) or scandir(p))

    assert len(find_clips(tmp_path)) == 20
    assert len([path for path in opened if path != str(tmp_path)]) == 1
    touch(tmp_path, "20.webm")
    assert len(find_clips(tmp_path)) == 21
    assert len([path for path in opened if path != str(tmp_path)]) == 1


def test_find_clips_refuses_folders_that_hold_no_jpegs(tmp_path):
    frames(tmp_path / "1", "00001.png", ".00001.jpg", "jpg")
    (tmp_path / "2" / "1.jpg").mkdir(parents=True)

    with pytest.raises(SourceError, match=r"no \.webm clips in it, nor folders of JP"):
        find_clips(tmp_path)


def test_find_clips_does_not_follow_links_to_folders(tmp_path):
    frames(tmp_path / "elsewhere" / "1")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "1").symlink_to(tmp_path / "elsewhere" / "1")

    with pytest.raises(SourceError, match=r"JPEGs: links to folders are not followed$"):
        find_clips(tmp_path / "clips")


def test_match_clips_names_a_folder_as_it_is(tmp_path):
    frames(tmp_path / "5")

    with pytest.raises(SourceError) as error:
        match_clips(annotations_of(TRAIN_CLIP), tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: none of the 1 annotated clips is in it: it has 5, the "
        f"annotations name 78687"
    )


def test_match_clips_finds_folders_that_the_annotations_name(tmp_path):
    frames(tmp_path / "a" / "1")
    touch(tmp_path / "a", "2.mp4")
    (tmp_path / "a" / "3").symlink_to(tmp_path / "a" / "1")
    clips = [Annotation(clip_id, "train", 1, "") for clip_id in "1234"]
    named = Annotations(LABEL_MAP, tuple(clips), ("a/1", "a/2.mp4", "a/3", "a/4"))

    listing = match_clips(named, tmp_path)

    assert [(ref.clip_id, ref.uri) for ref in listings.clips_of(listing)] == [
        ("1", f"{tmp_path}/a/1"),
        ("2", f"{tmp_path}/a/2.mp4"),
        ("3", f"{tmp_path}/a/3"),
    ]
    assert listing.missing.first == ("4",)


def test_find_clips_follows_links_to_files_only(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    folder = tmp_path / "clips"
    elsewhere.mkdir()
    folder.mkdir()
    touch(elsewhere, "file")
    (folder / "1.webm").symlink_to(elsewhere / "file")
    (folder / "2.webm").symlink_to(elsewhere)
    (folder / "3.webm").symlink_to(elsewhere / "absent")
    (tmp_path / "link").symlink_to(folder)

    assert find_clips(tmp_path / "link") == {"1": f"{tmp_path}/link/1.webm"}


def test_find_clips_ignores_a_link_in_a_circle(tmp_path):
    touch(tmp_path, "1.webm")
    (tmp_path / "2.webm").symlink_to(tmp_path / "2.webm")

    assert list(find_clips(tmp_path)) == ["1"]


def test_find_clips_says_that_all_links_lead_nowhere(tmp_path):
    (tmp_path / "1.webm").symlink_to(tmp_path / "absent")

    with pytest.raises(SourceError) as error:
        find_clips(tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: no .webm clips in it, nor folders of JPEGs: what is named .webm "
        f"is no file, nor a link that leads to one"
    )


def test_find_clips_refuses_two_files_of_one_id(tmp_path):
    touch(tmp_path, "9.webm", "78687.webm", "78687.WEBM")

    with pytest.raises(SourceError) as error:
        match_clips(annotations_of(TRAIN_CLIP), tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: clip '78687' is there twice: 78687.WEBM and 78687.webm: "
        f"leave only one"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent", "No such file or directory"), ("file", "Not a directory")],
)
def test_find_clips_says_that_the_folder_cannot_be_listed(tmp_path, name, reason):
    touch(tmp_path, "file")

    with pytest.raises(SourceError) as error:
        find_clips(tmp_path / name)

    assert str(error.value) == (
        f"{tmp_path / name}: cannot list the folder of clips: {reason}"
    )


def test_find_clips_says_that_the_folder_is_closed_to_us(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)  # chmod does not stop root

    with pytest.raises(SourceError, match=r"folder of clips: Permission denied$"):
        find_clips(tmp_path)


def test_find_clips_refuses_a_folder_without_clips(tmp_path):
    touch(tmp_path, "1.mp4")

    with pytest.raises(SourceError) as error:
        find_clips(tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: no .webm clips in it, nor folders of JPEGs"
    )


def test_find_clips_points_to_the_subfolder_that_the_package_unpacks_to(tmp_path):
    (tmp_path / "20bn-something-something-v2").mkdir()

    with pytest.raises(SourceError) as error:
        find_clips(tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: no .webm clips in it, nor folders of JPEGs: did you mean its "
        f"subfolder {tmp_path}/20bn-something-something-v2?"
    )


def test_find_clips_says_how_to_unpack_the_package(tmp_path):
    touch(tmp_path, "20bn-something-something-v2-00", "20bn-something-something-v2-01")

    with pytest.raises(SourceError) as error:
        find_clips(tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: no .webm clips in it, nor folders of JPEGs: its parts are not "
        f"unpacked: cat 20bn-something-something-v2-?? | tar -xz"
    )


def test_match_clips_sorts_clips_into_there_missing_and_unlisted(tmp_path):
    touch(tmp_path, "1420.webm", "78687.webm", "zz (1).webm", "100.webm")

    listing = match_clips(
        annotations_of(TRAIN_CLIP, VALIDATION_CLIP, TEST_CLIP), tmp_path
    )

    assert listings.places_of(listing) == [
        ("78687", "train", 1, f"{tmp_path}/78687.webm"),
        ("1420", "test", -1, f"{tmp_path}/1420.webm"),
    ]
    assert listing.num_clips == {"train": 1, "test": 1}
    assert listing.missing.first == (VALIDATION_CLIP.clip_id,)
    assert list(listing.unlisted()) == ["100", "zz (1)"]


def test_match_clips_spells_unlisted_names_that_are_no_unicode(tmp_path):
    touch(tmp_path, "78687.webm", os.fsdecode(b"\xff.webm"))

    listing = match_clips(annotations_of(TRAIN_CLIP), tmp_path)

    assert list(listing.unlisted()) == ["\\udcff"]


def test_match_clips_refuses_a_folder_of_other_clips(tmp_path):
    touch(tmp_path, "b.webm", "a.webm")

    with pytest.raises(SourceError) as error:
        match_clips(annotations_of(TRAIN_CLIP, TEST_CLIP), tmp_path)

    assert str(error.value) == (
        f"{tmp_path}: none of the 2 annotated clips is in it: it has a.webm, "
        f"the annotations name 78687"
    )


def test_match_clips_keeps_annotation_order_over_many_clips(tmp_path):
    num_clips = 20_000
    ids = [str(i * 7919 % num_clips) for i in range(num_clips)]
    touch(tmp_path, *(f"{clip_id}.webm" for clip_id in ids[::2]))
    clips = [
        Annotation(clip_id, "train", 0, "Approaching something") for clip_id in ids
    ]

    listing = match_clips(annotations_of(*clips), tmp_path)

    assert [clip.clip_id for clip in listings.clips_of(listing)] == ids[::2]
    assert len(listing.missing) == num_clips // 2
    assert listing.missing.first == tuple(ids[1:10:2])
    assert listing.num_unlisted == 0
