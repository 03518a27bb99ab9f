"""JSON that may be hostile; values of records are in test_records."""

import pytest

from mindrecord_io import json_values


@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_text_is_read(kind):
    text = '{"a": [1, 2.5, null], "b": "' + "9" * 5000 + '"}'
    assert json_values.parse(kind(text)) == {"a": [1, 2.5, None], "b": "9" * 5000}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "^Expecting value: line 1 column 1"),
        ("[" * 100_000, "^JSON is nested too deeply$"),
        (b"\xff", "can't decode byte 0xff in position 0"),
        (
            '{"a": 1,\n "b": -' + "9" * 5000 + "}",
            "^a number has 5000 digits, more than 4300: line 2 column 8",
        ),
    ],
)
def test_what_is_no_such_text_is_refused_in_a_sentence(text, message):
    with pytest.raises(ValueError, match=message) as raised:
        json_values.parse(text)
    assert len(str(raised.value)) < 200
