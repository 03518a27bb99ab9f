"""Plans a drawn package: its clips, splits and annotations.

The plan depends on a number of clips and a seed alone; nothing is drawn here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindrecord_io.records import SPLITS
from pipelines.synthetic import textures
from pipelines.synthetic.motions import ACTIONS, Action
from pipelines.synthetic.textures import Appearance

__all__ = [
    "LENGTH_QUANTILES",
    "ClipPlan",
    "annotation_documents",
    "plan_clips",
    "scene_generator",
    "split_sizes",
]

LENGTH_QUANTILES = {
    "train": ((0.0, 0.01, 0.5, 0.99, 1.0), (8, 19, 45, 70, 120)),
    "validation": ((0.0, 0.01, 0.5, 0.99, 1.0), (10, 19, 50, 72, 170)),
    "test": ((0.0, 0.01, 0.5, 0.99, 1.0), (9, 19, 48, 72, 107)),
}
"""Frames per clip of the real splits: quantiles and the lengths at them."""

WIDTHS_PX = (427, 320, 360, 400, 520)
WIDTH_SHARES = (0.86, 0.06, 0.03, 0.03, 0.02)

VALIDATION_SHARE = 0.12
TEST_SHARE = 0.12
MIN_VALIDATION_CLIPS = 60
"""Below this, one clip would move the accuracy by more than 1.7 points."""

# Second words of the seeds, one for each independent use of randomness.
_PACKAGE_STREAM, _PLAN_STREAM, _SCENE_STREAM = range(3)


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip to draw."""

    clip_id: str
    split: str
    action: Action
    appearance: Appearance
    num_frames: int
    width: int


def split_sizes(num_clips: int) -> dict[str, int]:
    """Returns the clips of each split: 76, 12 and 12 percent, at least one.

    Validation gets up to MIN_VALIDATION_CLIPS, but at most a quarter of small packages.
    """
    if num_clips < len(SPLITS):
        raise ValueError(
            f"num_clips must be at least {len(SPLITS)}, one a split; got {num_clips}"
        )
    share = round(VALIDATION_SHARE * num_clips)
    validation = max(1, share, min(MIN_VALIDATION_CLIPS, num_clips // 4))
    test = max(1, round(TEST_SHARE * num_clips))
    return {
        "train": num_clips - validation - test,
        "validation": validation,
        "test": test,
    }


def plan_clips(num_clips: int, seed: int) -> list[ClipPlan]:
    """Returns the plans of clips "1" to str(num_clips), by split, ids shuffled.

    Within a split the sizes of the classes differ by at most one clip.
    """
    rng = np.random.Generator(np.random.PCG64((seed, _PACKAGE_STREAM)))
    ids = iter(rng.permutation(num_clips) + 1)
    plans = []
    for split, size in split_sizes(num_clips).items():
        order = rng.permutation(len(ACTIONS))
        label_ids = rng.permutation(np.resize(order, size))
        plans += [
            _plan_clip(int(next(ids)), split, ACTIONS[label_id], seed)
            for label_id in label_ids
        ]
    return plans


def scene_generator(clip_id: str, seed: int) -> np.random.Generator:
    """Returns the generator from which a clip's scene is drawn."""
    return np.random.Generator(np.random.PCG64((seed, _SCENE_STREAM, int(clip_id))))


def annotation_documents(plans: Sequence[ClipPlan]) -> dict[str, object]:
    """Returns the content of the four JSON files, by "labels" and by split."""
    labels = {action.label: str(index) for index, action in enumerate(ACTIONS)}
    rows: dict[str, list[dict[str, object]]] = {split: [] for split in SPLITS}
    for plan in plans:
        rows[plan.split].append(_annotation_row(plan))
    return {"labels": labels, **rows}


def _plan_clip(clip_number: int, split: str, action: Action, seed: int) -> ClipPlan:
    rng = np.random.Generator(np.random.PCG64((seed, _PLAN_STREAM, clip_number)))
    quantiles, lengths = LENGTH_QUANTILES[split]
    return ClipPlan(
        clip_id=str(clip_number),
        split=split,
        action=action,
        appearance=textures.draw_appearance(rng),
        num_frames=round(float(np.interp(rng.uniform(), quantiles, lengths))),
        width=int(rng.choice(WIDTHS_PX, p=WIDTH_SHARES)),
    )


def _annotation_row(plan: ClipPlan) -> dict[str, object]:
    if plan.split == "test":
        return {"id": plan.clip_id}
    template = plan.action.template
    names = [plan.appearance.object_name, plan.appearance.backdrop_name]
    placeholders = names[: template.count("[")]
    left = iter(placeholders)
    label = re.sub(r"\[[^]]*\]", lambda _: next(left), template)
    return {
        "id": plan.clip_id,
        "label": label[0].lower() + label[1:],
        "template": template,
        "placeholders": placeholders,
    }
