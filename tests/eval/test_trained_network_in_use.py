"""A trained network gives the same answers however it is used, without a flag."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from eval import export, trained, video_files
from mindrecord_io.versions import opening
from tests.small_datasets import run_command

CONFIG = """
model: {arch: resnet18, width: 8, num_segments: 4, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 36, eval_batch_size: 4}
training: {epochs: 2, batch_size: 4, learning_rate: 0.02, warmup_epochs: 0.5}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(small_dataset, tmp_path_factory):
    """The folder of a training."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "run.yaml").write_text(CONFIG)
    run_command(
        *("train", "--config_path", folder / "run.yaml", "--output", folder / "run"),
        *("--dataset", small_dataset.dataset),
    )
    return folder / "run"


@pytest.fixture(scope="module")
def predictions_path(tmp_path_factory):
    return tmp_path_factory.mktemp("scored") / "predictions.parquet"


@pytest.fixture(scope="module")
def scored(run, small_dataset, predictions_path):
    """The result of `eval` by nothing but the folder and the data set."""
    words = ("eval", "--checkpoint", run, "--dataset", small_dataset.dataset)
    done = run_command(*words, "--output", predictions_path)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def validation(small_dataset):
    """Labels by id of the clips of the validation split."""
    version = opening.open_version(small_dataset.dataset)
    table = version.read_clips(["clip_id", "label", "status"], "validation")
    rows = [row for row in table.to_pylist() if row["status"] == "stored"]
    return {row["clip_id"]: row["label"] for row in rows}


def accuracy(best, validation):
    return sum(best[c] == label for c, label in validation.items()) / len(validation)


@pytest.fixture(scope="module")
def by_id(run, small_dataset, validation):
    words = ("eval", "infer", "--checkpoint", run, "--dataset", small_dataset.dataset)
    done = run_command(*words, "--clip_id", *validation)
    assert "as given" not in done.stderr
    assert "by default" not in done.stderr
    lines = map(json.loads, done.stdout.splitlines())
    return {line["clip_id"]: line for line in lines}


def test_infer_has_the_accuracy_of_eval(scored, by_id, validation):
    assert scored["num_clips"] == len(validation)
    best = {clip_id: line["labels"][0] for clip_id, line in by_id.items()}
    assert accuracy(best, validation) == scored["top1"]


def test_infer_has_the_labels_of_eval_for_every_clip(scored, by_id, predictions_path):
    """Equal accuracies could be those of a network that always has one answer."""
    rows = pq.read_table(predictions_path).to_pylist()
    assert len(rows) == scored["num_clips"] == len(by_id)
    for row in rows:
        line = by_id[row["clip_id"]]
        assert line["labels"] == row["top_labels"]
        np.testing.assert_allclose(
            line["probabilities"], row["top_probabilities"], atol=1e-5
        )


def test_infer_on_the_files_is_infer_on_their_clips(run, small_dataset, by_id):
    paths = {str(small_dataset.clip_path(clip_id)): clip_id for clip_id in by_id}
    done = run_command("eval", "infer", "--checkpoint", run, *paths)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(by_id)
    for line in lines:
        stored = by_id[paths[line["path"]]]
        assert line["labels"] == stored["labels"]
        np.testing.assert_allclose(
            line["probabilities"], stored["probabilities"], atol=1e-5
        )


def test_onnx_by_infers_own_view_has_the_accuracy_of_eval(
    run, small_dataset, scored, validation, tmp_path
):
    onnxruntime = pytest.importorskip("onnxruntime")
    network, output = trained.load(run), tmp_path / "network.onnx"
    result = export.export(network, export.ExportOptions(run, output))
    assert result.input_shape == (1, 4, 3, 32, 32)
    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    view = trained.view_settings(network, {}).view(4)
    settings = video_files.records.DecodeSettings(**network.card.decode_settings)
    opened = video_files.VideoReader(view, settings, 2)
    names, best = network.card.class_names, {}
    for clip in opened.read([small_dataset.clip_path(c) for c in validation]):
        feed = {session.get_inputs()[0].name: clip.pixels[np.newaxis]}
        (logits,) = session.run(None, feed)
        best[clip.path.stem] = names[int(logits[0].argmax())]
    opened.close()
    assert accuracy(best, validation) == scored["top1"]
