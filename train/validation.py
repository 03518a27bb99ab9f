"""Measures the network in training on the validation split, and keeps the best."""

from pathlib import Path

from eval import config, evaluate, predictions
from eval import job as eval_job
from eval.metrics import TopK
from eval.running.rank_group import Ranks
from mindrecord_io.serving import split_columns
from mindrecord_io.versions.manifests import Version
from model.tsm import TSM

__all__ = ["SPLIT", "Validation"]

SPLIT = "validation"


class Validation:
    """The measurements of one training; the newest is in memory."""

    def __init__(
        self,
        network: TSM,
        settings: config.EvalConfig,
        *,
        version: Version,
        ranks: Ranks,
    ) -> None:
        self._network_config = network.config
        self._predict = evaluate.make_predict(network)
        self._settings = settings
        self._version = version
        self._ranks = ranks
        self._newest: evaluate.Evaluation | None = None

    def score(self) -> TopK:
        """Returns the accuracies of the network as it is; every rank must call it."""
        self._newest = eval_job.evaluate_split(
            self._predict,
            self._network_config,
            self._settings,
            version=self._version,
            split=SPLIT,
            ranks=self._ranks,
        )
        return self._newest.top_k

    def write_predictions(self, path: Path) -> None:
        """Writes what was predicted at the newest measurement, as `eval --output`."""
        assert self._newest is not None
        table = predictions.to_table(
            self._newest,
            split_columns.clip_ids_of(self._version, SPLIT),
            self._version.category_names(),
        )
        predictions.write(table, path)
