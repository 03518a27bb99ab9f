"""TSMConfig: everything that decides a network, as one frozen value."""

import dataclasses
from dataclasses import dataclass

from model import consensus, mobilenet, resnet, temporal, temporal_shift

__all__ = ["ARCHS", "TSMConfig"]

ARCHS = (*resnet.RESNETS, "mobilenetv2")


@dataclass(frozen=True, slots=True)
class TSMConfig:
    """Decides a network's parameters and what it computes.

    Attributes:
      num_classes: K, the length of the logits.
      arch: the frame network, one of ARCHS.
      width: channels of a ResNet's stem; 64 is the published network, of MobileNetV2
        too, and less makes it slimmer.
      num_segments: T, frames of a clip.
      shift_div: 1 / shift_div of the channels move (offline: each way).
      shift_place: one of `temporal.SHIFT_PLACES`; "none" is TSN, blind to order.
      shift_mode: "offline" shifts both ways, "online" from the past only.
      temporal_pool: half the segments after the first stage (ResNets only).
      non_local: non-local blocks in the second and third stage (ResNet-34 and deeper).
      partial_bn: batch norm after the first is frozen, statistics and all. That of
        non-local blocks is not: it begins at zero.
      consensus: one of `consensus.CONSENSUSES`.
      dropout: probability to drop a feature before the classifier.
    """

    num_classes: int
    arch: str = "resnet50"
    width: int = 64
    num_segments: int = 8
    shift_div: int = 8
    shift_place: str = "blockres"
    shift_mode: str = "offline"
    temporal_pool: bool = False
    non_local: bool = False
    partial_bn: bool = False
    consensus: str = "avg"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), field.type)
        _check_choice("arch", self.arch, ARCHS)
        _check_choice("shift_place", self.shift_place, temporal.SHIFT_PLACES)
        _check_choice("shift_mode", self.shift_mode, tuple(temporal_shift.SHIFT_MODES))
        _check_choice("consensus", self.consensus, tuple(consensus.CONSENSUSES))
        for name, (least, most) in _RANGES.items():
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be at least {least}, got {getattr(self, name)}"
                )
            if getattr(self, name) > most:
                raise ValueError(
                    f"{name} must be at most {most}, got {getattr(self, name)}"
                )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        self._check_parts()
        if self.shift_place != "none":
            self._check_shift()

    @property
    def num_pooled_segments(self) -> int:
        """The number of segments that have logits."""
        return self.num_segments // 2 if self.temporal_pool else self.num_segments

    def disagreements(self, fields: dict[str, object]) -> list[str]:
        """Returns a line for each of `fields` whose value differs from the one here."""
        own = dataclasses.asdict(self)
        return [
            f"{name} is {own[name]!r} here and {value!r} there"
            for name, value in fields.items()
            if own[name] != value
        ]

    def _check_parts(self) -> None:
        """Checks that the frame network has a place for each optional part."""
        deep = [name for name, net in resnet.RESNETS.items() if net.has_non_local_room]
        if self.non_local and self.arch not in deep:
            raise ValueError(f"non_local needs arch one of {deep}, got {self.arch!r}")
        if not self.temporal_pool:
            return
        if self.arch not in resnet.RESNETS:
            archs = tuple(resnet.RESNETS)
            raise ValueError(
                f"temporal_pool needs arch one of {archs}, got {self.arch!r}"
            )
        if self.num_segments % 2:
            raise ValueError(
                f"num_segments must be even for temporal_pool, got {self.num_segments}"
            )
        if self.shift_mode == "online":
            raise ValueError("temporal_pool looks at later segments: not for online")

    def _check_shift(self) -> None:
        if self.num_pooled_segments < 2:
            raise ValueError(
                f"num_segments must be at least {4 if self.temporal_pool else 2} to "
                f"shift along time, got {self.num_segments}"
            )
        channels = self.width
        if self.arch == "mobilenetv2":
            channels = mobilenet.num_channels(
                mobilenet.FIRST_SHIFTED_CHANNELS, self.width
            )
        if not 2 <= self.shift_div <= channels:
            raise ValueError(
                f"shift_div must be in [2, {channels}], the channels of the first "
                f"shifted block, got {self.shift_div}"
            )


# The most is far beyond what is of use, and less than what no machine can hold.
_RANGES = {
    "num_classes": (1, 100_000),
    "width": (4, 256),
    "num_segments": (1, 1024),
}


def _check_type(name: str, value: object, kind: object) -> None:
    """Refuses what Python would go on with, as with 24.0 channels, until it cannot."""
    is_number = kind is float and isinstance(value, int)
    is_kind = isinstance(kind, type) and isinstance(value, kind)
    if (isinstance(value, bool) and kind is not bool) or not (is_kind or is_number):
        wanted = getattr(kind, "__name__", kind)
        raise ValueError(f"{name} must be {wanted}, got {value!r:.80}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r:.80}")
