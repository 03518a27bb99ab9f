"""A server as people start it, and a headless Chromium where there is one."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eval import predictions
from eval.evaluate import Evaluation

REPOSITORY = Path(__file__).resolve().parents[3]
NAMES = ("Moving something left", "Moving something right", "Rest")
PREDICTED = {"201": 0, "202": 1, "203": 1, "204": 0}
"""The classes predicted for the validation clips; their labels are id % 3: 0, 1, 2, 0.

So clip 203 of class 2 is taken for class 1.
"""


def write_predictions(path):
    label_ids = np.array([int(clip_id) % 3 for clip_id in PREDICTED], np.int32)
    scores = np.zeros((4, 3), np.float32)
    scores[np.arange(4), list(PREDICTED.values())] = 3
    evaluation = Evaluation.of(scores, label_ids)
    table = predictions.to_table(evaluation, list(PREDICTED), NAMES)
    predictions.write(table, path)


@pytest.fixture(scope="session")
def predictions_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("predictions") / "predictions.parquet"
    write_predictions(path)
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


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium, Debian's own."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on the path: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
