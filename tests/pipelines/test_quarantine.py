import re
from pathlib import Path

import pytest

from mindrecord_io import records
from pipelines import quarantine
from pipelines.jobs import build_options
from pipelines.quarantine import REASONS, ClipError

REPOSITORY = Path(__file__).resolve().parents[2]
LIMITS = quarantine.DecodeLimits()


def source_text():
    files = [*REPOSITORY.glob("pipelines/**/*.py")]
    files += REPOSITORY.glob("mindrecord_io/**/*.py")
    assert len(files) > 50
    return "\n".join(f.read_text() for f in files if f.name != "quarantine.py")


def test_the_documentation_has_the_table_of_reasons():
    text = (REPOSITORY / "pipelines" / "README.md").read_text()
    table = text.partition("<!-- reasons -->")[2].partition("<!-- /reasons -->")[0]

    assert table.strip() == quarantine.reasons_table()


def test_a_row_of_the_table_is_derived_from_what_the_reason_is():
    rows = quarantine.reasons_table().splitlines()[2:]

    assert len(rows) == len(REASONS)
    assert (
        "| `timeout` | decoding takes too long | quarantined; decoded again when a "
        "build has other limits | raise `--max_clip_seconds` |"
    ) in rows
    assert (
        "| `damaged` | a decoder reports errors, which the row quotes | quarantined, "
        "or stored as `partial` | copy the clip again, or replace it |"
    ) in rows
    assert (
        "| `changed` | the file changed since the build began | the build stops | "
        "build again |"
    ) in rows


def test_every_error_of_a_clip_is_raised_with_a_reason_of_the_table():
    raised = set(re.findall(r'(?:ClipError|Quarantined)\(\s*"(\w+)"', source_text()))

    assert len(raised) > 10
    assert raised - REASONS.keys() == set()


def test_every_reason_of_the_table_is_used():
    quoted = set(re.findall(r'"(\w+)"', source_text()))

    assert REASONS.keys() - quoted == set()


def test_every_reason_has_something_that_a_person_can_do():
    assert [name for name, reason in REASONS.items() if not reason.remedy] == []


def test_every_flag_of_a_reason_is_one_of_build():
    flags = set(re.findall(r"--\w+", build_options.build_parser().format_help()))

    assert {reason.flag for reason in REASONS.values()} - {""} <= flags


def test_the_reasons_are_classed_as_reuse_and_partial_clips_need():
    def names(attribute):
        return {n for n, reason in REASONS.items() if getattr(reason, attribute)}

    limits = (
        "decoder_crashed file_too_large frame_too_large out_of_memory timeout too_long"
    )
    unsettled = "changed decoder_killed no_ffmpeg unreadable"
    assert names("depends_on_limits") == set(limits.split())
    assert REASONS.keys() - names("is_settled") == set(unsettled.split())
    assert names("leaves_frames") == {"damaged", "missing_frames", "truncated"}


def test_a_reason_that_is_not_in_the_table_is_refused():
    with pytest.raises(ValueError, match=r"reason must be one of .*, got 'emtpy'"):
        ClipError("emtpy", "no bytes")


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        ("more than 5 frames", "more than 5 frames (--max_clip_frames)"),
        ("5 frames (--max_clip_frames); more", "5 frames (--max_clip_frames); more"),
    ],
)
def test_the_flag_of_a_broken_limit_is_named_once(detail, text):
    assert str(ClipError("too_long", detail)) == text


@pytest.mark.parametrize(
    ("reason", "limits"), [("timeout", LIMITS.text), ("too_large", ""), ("empty", "")]
)
def test_limits_are_recorded_where_others_may_let_the_clip_pass(reason, limits):
    error = ClipError(reason, "why")

    assert error.quarantined(LIMITS) == records.Quarantined(reason, str(error), limits)
