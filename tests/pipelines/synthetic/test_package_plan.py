import collections
import itertools
import re

import numpy as np
import pytest

from pipelines.synthetic import package_plan
from pipelines.synthetic.motions import ACTIONS, Action
from pipelines.synthetic.package_plan import LENGTH_QUANTILES, ClipPlan
from pipelines.synthetic.textures import Appearance

NAME = r"(striped|checked|dotted|marbled) [a-z]+ [a-z]+"


def _plan(split: str, template: str) -> ClipPlan:
    return ClipPlan(
        clip_id="74225",
        split=split,
        action=Action(template, "hold"),
        appearance=Appearance("disc", "dotted", "red", "blue", "green", "teal"),
        num_frames=45,
        width=427,
    )


@pytest.mark.parametrize(
    ("num_clips", "sizes"),
    [
        (3, (1, 1, 1)),
        (12, (8, 3, 1)),
        (100, (63, 25, 12)),
        (400, (292, 60, 48)),
        (1000, (760, 120, 120)),
    ],
)
def test_split_sizes(num_clips, sizes):
    expected = dict(zip(("train", "validation", "test"), sizes, strict=True))

    assert package_plan.split_sizes(num_clips) == expected
    assert sum(sizes) == num_clips


@pytest.mark.parametrize("num_clips", [-1, 0, 2])
def test_split_sizes_rejects_too_few_clips(num_clips):
    with pytest.raises(ValueError, match=f"at least 3, one a split; got {num_clips}"):
        package_plan.split_sizes(num_clips)


def test_plan_uses_every_id_once_in_no_order():
    plans = package_plan.plan_clips(400, seed=1)
    ids = [int(plan.clip_id) for plan in plans]

    assert sorted(ids) == list(range(1, 401))
    for _, group in itertools.groupby(plans, key=lambda plan: plan.split):
        numbers = [int(plan.clip_id) for plan in group]
        assert numbers != sorted(numbers)
        assert min(numbers) < 40
        assert max(numbers) > 360


def test_plan_follows_its_seed():
    assert package_plan.plan_clips(50, 1) == package_plan.plan_clips(50, 1)
    assert package_plan.plan_clips(50, 1) != package_plan.plan_clips(50, 2)


@pytest.mark.parametrize("num_clips", [36, 400, 1003])
def test_classes_of_a_split_differ_by_at_most_one_clip(num_clips):
    counts = collections.Counter(
        (plan.split, plan.action.label)
        for plan in package_plan.plan_clips(num_clips, 1)
    )

    for split in ("train", "validation", "test"):
        sizes = [counts[split, action.label] for action in ACTIONS]
        assert max(sizes) - min(sizes) <= 1


@pytest.fixture(scope="module")
def large_package() -> list[ClipPlan]:
    return package_plan.plan_clips(12000, seed=7)


@pytest.mark.parametrize(
    ("split", "minimum", "median", "p99", "maximum"),
    [
        ("train", 8, 45, 70, 120),
        ("validation", 10, 50, 72, 170),
        ("test", 9, 48, 72, 107),
    ],
)
def test_lengths_follow_the_quantiles_of_the_real_split(
    large_package, split, minimum, median, p99, maximum
):
    lengths = np.array(
        [plan.num_frames for plan in large_package if plan.split == split]
    )

    assert minimum <= lengths.min() < 19
    assert p99 < lengths.max() <= maximum
    assert np.median(lengths) == pytest.approx(median, abs=2)
    assert (lengths < 19).mean() == pytest.approx(0.01, abs=0.006)
    assert (lengths > p99).mean() == pytest.approx(0.01, abs=0.006)


def test_mean_length_is_near_the_real_one(large_package):
    lengths = [plan.num_frames for plan in large_package if plan.split == "train"]

    assert np.mean(lengths) == pytest.approx(7_620_427 / 168_913, abs=1.0)


def test_length_quantiles_are_tables_that_rise():
    for quantiles, lengths in LENGTH_QUANTILES.values():
        assert quantiles[0] == 0.0
        assert quantiles[-1] == 1.0
        assert list(quantiles) == sorted(set(quantiles))
        assert list(lengths) == sorted(set(lengths))


def test_length_and_look_do_not_depend_on_the_class(large_package):
    train = [plan for plan in large_package if plan.split == "train"]
    means = [
        np.mean([plan.num_frames for plan in train if plan.action is action])
        for action in ACTIONS
    ]

    assert np.ptp(means) < 4.0


def test_most_clips_are_427_wide_and_all_are_landscape(large_package):
    widths = collections.Counter(plan.width for plan in large_package)

    assert widths[427] / len(large_package) == pytest.approx(0.86, abs=0.02)
    assert min(widths) > 240
    assert len(widths) > 3


def test_looks_vary_so_that_they_do_not_identify_a_clip(large_package):
    assert len({plan.appearance for plan in large_package}) > 11000


def test_scene_generator_depends_on_clip_and_seed():
    def draw(clip_id: str, seed: int) -> int:
        return int(package_plan.scene_generator(clip_id, seed).integers(1 << 60))

    assert draw("12", 1) == draw("12", 1)
    assert len({draw("12", 1), draw("13", 1), draw("12", 2)}) == 3


def test_labels_number_the_sorted_texts_in_strings():
    labels = package_plan.annotation_documents([])["labels"]

    assert list(labels) == sorted(labels)
    assert list(labels.values()) == [str(index) for index in range(12)]
    assert labels["Approaching something with your camera"] == "0"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_labelled_rows_have_the_real_keys_and_fill_the_placeholders(split):
    plan = _plan(split, "Holding [something] in front of [something]")

    rows = package_plan.annotation_documents([plan])[split]

    assert rows == [
        {
            "id": "74225",
            "label": "holding dotted red disc in front of green and teal wall",
            "template": "Holding [something] in front of [something]",
            "placeholders": ["dotted red disc", "green and teal wall"],
        }
    ]
    assert list(rows[0]) == ["id", "label", "template", "placeholders"]


def test_test_rows_hold_only_the_id():
    plan = _plan("test", "Shaking [something]")

    documents = package_plan.annotation_documents([plan])

    assert documents["test"] == [{"id": "74225"}]
    assert documents["train"] == documents["validation"] == []


def test_every_row_of_a_package_matches_its_template():
    documents = package_plan.annotation_documents(package_plan.plan_clips(200, seed=5))

    for row in documents["train"] + documents["validation"]:
        assert re.sub(r"[\[\]]", "", row["template"]) in documents["labels"]
        assert re.fullmatch(NAME, row["placeholders"][0])
        text = row["template"]
        for placeholder in row["placeholders"]:
            text = text.replace("[something]", placeholder, 1)
        assert row["label"].lower() == text.lower()
        assert row["label"][0].islower()
