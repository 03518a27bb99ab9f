"""Records the place of a reader as a value that a checkpoint can hold.

The clips of global step k are a function of (seed, epoch, global batch size) and of the
clips themselves. So these few fields are enough to continue exactly where reading
stopped, and none depends on ranks, processes, machines or the layout of shards.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from mindrecord_io import records

__all__ = ["ReaderState", "StateError", "digest"]

_COMPARED = {
    "split": "the split",
    "seed": "seed",
    "batch_size": "batch_size (over all ranks)",
    "drop_last": "drop_last",
    "clips_digest": "the digest of the clips, their labels and their frames",
    "view_digest": "the digest of the view and the sampling",
}
_MAX_SEED = (1 << 63) - 1


class StateError(ValueError):
    """A state is damaged, or of other clips or arguments."""


@dataclass(frozen=True, slots=True)
class ReaderState:
    """The next batch of a reader, and what identifies the clips and arguments.

    `records.to_json(state)` is a dict for JSON; `ReaderState.parse` reads it back.

    Attributes:
      version: of the data set when the state was made, for people: a reader of another
        version with the same clips continues from it too.
      clips_digest: of the ids, labels and frames of the clips that are read.
      view_digest: of the view and the sampling.
      batch_size: clips in a step, over all ranks together.
      epoch, step: 0-based; `step` counts from the epoch's beginning.
    """

    split: str
    version: str
    clips_digest: str
    view_digest: str
    seed: int
    batch_size: int
    drop_last: bool
    epoch: int
    step: int

    def __post_init__(self) -> None:
        if self.batch_size < 1 or min(self.epoch, self.step) < 0:
            raise StateError(
                f"a state needs batch_size >= 1, epoch >= 0 and step >= 0, got "
                f"{self.batch_size}, {self.epoch} and {self.step}"
            )
        if abs(self.seed) > _MAX_SEED:
            raise StateError(f"seed must fit in 64 bits, got {self.seed}")

    @classmethod
    def parse(cls, fields: Any) -> "ReaderState":
        """Returns the state that `records.to_json` turned into JSON values.

        Raises:
          StateError: it is not a state.
        """
        try:
            state: ReaderState = records.from_json(cls, fields)
        except StateError:
            raise
        except ValueError as cause:
            raise StateError(f"not the state of a reader: {cause}") from cause
        return state

    def check_continues(self, other: "ReaderState") -> None:
        """Checks that this state has the same clips and arguments as another one.

        Raises:
          StateError: it is not; the message names everything that differs.
        """
        differing = [
            f"{meaning} is {getattr(other, name)!r} here, {getattr(self, name)!r} in "
            f"the state"
            for name, meaning in _COMPARED.items()
            if getattr(self, name) != getattr(other, name)
        ]
        if differing:
            raise StateError(
                f"cannot go on from a state of version {self.version}, epoch "
                f"{self.epoch}, step {self.step}: {'; '.join(differing)}; open the "
                f"same clips with the same arguments, or begin anew without the state"
            )


def digest(*parts: object) -> str:
    """Returns a hash of strings, numbers and frozen values of these."""
    plain = [
        {type(p).__name__: dataclasses.asdict(p)}
        if dataclasses.is_dataclass(p) and not isinstance(p, type)
        else p
        for p in parts
    ]
    text = json.dumps(plain, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
