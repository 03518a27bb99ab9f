import pytest

from pipelines.browse.corrections import Corrections, CorrectionsError

NAMES = ("Opening", "Closing")


def test_decisions_are_in_the_file_at_once_and_are_read_again(tmp_path):
    path = tmp_path / "corrections.tsv"
    corrections = Corrections(path, NAMES)
    assert len(corrections) == 0
    assert not path.exists()
    corrections.decide("7", "Closing")
    corrections.decide("9", "Opening")
    corrections.decide("7", "Opening")
    assert path.read_text() == "clip_id\tlabel\n7\tOpening\n9\tOpening\n"
    again = Corrections(path, NAMES)
    assert (len(again), again.label("7"), again.label("8")) == (2, "Opening", None)


def test_a_label_that_there_is_not_is_refused_and_nothing_changes(tmp_path):
    corrections = Corrections(tmp_path / "c.tsv", NAMES)
    with pytest.raises(CorrectionsError, match="clip 7: no class is called 'Shut'"):
        corrections.decide("7", "Shut")
    assert len(corrections) == 0
    assert not (tmp_path / "c.tsv").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"clip,label\n", "not a corrections file: its lines must be clip_id"),
        (b"clip_id\tlabel\n7\n", "not a corrections file"),
        (b"clip_id\tlabel\n7\tShut\n", "clip 7: no class is called 'Shut'"),
        (b"", "not a corrections file"),
        (b"clip_id\tlabel\n\xff\tOpening\n", "not UTF-8 text"),
    ],
)
def test_another_file_is_refused_and_stays(tmp_path, content, expected):
    path = tmp_path / "c.tsv"
    path.write_bytes(content)
    with pytest.raises(CorrectionsError, match=expected):
        Corrections(path, NAMES)
    assert path.read_bytes() == content
