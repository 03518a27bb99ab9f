"""Which clips a score is of, and what becomes of the others in a submission."""

import pytest

from eval import job, predictions, split_coverage
from tests.eval.test_predictions import EVALUATION, NAMES


def test_clips_that_are_not_stored_are_counted_by_reason(published_version):
    """Of nine train clips one is quarantined and one has no file (see conftest.py)."""
    coverage = split_coverage.read(published_version, "train")
    assert coverage.num_annotated == 9
    assert coverage.left_out == {"105": "truncated", "109": "missing"}
    assert coverage.reasons == {"truncated": 1, "missing": 1}
    assert coverage.describe() == (
        "7 of 9 annotated clips are stored; left out: truncated 1, missing 1 (105, 109)"
    )


def test_a_split_that_is_whole_leaves_none_out(published_version):
    coverage = split_coverage.read(published_version, "validation")
    assert (coverage.num_annotated, coverage.left_out) == (4, {})
    assert coverage.describe() == "4 of 4 annotated clips are stored"


def test_frequent_labels_are_those_of_stored_train_clips(published_version):
    """Clip n has label n % 3: 101 to 108 without 105 are 2 0 1 2 1 2 0."""
    assert split_coverage.frequent_label_ids(published_version, 5) == [2, 0, 1]
    assert split_coverage.frequent_label_ids(published_version, 1) == [2]


def test_a_submission_has_a_line_for_every_clip():
    table = predictions.to_table(EVALUATION, ["17", "9"], NAMES)
    content = predictions.to_submission(table, {"3": [0, 2, 1]})
    assert content == b"17;2;0;1\n9;1;2;0\n3;0;2;1\n"


def options(tmp_path, **changes):
    fields = {"dataset": "d", "checkpoint": "c", "overrides": {}, "split": "train"}
    return job.EvalOptions(**fields, submission=tmp_path / "s.csv", **changes)


def test_a_submission_that_would_lack_clips_is_refused_before_any_work(
    published_version, tmp_path
):
    coverage = split_coverage.read(published_version, "train")
    message = r"of 'train' only 7 of 9 .* \(105, 109\); --guess_left_out gives them"
    with pytest.raises(ValueError, match=message):
        job._check_submission(options(tmp_path), coverage)
    job._check_submission(options(tmp_path, guess_left_out=True), coverage)
    whole = split_coverage.read(published_version, "validation")
    job._check_submission(options(tmp_path), whole)
