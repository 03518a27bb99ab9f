"""A server as people start it, and the predictions that it shows."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import predictions_by_hand

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def predictions_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("predictions") / "predictions.parquet"
    predictions_by_hand.write_predictions(path)
    return path


class Served:
    """A running `clipmill browse`.

    Attributes:
      url: of its first page, without a token.
      corrections: the path of its corrections file.
    """

    def __init__(self, dataset, corrections, *flags):
        self.corrections = corrections
        words = ["--dataset", dataset, "--port", 0, "--corrections", corrections]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "browse", *map(str, [*words, *flags])],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = iter(self._process.stderr.readline, "")
        self.line = next(line for line in lines if "http://" in line)
        (self.url,) = re.findall(r"http://\S+?/", self.line)

    def stop(self):
        self._process.send_signal(signal.SIGINT)
        _, rest = self._process.communicate(timeout=30)
        return self._process.returncode, rest


@pytest.fixture
def serve(published_version, predictions_file, tmp_path, sigint_is_heard):
    servers = []

    def start(*flags):
        words = ("--predictions", predictions_file, *flags)
        corrections = tmp_path / "corrections.tsv"
        servers.append(Served(published_version.dataset, corrections, *words))
        return servers[-1]

    yield start
    for server in servers:
        if server._process.poll() is None:
            server.stop()
