"""Chooses the frames, crops and flip of a clip, without touching pixels.

A view turns a clip's shape into a `ViewDecision`. Crops and flip hold for all of its
frames. What is random is drawn from a `ClipRandom`, so it
depends on (seed, epoch, clip_id) alone. Training looks at a clip once; evaluation may
look at it `num_views` times: at several crops, each at several times.
"""

import functools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, ClassVar, Protocol

from mindrecord_io import records
from mindrecord_io.serving import segments
from mindrecord_io.serving.clip_random import ClipRandom

__all__ = [
    "CentreView",
    "CropDecision",
    "ThreeCropView",
    "TrainView",
    "View",
    "ViewDecision",
    "check_view",
    "clip_shape",
    "flip_label_map",
]

# TSM's GroupMultiScaleCrop (`more_fix_crop`), as quarters (x, y) of the free space:
# corners, centre, middles of the sides, centres of the quadrants.
_CORNERS = ((0, 0), (4, 0), (0, 4), (4, 4))
_MIDDLES = ((2, 2), (0, 2), (4, 2), (2, 4), (2, 0))
_QUADRANTS = ((1, 1), (3, 1), (1, 3), (3, 3))
_POSITIONS = _CORNERS + _MIDDLES + _QUADRANTS

_MAX_DISTORT = 1  # height and width may be neighbours in the list of scales
_SNAP_PX = 3  # a crop this near to the output is taken at its size: no resampling

_OTHER_SIDE = {
    form(side): form(other)
    for side, other in (("left", "right"), ("right", "left"))
    for form in (str.lower, str.title, str.upper)
}
_PARTICLES = "away|back|down|into|off|out|through|up"
# In "pulling it right out" no side is meant, in "from left to right out of" one is.
_ADVERB = rf"(?<!to )(?<!the )(?<!from )right (?={_PARTICLES})"
_SIDE = re.compile(rf"\b(?!{_ADVERB})({'|'.join(_OTHER_SIDE)})\b")


@dataclass(frozen=True, slots=True)
class CropDecision:
    """A rectangle of the stored frame, in pixels, and whether to mirror it."""

    top: int
    left: int
    height: int
    width: int
    flip: bool = False

    def __post_init__(self) -> None:
        if min(self.top, self.left) < 0 or min(self.height, self.width) < 1:
            raise ValueError(f"not a rectangle inside a frame: {self}")


@dataclass(frozen=True, slots=True)
class ViewDecision:
    """The frames and crops of one clip that are seen.

    Attributes:
      frame_indices: 0-based, num_segments for each time the clip is looked at.
      crops: each is cut out of all these frames.
      label_id: of the clip as seen: a mirrored "to the left" is "to the right".
    """

    frame_indices: tuple[int, ...]
    crops: tuple[CropDecision, ...]
    label_id: int


class View(Protocol):
    """Decides what is seen of a clip; a frozen dataclass that a state hashes."""

    @property
    def num_segments(self) -> int:
        """Frames of a clip in one view of it."""

    @property
    def crop_px(self) -> int:
        """Height and width of the frames after resampling."""

    @property
    def is_random(self) -> bool:
        """Whether an epoch's clips are drawn too, or come in the order of the table."""

    @property
    def num_views(self) -> int:
        """How often a clip is looked at: crops x times."""

    def decide(
        self,
        num_frames: int,
        *,
        height: int,
        width: int,
        label_id: int,
        rng: ClipRandom,
    ) -> ViewDecision:
        """Returns what is seen of a clip of this length, size and label.

        Args:
          rng: the only source of randomness; a fixed view ignores it.

        Raises:
          ValueError: the view is not for such a clip.
        """


@dataclass(frozen=True, slots=True)
class TrainView:
    """A random frame of each segment, TSM's multi-scale crop, flips where safe.

    Attributes:
      crop_px: height and width of the frames after resampling.
      scales: the crop's sides as parts of the frame's short side; height and width are
        equal or neighbours in this list, so the picture is hardly stretched.
      flip_label_map: the label_id of a mirrored clip by label_id, UNLABELLED where a
        clip must not be mirrored, from `flip_label_map`. None: no flips.
      frame_sampling: one of segments.RANDOM.
    """

    num_segments: int = 8
    crop_px: int = 224
    scales: tuple[float, ...] = (1, 0.875, 0.75, 0.66)
    flip_label_map: tuple[int, ...] | None = None
    frame_sampling: str = "segments"

    is_random: ClassVar[bool] = True
    num_views: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_positive(num_segments=self.num_segments, crop_px=self.crop_px)
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ValueError(f"scales must be in (0, 1], got {self.scales}")
        _check_flip_label_map(self.flip_label_map or ())
        _check_sampling(self.frame_sampling, segments.RANDOM)

    def decide(
        self,
        num_frames: int,
        *,
        height: int,
        width: int,
        label_id: int,
        rng: ClipRandom,
    ) -> ViewDecision:
        """Draws the frames, then the crop's sides, its position and the flip."""
        sample = segments.RANDOM[self.frame_sampling]
        frames = sample(num_frames, self.num_segments, rng)
        sides = _crop_sides(min(height, width), self.crop_px, self.scales)
        crop_height, crop_width = sides[rng.below(len(sides))]
        x, y = _POSITIONS[rng.below(len(_POSITIONS))]
        flipped_id = self._flipped_label_id(label_id)
        flip = rng.below(2) == 1 and flipped_id != records.UNLABELLED
        crop = CropDecision(
            top=y * ((height - crop_height) // 4),
            left=x * ((width - crop_width) // 4),
            height=crop_height,
            width=crop_width,
            flip=flip,
        )
        seen_id = flipped_id if flip else label_id
        return ViewDecision(tuple(frames.tolist()), (crop,), seen_id)

    def _flipped_label_id(self, label_id: int) -> int:
        if self.flip_label_map is None or label_id == records.UNLABELLED:
            return records.UNLABELLED
        if label_id >= len(self.flip_label_map):
            raise ValueError(
                f"flip_label_map is for {len(self.flip_label_map)} labels, got "
                f"label_id {label_id}"
            )
        return self.flip_label_map[label_id]


@dataclass(frozen=True, slots=True)
class _FixedView:
    """Sees the same frames and squares of a clip every time.

    The frame's short side is scaled to `resize_px` with its aspect kept, and squares of
    `crop_px` are cut out. Both are done at once: the square of the stored frame that
    becomes a crop is resampled, nothing else.

    Attributes:
      frame_sampling: one of segments.FIXED.
    """

    num_segments: int = 8
    crop_px: int = 224
    resize_px: int = 256
    frame_sampling: str = "centre"

    is_random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_positive(num_segments=self.num_segments, crop_px=self.crop_px)
        if self.resize_px < self.crop_px:
            raise ValueError(
                f"resize_px must be at least crop_px, {self.crop_px}: {self.resize_px}"
            )
        _check_sampling(self.frame_sampling, segments.FIXED)

    @property
    def num_views(self) -> int:
        """How often a clip is looked at: crops x times."""
        return len(self._corners(0, 0)) * segments.FIXED[self.frame_sampling][0]

    def decide(
        self,
        num_frames: int,
        *,
        height: int,
        width: int,
        label_id: int,
        rng: ClipRandom | None = None,
    ) -> ViewDecision:
        """Returns the one decision there is for a clip of this shape."""
        side = max(1, int(min(height, width) * self.crop_px / self.resize_px + 0.5))
        crops = tuple(
            CropDecision(top, left, side, side)
            for top, left in self._corners(height - side, width - side)
        )
        _, sample = segments.FIXED[self.frame_sampling]
        frames = sample(num_frames, self.num_segments)
        return ViewDecision(tuple(frames.tolist()), crops, label_id)

    def _corners(self, free_height: int, free_width: int) -> list[tuple[int, int]]:
        """Returns (top, left) of each square, for the pixels left free around one."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class CentreView(_FixedView):
    """The centre frame of each segment and the centre crop, as TSM is evaluated."""

    def _corners(self, free_height: int, free_width: int) -> list[tuple[int, int]]:
        return [(free_height // 2, free_width // 2)]


@dataclass(frozen=True, slots=True)
class ThreeCropView(_FixedView):
    """Three squares along the frame's longer side, at both ends and in the middle.

    By default TSM's "accurate" evaluation: the whole short side, scaled to 256 pixels,
    in three places, at the centres of the segments and at their first frames. The
    views of a clip are in the order of the crops, those of a crop in that of the times.
    """

    crop_px: int = 256
    frame_sampling: str = "twice"

    def _corners(self, free_height: int, free_width: int) -> list[tuple[int, int]]:
        halves = (0, 1, 2)  # of the free space: begin, middle, end
        if free_width >= free_height:
            return [(free_height // 2, x * free_width // 2) for x in halves]
        return [(y * free_height // 2, free_width // 2) for y in halves]


def check_view(view: Any) -> None:
    """Checks that a value is a View; the class TrainView, without (), is none.

    Raises:
      ValueError: it lacks an attribute of View, or is no dataclass.
    """
    is_value = is_dataclass(view) and not isinstance(view, type)
    names = ("num_segments", "crop_px", "is_random", "num_views", "decide")
    absent = [name for name in names if not hasattr(view, name)]
    if absent or not is_value:
        raise ValueError(
            f"view must be a frozen dataclass with {', '.join(names)}, such as "
            f"TrainView(), got {view!r}"
        )


def clip_shape(view: View) -> tuple[int, ...]:
    """Returns the shape of what is seen of one clip.

    (T, 3, crop_px, crop_px), or (num_views, T, 3, crop_px, crop_px) where num_views is
    more than 1.
    """
    once = (view.num_segments, 3, view.crop_px, view.crop_px)
    return once if view.num_views == 1 else (view.num_views, *once)


def flip_label_map(category_names: Sequence[str]) -> tuple[int, ...]:
    """Returns for each label_id that of the mirrored clip, by the texts of the labels.

    A text with the words left or right becomes the text with the two exchanged, if that
    is a label; else the clip must not be mirrored, as no label would be true of it. The
    adverb in "pulling it right out" is no side.
    Such clips have UNLABELLED here; other labels stay what they are.
    """
    label_ids = {name: i for i, name in enumerate(category_names)}
    return tuple(
        label_ids.get(_mirrored_text(name), records.UNLABELLED)
        for name in category_names
    )


def _mirrored_text(name: str) -> str:
    return _SIDE.sub(lambda match: _OTHER_SIDE[match[0]], name)


@functools.lru_cache(maxsize=1024)
def _crop_sides(
    short_side_px: int, crop_px: int, scales: tuple[float, ...]
) -> tuple[tuple[int, int], ...]:
    """Returns the (height, width) among which TSM's GroupMultiScaleCrop draws."""
    sides = [max(1, int(short_side_px * scale)) for scale in scales]
    snapped = [
        crop_px if abs(side - crop_px) < _SNAP_PX and crop_px <= short_side_px else side
        for side in sides
    ]
    return tuple(
        (height, width)
        for i, height in enumerate(snapped)
        for j, width in enumerate(snapped)
        if abs(i - j) <= _MAX_DISTORT
    )


def _check_sampling(name: str, choices: Collection[str]) -> None:
    if name not in choices:
        raise ValueError(
            f"frame_sampling must be one of {tuple(choices)}, got {name!r}"
        )


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def _check_flip_label_map(label_ids: tuple[int, ...]) -> None:
    for label_id, flipped in enumerate(label_ids):
        if flipped == records.UNLABELLED:
            continue
        if not 0 <= flipped < len(label_ids) or label_ids[flipped] != label_id:
            raise ValueError(
                f"flip_label_map must lead back: {label_id} becomes {flipped}, which "
                f"does not become {label_id}; {records.UNLABELLED} means no flip"
            )
