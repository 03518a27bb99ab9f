"""Networks in files for other programs: they compute the same, or are not there."""

import json
import re

import mindspore
import numpy as np
import pytest
import safetensors.numpy
from mindspore import Tensor, nn

from eval import export
from model import checkpoint
from model.cards import ModelCard
from model.tsm import TSMConfig
from tests.model.test_tsm import make_network, random_clips


def options(output, **changes):
    return export.ExportOptions(output.with_name("any.ckpt"), output, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"arch": "mobilenetv2", "width": 16, "shift_mode": "online"},
        {"temporal_pool": True, "consensus": "identity"},
    ],
)
def test_mindir_gives_the_logits_of_any_number_of_clips(tmp_path, changes):
    network = make_network(**changes)
    output = tmp_path / "made" / "tsm.mindir"
    result = export.export(network, options(output, crop_px=32))
    assert result.output == str(output)
    assert result.num_bytes == output.stat().st_size
    assert result.input_shape == (None, 4, 3, 32, 32)
    assert result.max_difference < 1e-4
    loaded = nn.GraphCell(mindspore.load(str(output)))
    clips = Tensor(random_clips(3))
    np.testing.assert_allclose(
        loaded(clips).asnumpy(), network(clips).asnumpy(), rtol=1e-4, atol=1e-4
    )
    names = sorted(path.name for path in output.parent.iterdir())
    assert names == ["tsm.mindir", "tsm.mindir.json"]


def test_frames_have_the_size_of_the_training(tmp_path, caplog):
    network = make_network()
    network.card = ModelCard(view={"crop_px": 48, "resize_px": 54})
    output = tmp_path / "tsm.onnx"
    assert export.export(network, options(output)).input_shape == (1, 4, 3, 48, 48)
    assert caplog.messages == []
    other = export.export(network, options(output, crop_px=32))
    assert other.input_shape == (1, 4, 3, 32, 32)
    assert "crop_px is 32 as given, the network was trained with 48" in caplog.text


def test_onnx_is_for_so_many_clips(tmp_path):
    output = tmp_path / "tsm.onnx"
    result = export.export(make_network(), options(output, crop_px=32, batch_size=2))
    assert result.input_shape == (2, 4, 3, 32, 32)
    assert result.max_difference < 1e-4
    assert output.stat().st_mode & 0o777 == 0o644
    assert result.num_bytes > 100_000


def test_onnx_gives_the_logits(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    output, network = tmp_path / "tsm.onnx", make_network()
    export.export(network, options(output, crop_px=32))
    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    clips = random_clips(1)
    (logits,) = session.run(None, {session.get_inputs()[0].name: clips})
    np.testing.assert_allclose(
        logits, network(Tensor(clips)).asnumpy(), rtol=1e-4, atol=1e-4
    )


def test_safetensors_has_the_weights(tmp_path):
    output, network = tmp_path / "tsm.safetensors", make_network()
    export.export(network, options(output))
    np.testing.assert_array_equal(
        safetensors.numpy.load_file(output)["new_fc.weight"],
        network.new_fc.weight.asnumpy(),
    )


def test_a_file_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    other = make_network()
    other.new_fc.bias.set_data(Tensor(np.ones(5, np.float32)))
    monkeypatch.setattr(nn, "GraphCell", lambda graph: other)
    with pytest.raises(export.ExportError, match=r"differ by 1\.0.*, more than 0\.001"):
        export.export(make_network(), options(tmp_path / "tsm.mindir", crop_px=32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"output": "tsm.om"},
            r"one of \.mindir, \.onnx, \.safetensors, \.air: .*tsm\.om",
        ),
        (
            {"output": "tsm.air"},
            r"tsm\.air: an \.air file can be .* on an Ascend alone",
        ),
        ({"crop_px": 16}, "--crop_px must be at least 32, got 16"),
    ],
)
def test_what_cannot_be_exported_is_wrong_usage(changes, message, caplog):
    flags = {"checkpoint": "a.ckpt", "output": "tsm.mindir"} | changes
    words = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
    assert export.main(words) == 2
    assert re.search(message, caplog.text)


def test_a_batch_of_no_clip_is_wrong_usage(capsys, tmp_path):
    with pytest.raises(ValueError, match="--batch_size must be at least 1, got 0"):
        options(tmp_path / "tsm.onnx", batch_size=0)
    with pytest.raises(SystemExit) as ended:
        export.main(["--checkpoint=a", "--output=b.onnx", "--batch_size=0"])
    assert ended.value.code == 2
    assert "--batch_size: must be a whole number of at least 1, got '0'" in (
        capsys.readouterr().err
    )


def test_a_missing_checkpoint_is_a_failure(tmp_path, caplog):
    words = ["--checkpoint", f"{tmp_path}/gone.ckpt", "--output", f"{tmp_path}/a.onnx"]
    assert export.main(words) == 1
    assert "no checkpoint" in caplog.text


def test_the_command_tells_what_it_wrote(tmp_path, capsys):
    path, output = tmp_path / "best.ckpt", tmp_path / "tsm.safetensors"
    checkpoint.save(make_network(), path, {"epoch": 3})
    assert export.main(["--checkpoint", str(path), "--output", str(output)]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["output"] == str(output)
    assert answer["num_bytes"] == output.stat().st_size
    with safetensors.safe_open(output, framework="numpy") as file:
        described = json.loads(file.metadata()["clipmill"])
    assert described["facts"] == {"checkpoint": str(path)}
    assert TSMConfig(**described["model"]).width == 8
