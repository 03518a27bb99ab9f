"""ModelCard: what the use of a trained network needs besides its tensors and TSMConfig.

{"class_names": [...], "class_digest": "...", "view": {"crop_px": 224, ...},
 "mean": [...], "std": [...], "parameters": "as trained", "weights": "random",
 "weights_sha256": "",
 "dataset": "...", "dataset_version": "000003", "dataset_digest": "...",
 "decode_settings": {...}, "program": "0.1.0"}
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "AS_TRAINED",
    "PIXEL_MEAN",
    "PIXEL_STD",
    "ModelCard",
    "class_digest",
    "parse",
    "parse_run",
]

AS_TRAINED = "as trained"
"""A network as its last step left it."""

# Mean and deviation of ImageNet's RGB, for pixels in [0, 1].
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

_TUPLES = ("class_names", "mean", "std")
_VIEW = ("crop_px", "resize_px", "eval_crops", "eval_frames", "average")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """How a trained network is used, and where it comes from.

    An empty field is a fact that the file lacks, as those of earlier programs do.

    Attributes:
      class_names: label texts by label_id.
      view: crop_px, resize_px, eval_crops, eval_frames and average, by which the
        network was measured in training; and train_frames, the training's own.
      mean, std: of RGB pixels in [0, 1]; the network itself normalises by them.
      parameters: which of a training the file has: AS_TRAINED, or averages of them.
      weights: where training began: "random", or a file's name; `weights_sha256` is of
        its content.
      dataset: the data set that it was trained on; `dataset_digest` is the SHA-256 of
        the version's manifest.
      decode_settings: how that data set's frames were made of its clips.
      program: the version of the program that trained it.
    """

    class_names: tuple[str, ...] = ()
    view: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = PIXEL_MEAN
    std: tuple[float, ...] = PIXEL_STD
    parameters: str = AS_TRAINED
    weights: str = ""
    weights_sha256: str = ""
    dataset: str = ""
    dataset_version: str = ""
    dataset_digest: str = ""
    decode_settings: Mapping[str, Any] = field(default_factory=dict)
    program: str = ""

    def __post_init__(self) -> None:
        if (self.mean, self.std) != (PIXEL_MEAN, PIXEL_STD):
            raise ValueError(
                f"pixels are normalised by mean {self.mean} and deviation {self.std}, "
                f"this program's networks by {PIXEL_MEAN} and {PIXEL_STD}"
            )

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the facts that there are not."""
        names = [field.name for field in dataclasses.fields(self)]
        absent = [name for name in names if not getattr(self, name)]
        has_file = self.weights not in ("", "random")
        return tuple(n for n in absent if n != "weights_sha256" or has_file)

    def to_json(self) -> dict[str, Any]:
        """Returns the card as JSON values, with the digest of the classes."""
        values = dataclasses.asdict(self)
        values |= {name: list(values[name]) for name in _TUPLES}
        return values | {"class_digest": class_digest(self.class_names)}


def class_digest(class_names: Sequence[str]) -> str:
    """Returns the SHA-256 of label texts, a line each; "" of none."""
    text = "\n".join(class_names)
    return hashlib.sha256(text.encode()).hexdigest() if class_names else ""


def parse(values: Mapping[str, Any]) -> ModelCard:
    """Returns the card that `to_json` made; keys of later programs are left out.

    Raises:
      ValueError, TypeError: it is damaged, or pixels are normalised otherwise.
    """
    names = [field.name for field in dataclasses.fields(ModelCard)]
    fields = {name: values[name] for name in names if name in values}
    for name in _TUPLES:
        if name in fields:
            fields[name] = tuple(fields[name])
    card = ModelCard(**fields)
    if values.get("class_digest", "") != class_digest(card.class_names):
        raise ValueError("the class names are not those that class_digest is of")
    return card


def parse_run(run: Mapping[str, Any]) -> ModelCard:
    """Returns what a checkpoint without a card has of it, from its training's values.

    Args:
      run: the fact "run" of a training's checkpoint; {} where there is none.
    """
    evaluation, training = run.get("evaluation", {}), run.get("training", {})
    view = {name: evaluation[name] for name in _VIEW if name in evaluation}
    if view and "train_frames" in training:
        view["train_frames"] = training["train_frames"]
    weights = training.get("tune_from") or "random" if training else ""
    return ModelCard(
        view=view, weights=weights, dataset_version=str(run.get("version", ""))
    )
