import pytest

from model import whole_file


def test_what_the_block_writes_takes_the_place_of_the_old_file(tmp_path):
    path = tmp_path / "network.ckpt"
    path.write_text("old")
    with whole_file.replaced(path) as incomplete:
        assert incomplete.parent == tmp_path
        assert incomplete.suffix == ".ckpt"
        incomplete.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def write_half(path):
    with whole_file.replaced(path) as incomplete:
        incomplete.write_text("half")
        raise KeyError


def test_a_block_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "network.ckpt"
    path.write_text("old")
    with pytest.raises(KeyError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
