import dataclasses
import json
from pathlib import Path

import pytest

from mindrecord_io import records
from tests.one_shard import QUARANTINED, SHA, SOURCE, STORED, SUMMARY

CLIP = records.PlannedClip("78687", 19, "/clips/78687.webm", SOURCE)
SETTINGS = records.DecodeSettings(short_side_px=240, jpeg_quality=85)
PLAN = records.ShardPlan(
    split="train",
    index=1,
    num_shards=3,
    clips=(CLIP, records.PlannedClip("5", records.UNLABELLED, "s3://b/5", SOURCE)),
    settings=SETTINGS,
    key="a" * 32,
    frames_key="b" * 32,
)
EMPTY_SUMMARY = dataclasses.replace(
    SUMMARY, mindrecord=None, mindrecord_index=None, clips=(QUARANTINED,)
)


@pytest.mark.parametrize(
    "clip_id",
    ["78687", "a", "_x", "Z9", "a.b", "a..b", "a-b_c.d", "0" * 200, "con"],
)
def test_check_clip_id_returns_an_id_that_can_be_part_of_a_path(clip_id):
    assert records.check_clip_id(clip_id) == clip_id


@pytest.mark.parametrize(
    "clip_id",
    [
        "",
        ".",
        "..",
        "../78687",
        "a/b",
        "/etc/passwd",
        "a\\b",
        ".hidden",
        "-rf",
        "a b",
        "a\n",
        "\n",
        "a\0",
        "a\tb",
        "a:b",
        "a*",
        "a?",
        "~",
        "$HOME",
        "%2e%2e",
        "ä",
        "７",  # noqa: RUF001 (a full-width digit)
        "a\u200b",
        "a\ud800",
        None,
        78687,
        b"78687",
    ],
)
def test_check_clip_id_rejects_an_id_that_cannot(clip_id):
    with pytest.raises(ValueError, match=r"clip id must be letters, .*become file"):
        records.check_clip_id(clip_id)


def test_check_clip_id_rejects_a_long_id_without_repeating_all_of_it():
    with pytest.raises(ValueError) as caught:
        records.check_clip_id("a" * 201)
    assert str(caught.value) == (
        "clip id is 201 characters long, the limit is 200: '" + "a" * 40 + "'..."
    )


def test_label_map_numbers_labels_by_position():
    labels = records.LabelMap(("Closing something", "Opening something"))
    assert len(labels) == 2
    assert labels.label_id("Opening something") == 1


def test_label_map_names_the_nearest_labels_to_an_unknown_one():
    labels = records.LabelMap(("Opening something", "Rest", "Closing something"))
    with pytest.raises(ValueError) as caught:
        labels.label_id("Opening somthing")
    assert str(caught.value) == (
        "no label 'Opening somthing' among 3 labels; nearest: "
        "['Opening something', 'Closing something']"
    )


def test_label_map_rejects_a_label_given_twice():
    with pytest.raises(ValueError, match=r"unique, found twice: \['a'\]"):
        records.LabelMap(("a", "b", "a"))


def make(cls, **fields):
    """Builds a value whose other fields are all right."""
    right = {
        records.Annotation: {"clip_id": "5", "split": "train", "label_id": 0},
        records.Fingerprint: {"num_bytes": 0, "sha256": SHA},
        records.DecodeSettings: {},
        records.ClipFrames: {"jpegs": b"abc", "frame_sizes": (1, 2), "height": 2},
    }[cls]
    if issubclass(cls, records.Annotation):
        right = right | {"label": "Nothing"}
    if cls is records.ClipFrames:
        right = right | {"width": 3}
    return cls(**right | fields)


@pytest.mark.parametrize(
    ("cls", "fields"),
    [
        (records.Annotation, {"split": "test", "label_id": records.UNLABELLED}),
        (records.Annotation, {"label_id": 173}),
        (records.Fingerprint, {}),
        (records.DecodeSettings, {"short_side_px": 0}),
        (records.DecodeSettings, {"short_side_px": 16}),
        (records.DecodeSettings, {"jpeg_quality": 1}),
        (records.DecodeSettings, {"jpeg_quality": 100}),
        (records.DecodeSettings, {"page_num_bytes": 32768}),
        (records.DecodeSettings, {"page_num_bytes": 268435456}),
        (records.ClipFrames, {}),
    ],
)
def test_values_at_their_limits_are_accepted(cls, fields):
    value = make(cls, **fields)
    assert {name: getattr(value, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("cls", "fields", "message"),
    [
        (records.Annotation, {"clip_id": "../5"}, "clip id must be letters"),
        (
            records.Annotation,
            {"split": "val"},
            r"split must be one of \('train', 'validation', 'test'\), got 'val'",
        ),
        (records.Annotation, {"label_id": -2}, "5: label_id must be >= -1: -2"),
        (records.Fingerprint, {"num_bytes": -1}, "not a fingerprint: -1"),
        (records.Fingerprint, {"sha256": SHA.upper()}, "not a fingerprint"),
        (records.Fingerprint, {"sha256": SHA[1:]}, "not a fingerprint"),
        (records.Fingerprint, {"sha256": SHA + "\n"}, "not a fingerprint"),
        (records.DecodeSettings, {"short_side_px": 15}, "0 or at least 16: 15"),
        (records.DecodeSettings, {"short_side_px": -1}, "0 or at least 16: -1"),
        (records.DecodeSettings, {"jpeg_quality": 0}, r"in \[1, 100\]: 0"),
        (records.DecodeSettings, {"jpeg_quality": 101}, r"in \[1, 100\]: 101"),
        (records.DecodeSettings, {"page_num_bytes": 32767}, "32 KiB, 256 MiB"),
        (records.DecodeSettings, {"page_num_bytes": 268435457}, ": 268435457"),
        (records.DecodeSettings, {"accept_partial": 1.0}, r"\[0, 1\): 1\.0"),
        (records.DecodeSettings, {"accept_partial": -0.1}, r"\[0, 1\): -0\.1"),
        (records.ClipFrames, {"frame_sizes": ()}, "needs frames"),
        (records.ClipFrames, {"frame_sizes": (3, 0)}, "none may be empty"),
        (records.ClipFrames, {"frame_sizes": (4, -1)}, "none may be empty"),
        (
            records.ClipFrames,
            {"frame_sizes": (1, 1)},
            "3 bytes of JPEG, the frames' sizes add up to 2",
        ),
        (
            records.ClipFrames,
            {"jpegs": records.FileRange(Path("old.mindrecord"), 9, 3)},
            "old.mindrecord: frames in a file come with a SHA-256",
        ),
        (records.ClipFrames, {"height": 0}, "frames of 3x0 pixels cannot be"),
        (records.ClipFrames, {"width": 0}, "frames of 0x2 pixels cannot be"),
    ],
)
def test_values_that_cannot_be_are_rejected(cls, fields, message):
    with pytest.raises(ValueError, match=message):
        make(cls, **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"split": "all"}, "split must be one of"),
        ({"index": 3}, "shard 3 of 3 cannot be"),
        ({"index": -1}, "shard -1 of 3 cannot be"),
        ({"index": 0, "num_shards": 0}, "shard 0 of 0 cannot be"),
        ({"clips": ()}, "train shard 1 has no clips"),
    ],
)
def test_a_plan_that_cannot_be_is_rejected(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PLAN, **fields)


@pytest.mark.parametrize(
    ("outcome", "fields", "message"),
    [
        (STORED, {"status": records.MISSING}, "78687: status cannot be 'missing'"),
        (STORED, {"frame_sizes": ()}, "78687: only stored clips have frames"),
        (QUARANTINED, {"frame_sizes": (1,)}, "5: only stored clips have frames"),
    ],
)
def test_an_outcome_that_cannot_be_is_rejected(outcome, fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(outcome, **fields)


def test_num_stored_counts_the_rows_of_the_shard():
    assert (SUMMARY.num_stored, EMPTY_SUMMARY.num_stored) == (1, 0)


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PLAN.key = "c" * 32


@pytest.mark.parametrize(
    "value",
    [
        records.LabelMap(("Wärmen", "b")),
        records.Annotation("5", "test", -1, ""),
        SOURCE,
        SETTINGS,
        CLIP,
        PLAN,
        STORED,
        QUARANTINED,
        SUMMARY,
        EMPTY_SUMMARY,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back_from_json_equal(value):
    text = json.dumps(records.to_json(value))
    assert records.from_json(type(value), json.loads(text)) == value


def test_a_whole_number_is_read_where_a_float_is_meant():
    fields = records.to_json(STORED) | {"fps_from_header": 25}
    found = records.from_json(records.ClipOutcome, fields).facts.fps_from_header
    assert (found, type(found)) == (25.0, float)


def test_facts_of_the_source_are_fields_of_the_clip_in_json():
    assert json.dumps(records.to_json(STORED)) == (
        '{"clip_id": "78687", "label_id": 19, "source": {"num_bytes": 7, "sha256": '
        f'"{SHA}"}}, "status": "stored", "reason": "", "detail": "", "height": 240, '
        '"width": 427, "fps_from_header": 12.5, "num_frames_from_header": 4, '
        '"duration_seconds_from_header": 0.32, "fps_from_content": 12.25, '
        '"duration_seconds_from_content": 0.24, "rotation_degrees": 90, '
        '"num_frames_lost": 1, "row": 0, "frames_offset": 5000000000, "frame_sizes": '
        f'[9000, 9100, 8900], "frames_sha256": "{SHA[::-1]}", "limits": "", '
        '"frame_crc32s": [7, 4294967295]}'
    )


def test_fields_with_a_default_may_be_left_out():
    found = records.from_json(records.DecodeSettings, {"jpeg_quality": 80})
    assert found == records.DecodeSettings(jpeg_quality=80)


def without(fields, name):
    return {key: value for key, value in fields.items() if key != name}


@pytest.mark.parametrize(
    ("cls", "fields", "message"),
    [
        (records.Fingerprint, [], r"^must be a JSON object, got \[\]"),
        (records.Fingerprint, None, "^must be a JSON object, got None"),
        (
            records.Fingerprint,
            {"num_bytes": 1, "size": 2},
            r"^missing fields \['sha256'\], unknown fields \['size'\]",
        ),
        (
            records.Fingerprint,
            {"num_bytes": "1", "sha256": SHA},
            "num_bytes must be int, got '1'",
        ),
        (
            records.Fingerprint,
            {"num_bytes": 1.0, "sha256": SHA},
            "num_bytes must be int, got 1.0",
        ),
        (
            records.Fingerprint,
            {"num_bytes": True, "sha256": SHA},
            "num_bytes must be int, got True",
        ),
        (
            records.Fingerprint,
            {"num_bytes": 1, "sha256": None},
            "sha256 must be str, got None",
        ),
        (
            records.Fingerprint,
            {"num_bytes": -1, "sha256": SHA},
            "not a fingerprint: -1",
        ),
        (
            records.Fingerprint,
            {"num_bytes": 10**4000, "sha256": SHA},
            "not a fingerprint: 10{79}, 0",
        ),
        (
            records.SourceFacts,
            {"fps_from_header": 10**4000},
            "fps_from_header is too large: 10{79}$",
        ),
        (records.LabelMap, {"names": "ab"}, "names must be a list, got 'ab'"),
        (records.LabelMap, {"names": ["a", 1]}, "names must be str, got 1"),
        (
            records.ShardPlan,
            records.to_json(PLAN) | {"clips": [7]},
            "^clips: must be a JSON object, got 7",
        ),
        (
            records.ShardPlan,
            records.to_json(PLAN) | {"settings": {"quality": 3}},
            r"^settings: missing fields \[\], unknown fields \['quality'\]",
        ),
        (
            records.ShardSummary,
            without(records.to_json(SUMMARY), "mindrecord"),
            r"^missing fields \['mindrecord'\]",
        ),
        (
            records.ShardSummary,
            records.to_json(SUMMARY) | {"mindrecord": False},
            "^mindrecord: must be a JSON object, got False",
        ),
        (
            records.ClipOutcome,
            records.to_json(STORED) | {"facts": {}},
            r"^missing fields \[\], unknown fields \['facts'\]",
        ),
        (
            records.ClipOutcome,
            records.to_json(STORED) | {"fps_from_header": True},
            "fps_from_header must be float, got True",
        ),
    ],
)
def test_from_json_says_which_field_is_wrong(cls, fields, message):
    with pytest.raises(ValueError, match=message):
        records.from_json(cls, fields)


def test_from_json_repeats_no_more_than_the_beginning_of_a_wrong_value():
    with pytest.raises(ValueError) as caught:
        records.from_json(records.LabelMap, {"names": "x" * 10_000})
    assert len(str(caught.value)) < 120
