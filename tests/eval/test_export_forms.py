"""What a file takes and what is written with it, read back by other libraries."""

import json
import re

import mindspore
import numpy as np
import onnxruntime
import pytest
from mindspore import Tensor, nn

from eval import export
from eval.device import forms, metadata, onnx_states
from model.cards import ModelCard
from model.streaming import Stream
from tests.model.test_tsm import make_network, random_clips

CARD = ModelCard(
    class_names=("a", "b", "c", "d", "é"),
    view={"crop_px": 32, "resize_px": 36},
    dataset="ssv2",
    dataset_version="000003",
)
ONLINE = {"shift_mode": "online", "consensus": "identity", "num_segments": 5}


@pytest.fixture(autouse=True)
def _eager():
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


def exported(network, output, **changes):
    options = export.ExportOptions(output.with_name("any.ckpt"), output, **changes)
    return export.export(network, options)


def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def zoo_view(clips):
    """As the model zoo's transforms do it: a division by 255, then each channel."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    stacked = clips.reshape((len(clips), -1, *clips.shape[-2:])).astype(np.float32)
    stacked /= np.float32(255)
    for channel in range(stacked.shape[1]):
        stacked[:, channel] -= np.float32(mean[channel % 3])
        stacked[:, channel] /= np.float32(std[channel % 3])
    return stacked


def test_packed_frames_are_the_zoos_to_the_byte():
    clips = random_clips(2)
    assert forms.packed(clips).tobytes() == zoo_view(clips).tobytes()


@pytest.mark.parametrize("batch_size", [None, 2])
def test_mindir_of_the_zoos_floats_gives_the_logits(tmp_path, batch_size):
    network, output = make_network(), tmp_path / "tsm.mindir"
    result = exported(
        network, output, crop_px=32, input="float24", batch_size=batch_size
    )
    assert result.input_shape == (batch_size, 12, 32, 32)
    loaded, clips = nn.GraphCell(mindspore.load(str(output))), random_clips(2)
    np.testing.assert_allclose(
        loaded(Tensor(zoo_view(clips))).asnumpy(),
        network(Tensor(clips)).asnumpy(),
        rtol=1e-4,
        atol=1e-4,
    )


def test_onnx_of_the_zoos_floats_gives_the_logits(tmp_path):
    network, output = make_network(), tmp_path / "tsm.onnx"
    exported(network, output, crop_px=32, input="float24")
    session, clips = session_of(output), random_clips(1)
    (logits,) = session.run(["logits"], {"frames": zoo_view(clips)})
    np.testing.assert_allclose(
        logits, network(Tensor(clips)).asnumpy(), rtol=1e-4, atol=1e-4
    )


def test_mindir_of_so_many_clips(tmp_path):
    output = tmp_path / "tsm.mindir"
    result = exported(make_network(), output, crop_px=32, batch_size=3)
    assert result.input_shape == (3, 4, 3, 32, 32)
    assert result.max_difference < 1e-4


@pytest.mark.parametrize("name", ["tsm.onnx", "tsm.mindir"])
def test_labels_sizes_and_version_are_written_with_a_network(tmp_path, name):
    network, output = make_network(), tmp_path / name
    network.card = CARD
    exported(network, output)
    read = metadata.read(output)
    assert read["labels"] == ["a", "b", "c", "d", "é"]
    assert (read["num_segments"], read["crop_px"], read["resize_px"]) == (4, 32, 36)
    assert read["mean"] == [0.485, 0.456, 0.406]
    assert (read["dataset"], read["dataset_version"]) == ("ssv2", "000003")
    first = 1 if name == "tsm.onnx" else None
    assert read["input"] == {
        "name": "frames",
        "dtype": "uint8",
        "shape": [first, 4, 3, 32, 32],
        "kind": "uint8",
        "is_normalised": False,
    }
    assert read["outputs"] == ["logits"]


def test_onnx_has_names_and_metadata_for_any_reader(tmp_path):
    network, output = make_network(), tmp_path / "tsm.onnx"
    network.card = CARD
    exported(network, output)
    session = session_of(output)
    assert [value.name for value in session.get_inputs()] == ["frames"]
    assert [value.name for value in session.get_outputs()] == ["logits"]
    labels = session.get_modelmeta().custom_metadata_map["labels"]
    assert json.loads(labels) == ["a", "b", "c", "d", "é"]


def test_metadata_of_another_mindir_is_refused(tmp_path):
    first, second = tmp_path / "a.mindir", tmp_path / "b.mindir"
    exported(make_network(), first, crop_px=32)
    exported(make_network(shift_place="none"), second, crop_px=32)
    second.replace(first)
    with pytest.raises(metadata.MetadataError, match="is of another file than"):
        metadata.read(first)
    with pytest.raises(metadata.MetadataError, match="must both be there"):
        metadata.read(second)


@pytest.mark.parametrize(
    "changes",
    [{}, {"shift_place": "block"}, {"arch": "mobilenetv2", "width": 16}],
)
def test_a_stream_in_onnx_has_the_logits_of_the_whole_clip(tmp_path, changes):
    network, output = make_network(**(ONLINE | changes)), tmp_path / "stream.onnx"
    result = exported(network, output, crop_px=32, streaming=True)
    session, clip = session_of(output), random_clips(1, num_segments=5, seed=7)
    names = [value.name for value in session.get_inputs()]
    assert names == ["frame", *(f"state_{i}" for i in range(len(names) - 1))]
    outputs = [value.name for value in session.get_outputs()]
    assert outputs == ["logits", *(f"next_state_{i}" for i in range(len(names) - 1))]
    states = [np.zeros(v.shape, np.float32) for v in session.get_inputs()[1:]]
    whole, stream = network(Tensor(clip)).asnumpy()[0], Stream(network)
    # MobileNetV2's logits are far larger here, so its limit is of the largest.
    atol = 1e-4 * (np.abs(whole).max() if "arch" in changes else 1)
    assert result.max_difference < atol
    for t in range(5):
        feeds = dict(zip(names, [clip[:, t], *states], strict=True))
        logits, *states = session.run(None, feeds)
        np.testing.assert_allclose(logits[0], whole[t], rtol=1e-4, atol=atol)
        pushed = stream.push(clip[:, t])
        np.testing.assert_allclose(logits, pushed, rtol=1e-4, atol=atol)
    assert np.abs(whole[0] - whole[1]).max() > 0.01


def test_what_is_no_state_of_a_shift_is_refused(tmp_path):
    output = tmp_path / "tsm.onnx"
    exported(make_network(), output, crop_px=32)
    with pytest.raises(ValueError, match="is not the state of a shift"):
        onnx_states.open_states(output, ["new_fc.weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "a.mindir", "streaming": None}, "--streaming is for .onnx files"),
        (
            {"output": "a.onnx", "streaming": None, "input": "float24"},
            "that take uint8 frames, got .*--input float24",
        ),
    ],
)
def test_streams_are_onnx_of_bytes(changes, message, caplog):
    words = ["--checkpoint", "a.ckpt"]
    for key, value in changes.items():
        words += [f"--{key}"] + ([value] if value else [])
    assert export.main(words) == 2
    assert re.search(message, caplog.text)
