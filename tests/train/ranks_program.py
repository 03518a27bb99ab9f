"""Trains on moving bars as one of the ranks that msrun started, or alone.

    msrun ... python tests/train/ranks_program.py FOLDER [key=value of TrainConfig ...]

Each rank leaves a file: a hash of the weights after every step, and the weights.
"""

import dataclasses
import hashlib
import os
import sys
from pathlib import Path

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
os.environ.setdefault("MS_NODE_TIMEOUT", "10")

import mindspore
import numpy as np
import yaml

from eval import config as eval_config
from eval.metrics import TopK
from eval.running import rank_group
from model.tsm import TSM
from tests.train import moving_bars
from train import loop, run_folder
from train.config import TrainConfig

SETTINGS = TrainConfig(
    epochs=10, batch_size=4, learning_rate=0.003, evaluate_every=10, warmup_epochs=1
)
NETWORK = dataclasses.replace(moving_bars.NETWORK, dropout=0.5)


class RankClips(moving_bars.BarClips):
    """This rank's part of every batch; notes the weights before each."""

    def __init__(self, network, ranks):
        super().__init__(8, 4)
        self.network, self.ranks, self.hashes = network, ranks, []

    def __iter__(self):
        size = self.batch_size // self.ranks.num_ranks
        own = slice(self.ranks.rank * size, (self.ranks.rank + 1) * size)
        for frames, label_ids in super().__iter__():
            yield frames[own].copy(), label_ids[own].copy()
            self.hashes.append(self.weights_hash())

    def weights_hash(self):
        digest = hashlib.sha256()
        for parameter in self.network.trainable_params():
            digest.update(parameter.asnumpy().tobytes())
        return digest.hexdigest()


def main(folder, *pairs):
    eval_config.use_device("CPU")
    ranks = rank_group.join()
    settings = dataclasses.replace(
        SETTINGS, **{k: yaml.safe_load(v) for k, v in (p.split("=") for p in pairs)}
    )
    mindspore.set_seed(1 + ranks.rank)  # ranks must agree all the same
    network = TSM(NETWORK)
    clips = RankClips(network, ranks)
    training = loop.Training(
        network,
        settings,
        clips=clips,
        score=TopK.empty,
        folder=run_folder.RunFolder(Path(folder) / "run"),
        description={},
        ranks=ranks,
    )
    steps = run_folder.RunFolder(Path(folder) / "run").checkpoints.steps()
    if steps:
        training.resume(steps[-1])
    else:
        training.begin()
    training.run()
    weights = {p.name: p.asnumpy() for p in network.get_parameters()}
    weights["hashes"] = np.array(clips.hashes)
    weights |= collective(ranks)
    np.savez(Path(folder) / f"rank{ranks.rank}of{ranks.num_ranks}.npz", **weights)


def collective(ranks):
    """What the ranks make of (rank + 1, 10) together."""
    own = np.array([ranks.rank + 1, 10], np.float32)
    average, equalised = (mindspore.Parameter(mindspore.Tensor(own)) for _ in range(2))
    ranks.average([average])
    ranks.equalise([equalised])
    return {
        "own": own,
        "summed": ranks.summed(own),
        "average": average.asnumpy(),
        "equalised": equalised.asnumpy(),
    }


if __name__ == "__main__":
    with moving_bars.fewer_blocks():
        main(*sys.argv[1:])
