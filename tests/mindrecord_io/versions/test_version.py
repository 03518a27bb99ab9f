import pytest

from mindrecord_io import naming
from mindrecord_io.versions.clips_table import TableError
from mindrecord_io.versions.manifests import ManifestError, Version


@pytest.fixture
def own_version(published_version, tmp_path):
    """The shared version with files of its own, to be damaged."""
    version = Version(tmp_path, published_version.manifest)
    naming.labels_folder(version.folder).mkdir(parents=True)
    for path in (
        naming.clips_table_path(version.folder),
        naming.labels_folder(version.folder) / naming.CATEGORY_FILE,
    ):
        origin = published_version.folder / path.relative_to(version.folder)
        path.write_bytes(origin.read_bytes())
    return version


def test_a_table_with_one_flipped_bit_is_not_read(own_version):
    path = naming.clips_table_path(own_version.folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ManifestError, match=r"clips\.parquet: not the file that was"):
        own_version.read_clips(["clip_id"])


def test_a_table_that_is_gone_is_named(own_version):
    naming.clips_table_path(own_version.folder).unlink()

    with pytest.raises(TableError, match=r"clips\.parquet: cannot be read"):
        own_version.read_clips()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "1 labels, the manifest says"),
        (b"one\ntwo\rstill two\nthree\nfour\nfive", "5 labels, the manifest says"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_damaged_category_file_is_refused(own_version, content, problem):
    path = naming.labels_folder(own_version.folder) / naming.CATEGORY_FILE
    path.write_bytes(content)

    with pytest.raises(ManifestError, match=problem):
        own_version.category_names()
