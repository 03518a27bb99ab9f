import re
from pathlib import Path

import pytest

from mindrecord_io.storage import locations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data/ssv2", Path("data/ssv2")),
        ("/ssv2/", Path("/ssv2")),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("obs://bucket", "obs://bucket"),
    ],
)
def test_a_data_set_is_a_path_or_a_uri(text, expected):
    found = locations.location(text)
    assert found == expected
    assert locations.is_remote(found) is isinstance(expected, str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ftp://host/a", "is a path or one of s3://, obs://, gs://, got 'ftp://h"),
        ("hdfs:///data", "is a path or one of s3://, obs://, gs://, got 'hdfs"),
        ("s3:///a", "'s3:///a' names no bucket: s3://bucket/path"),
        ("gs://bucket/a?x=1", "gs://bucket/a: must be bucket and path only"),
    ],
)
def test_other_uris_are_refused(text, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        locations.location(text)


def test_credentials_in_a_uri_are_refused_and_not_repeated():
    with pytest.raises(ValueError, match="credentials come from the env") as caught:
        locations.location("s3://key:secret@bucket/a")
    assert "secret" not in str(caught.value)
    assert "key" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~", "{home}"),
        ("~/ssv2/", "{home}/ssv2"),
        ("file:///data/my%20set/", "/data/my set"),
        ("file://localhost/ssv2", "/ssv2"),
        ("file:/ssv2", "/ssv2"),
        ("a:b", "a:b"),
    ],
)
def test_the_home_folder_and_file_uris_are_paths(monkeypatch, tmp_path, text, expected):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = Path(expected.format(home=tmp_path))
    assert locations.location(text) == path
    assert locations.local_path(text) == path


def test_a_folder_of_the_name_tilde_stays_one_however_often_it_is_read():
    path = locations.location("./~/ssv2")
    assert path == Path.cwd() / "~" / "ssv2"
    assert locations.location(str(path)) == path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "must be a path, got ''"),
        ("a\0b", "must be a path, got 'a\\x00b'"),
        ("~no-such-user/x", "for a folder of that name write './~no-such-user/x'"),
        ("s3:/bucket/a", "has one slash too few: s3://bucket/path"),
        ("file://host/a", "a file URI is like file:///folder/file, got 'file://host/a"),
        ("file:a", "a file URI is like file:///folder/file, got 'file:a'"),
    ],
)
def test_what_is_no_path_is_refused(text, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        locations.location(text)


def test_a_local_path_is_no_uri():
    with pytest.raises(ValueError, match="must be a path on this machine, got 's3://b"):
        locations.local_path("s3://bucket/a")
