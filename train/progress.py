"""Progress of a training, as a value that checkpoints hold."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from eval.metrics import TopK

__all__ = ["Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps done, and the figures of the epoch under way and of the best.

    Attributes:
      num_steps: that are done, over all epochs.
      sum_loss: over the steps of the epoch under way.
      num_skipped: of these steps, for overflow, over all epochs.
      num_skipped_in_epoch: of the epoch under way.
      seen: the clips of the epoch under way, as the network took them before it learnt
        from them.
      best: of all evaluations; None before the first.
      best_epoch: 0-based, the first that had it.
    """

    num_steps: int = 0
    sum_loss: float = 0.0
    seen: TopK = dataclasses.field(default_factory=TopK.empty)
    best: TopK | None = None
    best_epoch: int = 0
    num_skipped: int = 0
    num_skipped_in_epoch: int = 0

    @property
    def num_updates(self) -> int:
        """The steps that changed the network."""
        return self.num_steps - self.num_skipped

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> "Progress":
        """Reads what `to_json` made."""
        best = fields["best"]
        return cls(
            **fields
            | {
                "seen": TopK(**fields["seen"]),
                "best": TopK(**best) if best else None,
            }
        )

    def after_step(
        self, loss: float, seen: TopK, *, is_skipped: bool = False
    ) -> "Progress":
        """Returns the progress after one more step."""
        return dataclasses.replace(
            self,
            num_steps=self.num_steps + 1,
            sum_loss=self.sum_loss + loss,
            num_skipped=self.num_skipped + is_skipped,
            num_skipped_in_epoch=self.num_skipped_in_epoch + is_skipped,
            seen=self.seen.merge(seen),
        )

    def after_epoch(self, epoch: int, score: TopK | None) -> "Progress":
        """Returns the progress at the beginning of the next epoch."""
        ended = dataclasses.replace(
            self, sum_loss=0.0, seen=TopK.empty(), num_skipped_in_epoch=0
        )
        if not self.is_best(score):
            return ended
        return dataclasses.replace(ended, best=score, best_epoch=epoch)

    def is_best(self, score: TopK | None) -> bool:
        """Whether an evaluation is better than all before; False for None."""
        if score is None:
            return False
        return self.best is None or score.num_top1 > self.best.num_top1
