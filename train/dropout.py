"""Dropout whose choice depends on (seed, step, clip) alone, not on earlier steps.

MindSpore's own keeps its generator inside the compiled kernel, where nothing can read
or set it: a training that goes on from a checkpoint would drop other features than one
that was never stopped. Here the choice is made outside of the network and handed in. It
is the same for any number of ranks, as each makes its part of the batch's.
"""

import hashlib

import mindspore
import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, nn

from model.tsm import TSM

__all__ = ["Dropout", "kept_features"]


def kept_features(
    seed: int, step: int, clips: range, shape: tuple[int, int], probability: float
) -> npt.NDArray[np.float32]:
    """Returns the factors that drop or scale each feature.

    Args:
      step: 0-based, counted over all epochs.
      clips: places in the batch of all ranks together.
      shape: rows of features of a clip, features of a row.
      probability: to drop a feature.

    Returns:
      (len(clips) * shape[0], shape[1]): 0 to drop, else 1 / (1 - probability).
    """
    kept = np.empty((len(clips), *shape), np.float32)
    for row, clip in enumerate(clips):
        text = f"{seed}/{step}/{clip}".encode()
        digest = hashlib.blake2b(text, digest_size=16, person=b"dropout").digest()
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
        kept[row] = rng.random(shape, np.float32) >= probability
    kept /= np.float32(1.0 - probability)
    return kept.reshape((-1, shape[1]))


class Dropout:
    """Replaces a network's dropout while it is trained.

    Args:
      network: its cell `dropout` is replaced; in use it does nothing, as before.
      num_clips: of a batch on this rank.
      first_clip: this rank's first place in the batch of all ranks.
      seed: of the choices.
    """

    def __init__(
        self, network: TSM, num_clips: int, *, first_clip: int, seed: int
    ) -> None:
        self._probability = network.config.dropout
        self._clips = range(first_clip, first_clip + num_clips)
        self._shape = (
            network.config.num_pooled_segments,
            network.base_model.num_features,
        )
        self._seed = seed
        self._choice: _Choice | None = None
        if self._probability > 0.0:
            self._choice = _Choice(num_clips * self._shape[0], self._shape[1])
            network.dropout = _ChosenDropout(self._choice)

    def choose(self, step: int) -> None:
        """Decides what the next training step drops; `step` counts from 0."""
        if self._choice is not None:
            kept = kept_features(
                self._seed, step, self._clips, self._shape, self._probability
            )
            self._choice.kept.set_data(Tensor(kept))


@mindspore.jit_class
class _Choice:
    """Holds a tensor outside of the network, which is none of its parameters."""

    def __init__(self, num_rows: int, num_features: int) -> None:
        ones = Tensor(np.ones((num_rows, num_features), np.float32))
        self.kept = Parameter(ones, name="kept_features", requires_grad=False)


class _ChosenDropout(nn.Cell):
    def __init__(self, choice: _Choice) -> None:
        super().__init__()
        self.choice = choice

    def construct(self, x: Tensor) -> Tensor:
        if self.training:
            return x * self.choice.kept.astype(x.dtype)
        return x
