"""Mixup (arXiv:1710.09412): clips and labels of two clips, blended.

Neighbours in a batch are mixed with each other, so that a batch is the same for any
number of ranks and parts whose share of it is even; a batch is in random order anyway.
The share is drawn from Beta(alpha, alpha) for each pair, by (seed, step, place).
"""

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ["mix", "shares"]


def shares(
    alpha: float, num_clips: int, *, first_clip: int, seed: int, step: int
) -> npt.NDArray[np.float32]:
    """Returns each clip's own share in its mixture, (N,) in [0, 1].

    Args:
      first_clip: place of the first in the batch of all ranks together.
      step: 0-based, counted over all epochs.
    """
    own = np.empty(num_clips, np.float32)
    for row in range(num_clips):
        text = f"{seed}/{step}/{(first_clip + row) // 2}".encode()
        digest = hashlib.blake2b(text, digest_size=16, person=b"mixup").digest()
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
        own[row] = rng.beta(alpha, alpha)
    return own


def mix(
    frames: npt.NDArray[np.uint8],
    label_ids: npt.NDArray[np.int32],
    own: npt.NDArray[np.float32],
    num_classes: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Returns mixed frames (N, ...) and the labels' probabilities (N, K).

    Args:
      own: (N,), each clip's own share; the rest is its neighbour's. Without one, at the
        end of an odd batch, a clip stays as it is.
    """
    num_clips = len(frames)
    partners = np.arange(num_clips) ^ 1
    partners[partners >= num_clips] = num_clips - 1
    share = own.reshape((-1, *(1,) * (frames.ndim - 1)))
    mixed = np.empty_like(frames)
    for row, partner in enumerate(partners):
        blend = share[row] * frames[row] + (1 - share[row]) * frames[partner]
        mixed[row] = np.rint(blend)
    one_hot = np.eye(num_classes, dtype=np.float32)[label_ids]
    return mixed, own[:, None] * one_hot + (1 - own[:, None]) * one_hot[partners]
