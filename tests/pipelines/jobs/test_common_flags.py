import argparse
from pathlib import Path

import pytest

from pipelines.jobs import common_flags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data/ssv2", Path("data/ssv2")),
        ("s3://bucket/ssv2/", "s3://bucket/ssv2"),
        ("gs://bucket/ssv2", "gs://bucket/ssv2"),
    ],
)
def test_a_folder_is_a_path_or_a_uri(text, expected):
    assert common_flags.path_or_uri(text) == expected


@pytest.mark.parametrize("text", ["ftp://host/a", "s3://id:secret@bucket/a"])
def test_other_uris_are_refused_and_secrets_not_repeated(text):
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        common_flags.path_or_uri(text)
    assert "secret" not in str(caught.value)
