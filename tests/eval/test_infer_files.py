"""Labels of video files and of the frames of a stream."""

import json

import mindspore
import numpy as np
import pytest
from mindspore import Tensor

from eval import infer, infer_files, video_files
from mindrecord_io.serving import views
from mindrecord_io.serving.frames import CropDecoder
from model import checkpoint
from model.cards import ModelCard
from model.tsm import TSM, TSMConfig

NAMES = ("Left", "Right", "Rest")
CONFIG = TSMConfig(
    num_classes=3,
    arch="resnet18",
    width=4,
    num_segments=4,
    shift_div=4,
    shift_mode="online",
)
VIEW = {"crop_px": 32, "resize_px": 36, "eval_crops": "centre", "eval_frames": "centre"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A checkpoint of random weights, and the options to use it with."""
    monkeypatch.setattr(infer_files.config, "use_device", lambda *_, **__: None)
    mindspore.set_seed(5)
    network = TSM(CONFIG)
    weight = np.random.default_rng(2).normal(0, 1, network.new_fc.weight.shape)
    network.new_fc.weight.set_data(Tensor(weight.astype(np.float32)))
    network.card = ModelCard(class_names=NAMES, view=VIEW | {"average": "logits"})
    checkpoint.save(network, tmp_path / "best.ckpt", {})

    def options(**fields):
        return infer.InferOptions(checkpoint=tmp_path, **fields)

    yield network, options
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


def probabilities(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def check(line, logits):
    order = np.argsort(-logits)
    assert line["labels"] == tuple(NAMES[label_id] for label_id in order)
    np.testing.assert_allclose(
        line["probabilities"], probabilities(logits)[order], atol=2e-5
    )


@pytest.mark.parametrize("batch_size", [2, 16])
def test_every_clip_has_its_line_and_refused_ones_their_reason(
    run, video_folder, batch_size
):
    network, options = run
    lines, wanted = [], options(clips=(video_folder,), batch_size=batch_size)
    with pytest.raises(
        infer_files.RefusedError,
        match="3 of 6 clips could not be decoded: truncated 1, empty 1, not_video 1",
    ):
        lines.extend(infer_files.infer_files(wanted))
    names = [line["path"].rpartition("/")[2] for line in lines]
    assert names == ["a.webm", "b.webm", "c.mkv", "d", "e.webm", "f.mp4"]
    assert set(lines[1]) == {"path", "reason", "detail"}
    view = views.CentreView(num_segments=4, crop_px=32, resize_px=36)
    opened = video_files.VideoReader(view, video_files.records.DecodeSettings(), 1)
    for clip in opened.read(
        [video_folder / "a.webm", video_folder / "c.mkv", video_folder / "d"]
    ):
        logits = network(Tensor(clip.pixels[np.newaxis])).asnumpy()[0]
        check(lines[names.index(clip.path.name)], logits)
    opened.close()


def test_the_command_scores_the_rest_and_fails(run, video_folder, capsys, caplog):
    _, options = run
    words = ["--checkpoint", str(options(clips=(video_folder,)).checkpoint)]
    paths = [str(video_folder / name) for name in ("e.webm", "d")]
    assert infer.main([*words, *paths]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("reason") for line in lines] == ["empty", None]
    assert "1 of 2 clips could not be decoded: empty 1" in caplog.text
    assert infer.main([*words, str(video_folder / "d")]) == 0


def test_without_class_names_there_is_nothing_to_print(run, video_folder, tmp_path):
    network, options = run
    network.card = ModelCard()
    checkpoint.save(network, tmp_path / "best.ckpt", {})
    with pytest.raises(ValueError, match="has no class names"):
        list(infer_files.infer_files(options(clips=(video_folder / "a.webm",))))


def test_a_stream_has_the_networks_logits_after_as_many_frames_as_segments(
    run, video_folder
):
    network, options = run
    lines = list(infer_files.infer_stream(options(stream=str(video_folder / "a.webm"))))
    assert [line["frame"] for line in lines] == list(range(12))
    frames = list(video_files.stream_frames(str(video_folder / "a.webm")))
    view = views.CentreView(num_segments=1, crop_px=32, resize_px=36)
    crops = view.decide(1, height=48, width=64, label_id=-1).crops
    clip = np.empty((1, 4, 3, 32, 32), np.uint8)
    for i in range(4):
        CropDecoder(32).crop(frames[i], crops, clip[:, i])
    network.set_train(False)
    check(lines[3], network(Tensor(clip)).asnumpy()[0])


def test_a_stream_needs_an_online_network(run, video_folder, tmp_path):
    _, options = run
    network = TSM(TSMConfig(num_classes=3, arch="resnet18", width=8, num_segments=4))
    network.card = ModelCard(class_names=NAMES, view=VIEW)
    checkpoint.save(network, tmp_path / "best.ckpt", {})
    with pytest.raises(ValueError, match="needs shift_mode 'online', got 'offline'"):
        list(infer_files.infer_stream(options(stream=str(video_folder / "a.webm"))))
