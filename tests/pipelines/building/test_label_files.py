import pytest

from mindrecord_io.records import UNLABELLED, Annotation, LabelMap
from pipelines.building.label_files import write_label_files

LABEL_MAP = LabelMap(("Approaching something", "Bending something", "Wärmen something"))


def row(clip_id, split, num_frames, label_id):
    """A stored clip and its number of frames."""
    return Annotation(clip_id, split, label_id, "a label"), num_frames


ROWS = (
    row("74225", "train", 42, 2),
    row("9", "validation", 8, 0),
    row("78687", "train", 117, 0),
    row("1420", "test", 36, UNLABELLED),
)


def read_folder(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def records_as_tsm_reads_them(path):
    """The parsing lines of the TSM training code's `_parse_list`."""
    lines = [line.strip().split(" ") for line in path.open()]
    return [(name, int(frames), int(label)) for name, frames, label in lines]


def test_files_are_what_the_tsm_tools_read_byte_for_byte(tmp_path):
    write_label_files(tmp_path, LABEL_MAP, ROWS)

    assert read_folder(tmp_path) == {
        "category.txt": (
            b"Approaching something\nBending something\nW\xc3\xa4rmen something"
        ),
        "train_videofolder.txt": b"74225 42 2\n78687 117 0",
        "val_videofolder.txt": b"9 8 0",
        "test_videofolder.txt": b"1420 36 0",
    }


def test_lists_parse_as_the_tsm_training_code_parses_them(tmp_path):
    write_label_files(tmp_path, LABEL_MAP, ROWS)

    assert len((tmp_path / "category.txt").read_text().splitlines()) == 3
    assert records_as_tsm_reads_them(tmp_path / "train_videofolder.txt") == [
        ("74225", 42, 2),
        ("78687", 117, 0),
    ]


def test_a_split_without_clips_is_an_empty_file(tmp_path):
    write_label_files(tmp_path, LABEL_MAP, ())

    sizes = {name: len(content) for name, content in read_folder(tmp_path).items()}
    assert sizes == {
        "category.txt": 57,
        "train_videofolder.txt": 0,
        "val_videofolder.txt": 0,
        "test_videofolder.txt": 0,
    }


def test_rows_may_come_from_an_iterator_and_keep_their_order(tmp_path):
    num_rows = 20_000
    rows = (row(str(i), "train", 1 + i % 70, i % 3) for i in range(num_rows, 0, -1))

    write_label_files(tmp_path, LABEL_MAP, rows)

    records = records_as_tsm_reads_them(tmp_path / "train_videofolder.txt")
    assert len(records) == num_rows
    assert records[:2] == [("20000", 51, 2), ("19999", 50, 1)]
    assert records[-1] == ("1", 2, 1)


@pytest.mark.parametrize("label_id", [3, 174])
def test_refuses_a_label_id_outside_the_map_before_writing(tmp_path, label_id):
    rows = [*ROWS, row("5", "validation", 30, label_id)]

    with pytest.raises(ValueError) as error:
        write_label_files(tmp_path, LABEL_MAP, rows)

    assert str(error.value) == f"5: label_id must be in [0, 3), got {label_id}"
    assert read_folder(tmp_path) == {}


def test_never_replaces_a_file(tmp_path):
    (tmp_path / "category.txt").write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        write_label_files(tmp_path, LABEL_MAP, ROWS)

    assert read_folder(tmp_path) == {"category.txt": b"mine"}


def test_does_not_make_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_label_files(tmp_path / "absent", LABEL_MAP, ROWS)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("5", "train", 0, 0), "5: num_frames must be at least 1, got 0"),
        (
            ("5", "train", 8, UNLABELLED),
            "5: only test clips may have label_id -1, got it in train",
        ),
    ],
)
def test_refuses_clips_that_no_list_can_have(tmp_path, fields, message):
    with pytest.raises(ValueError) as error:
        write_label_files(tmp_path, LABEL_MAP, [*ROWS, row(*fields)])

    assert str(error.value) == message
    assert read_folder(tmp_path) == {}
