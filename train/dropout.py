"""Dropout whose choice depends on (seed, step, clip) alone, not on earlier steps.

MindSpore's own keeps its generator inside the compiled kernel, where nothing can read
or set it: a training that goes on from a checkpoint would drop other features than one
that was never stopped. Here the choice is made outside of the network and handed in. It
is the same for any number of ranks, as each makes its part of the batch's.
"""

import hashlib

import numpy as np
import numpy.typing as npt

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
    """Draws what training steps drop of a network's features.

    Args:
      network: whose probability and shapes hold.
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

    def draw(self, step: int) -> npt.NDArray[np.float32] | None:
        """Returns the factors (N*T, C) of the features in a training step.

        None where nothing is dropped; `step` counts from 0.
        """
        if self._probability == 0.0:
            return None
        return kept_features(
            self._seed, step, self._clips, self._shape, self._probability
        )

    def none(self, num_clips: int) -> npt.NDArray[np.float32] | None:
        """Returns the factors that drop nothing, as `draw` returns those of a step."""
        if self._probability == 0.0:
            return None
        return np.ones((num_clips * self._shape[0], self._shape[1]), np.float32)
