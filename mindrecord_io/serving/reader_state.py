"""Where a reader is, as a value that a checkpoint can hold.

Which clips make global step k is a function of (seed, epoch, global batch size) and of
the clips themselves. So this little is enough to go on exactly where reading stopped,
and nothing in it depends on ranks, worker processes, machines or the layout of shards.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from mindrecord_io import records

__all__ = ["ReaderState", "StateError", "digest"]

_SAYS = {
    "split": "the split",
    "seed": "seed",
    "batch_size": "batch_size (over all ranks)",
    "drop_last": "drop_last",
    "clips_digest": "the digest of the clips, their labels and their frames",
    "view_digest": "the digest of the view and the sampling",
}
_MAX_SEED = (1 << 63) - 1


class StateError(ValueError):
    """A state cannot be continued from: damaged, or of another reading."""


@dataclass(frozen=True, slots=True)
class ReaderState:
    """The next batch that a reader gives, and of what it is the next.

    `records.to_json(state)` is a dict for JSON; `ReaderState.parse` reads it back.

    Attributes:
      version: of the data set when the state was made, for people: another version
        with the same clips continues it as well.
      clips_digest: of the ids, labels and frames of the clips that are read from.
      view_digest: of the view and of the sampling.
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
        """Reads what `records.to_json` made of a state.

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
        """Makes sure that this state is of the same reading as another one.

        Raises:
          StateError: it is not; the message names everything that differs.
        """
        differing = [
            f"{said} is {getattr(other, name)!r} here, {getattr(self, name)!r} in the "
            f"state"
            for name, said in _SAYS.items()
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
