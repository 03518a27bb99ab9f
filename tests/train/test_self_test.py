"""Twenty steps against those of a processor: what passes, and what is noticed."""

import dataclasses
import json

import numpy as np
import pytest

from eval import config as eval_config
from train import __main__ as train_main
from train import self_test


@pytest.fixture(autouse=True, scope="module")
def _graph_mode():
    eval_config.use_graph_mode()


@pytest.fixture(autouse=True)
def _chosen_device(monkeypatch):
    """MindSpore takes a device once a process, and other tests have used it."""
    monkeypatch.setattr(eval_config.mindspore, "set_device", lambda *_: None)


@pytest.mark.slow
def test_a_processor_trains_as_recorded(capsys):
    assert train_main.self_test(["--train"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    recorded = self_test.Recorded.read()
    assert result["max_difference"] <= recorded.tolerance
    assert result["num_steps"] == len(result["losses"]) == len(recorded.losses) == 20
    assert recorded.losses[-1] < 0.9 * recorded.losses[0]  # it learns something


@pytest.mark.slow
def test_a_network_that_is_trained_otherwise_is_noticed():
    network = dataclasses.replace(self_test.NETWORK, shift_place="none")
    recorded = self_test.Recorded.read()
    difference = np.abs(np.subtract(self_test.losses(network), recorded.losses)).max()
    assert difference > 2 * recorded.half_tolerance > 20 * recorded.tolerance


@pytest.mark.parametrize("wrong", [0.1, np.nan])
def test_a_device_that_trains_otherwise_is_named(wrong, monkeypatch, caplog):
    recorded = list(self_test.Recorded.read().losses)
    recorded[3] += wrong
    monkeypatch.setattr(self_test, "losses", lambda: recorded)
    assert train_main.self_test(["--train"]) == 1
    assert "CPU trains otherwise than a processor: the loss of step 4 is" in caplog.text


def test_a_device_that_is_not_there_is_named(caplog):
    assert train_main.self_test(["--train", "--device_target", "Ascend"]) == 2
    assert "device_target is Ascend, and this machine has CPU" in caplog.text
