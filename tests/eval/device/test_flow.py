"""Preprocess, run and postprocess on a small data set: the accuracy is that of eval."""

import json

import numpy as np
import pytest
from mindspore.train.mind_ir_pb2 import ModelProto

from eval import config, evaluate, export, job
from eval.device import __main__ as device
from eval.device import convert, postprocess, preprocess, run
from mindrecord_io.serving import reader, split_columns, views
from mindrecord_io.serving.batches import BatchPlan
from model.cards import ModelCard
from tests.eval.test_export_forms import zoo_view
from tests.model.test_tsm import make_network

LABELS = ("Moving something left", "Moving something right", "Rest")
CARD = ModelCard(class_names=LABELS, view={"crop_px": 32, "resize_px": 36})
SETTINGS = config.EvalConfig(crop_px=32, resize_px=36, eval_batch_size=2)


@pytest.fixture(scope="module")
def network():
    made = make_network(num_classes=3)
    made.card = CARD
    return made


@pytest.fixture(scope="module")
def make_file(network, tmp_path_factory):
    """Exports once: `make_file("tsm.onnx", "uint8")`."""
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def make(name, kind):
        path = folder / kind / name
        if path not in made:
            options = export.ExportOptions(folder / "a.ckpt", path, input=kind)
            made[path] = export.export(network, options)
        return path

    return make


@pytest.fixture(scope="module")
def evaluation(network, published_version):
    return job.evaluate_split(
        evaluate.make_predict(network),
        network.config,
        SETTINGS,
        version=published_version,
        split="train",
    )


def write(file, version, output, **changes):
    fields = {"split": "train"} | changes
    return preprocess.preprocess(
        preprocess.PreprocessOptions(file, version.dataset, output, **fields)
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tsm.mindir", "uint8"),
        ("tsm.mindir", "float24"),
        ("tsm.mindir", "float3"),
        ("tsm.onnx", "float24"),
    ],
)
def test_the_flow_has_the_accuracy_of_eval(
    name, kind, make_file, published_version, evaluation, tmp_path, capsys
):
    file, clips, results = make_file(name, kind), tmp_path / "clips", tmp_path / "out"
    dataset = published_version.dataset
    common = ["--network", str(file)]
    words = ["--dataset", str(dataset), "--output", str(clips), "--split", "train"]
    assert device.main(["preprocess", *common, *words]) == 0
    words = ["--input", str(clips), "--output", str(results)]
    assert device.main(["run", *common, *words]) == 0
    ran = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert ran["num_clips"] == evaluation.num_clips == 7
    assert (
        device.main(["postprocess", "--input", str(clips), "--results", str(results)])
        == 0
    )
    line, last = capsys.readouterr().out.splitlines()
    top_k, answer = evaluation.top_k, json.loads(last)
    assert (answer["num_top1"], answer["num_top5"]) == (top_k.num_top1, top_k.num_top5)
    assert (answer["top1"], answer["num_labelled"]) == (top_k.top1, top_k.num_clips)
    assert 0 < top_k.num_top1 < top_k.num_clips  # else any answer would do
    assert line == (
        f"after allreduce eval: top1_correct={top_k.num_top1}, tot=7, "
        f"acc={100 * top_k.top1:.2f}%"
    )
    times = (results / "time_Result" / "test_perform_static.txt").read_text()
    assert len(times.splitlines()) == 7


def test_files_are_the_normalised_view_to_the_byte(
    make_file, published_version, tmp_path
):
    file = make_file("tsm.mindir", "float24")
    result = write(file, published_version, tmp_path / "clips")
    assert result.num_bytes == 7 * (4 * 12 * 32 * 32 + 4)
    view = views.CentreView(num_segments=4, crop_px=32, resize_px=36)
    clips = reader.open_split(published_version, "train", view, BatchPlan(1))
    ids = list(split_columns.clip_ids_of(published_version, "train"))
    for frames, label_ids, (clip_id,) in clips.with_clip_ids():
        number = ids.index(clip_id)
        written = (tmp_path / "clips" / "frames" / f"frames{number}.bin").read_bytes()
        assert written == zoo_view(frames).tobytes()
        label = np.fromfile(tmp_path / "clips" / "label" / f"label{number}.bin", "<i4")
        assert label.tolist() == label_ids.tolist()


@pytest.mark.parametrize("kind", ["uint8", "float24", "float3"])
def test_the_input_has_the_name_that_the_converter_is_given(kind, make_file):
    """MindSpore's file has `NUMBERS_FUNCTION:NAME`."""
    model = ModelProto()
    model.ParseFromString(make_file("tsm.mindir", kind).read_bytes())
    assert [value.name.rpartition(":")[2] for value in model.graph.input] == ["frames"]


def test_bytes_and_the_constants_of_aipp_make_the_networks_input(
    make_file, published_version, tmp_path
):
    """What the device would do, by the numbers in the file that was written for it."""
    file = make_file("tsm.mindir", "float3")
    write(file, published_version, tmp_path / "floats")
    write(file, published_version, tmp_path / "bytes", aipp=True)
    options = convert.ConvertOptions(file, tmp_path / "ascend", aipp=True)
    convert.convert(options)
    lines = (tmp_path / "ascend" / "aipp.cfg").read_text().splitlines()[1:-1]
    values = dict(line.strip().split(": ") for line in lines)
    mean, least, factor = (
        np.array([float(values[f"{name}_chn_{i}"]) for i in range(3)], np.float32)
        for name in ("mean", "min", "var_reci")
    )
    sides = int(values["src_image_size_h"]), int(values["src_image_size_w"])
    for number in range(7):
        name = f"frames/frames{number}.bin"
        pixels = np.fromfile(tmp_path / "bytes" / name, np.uint8)
        images = (pixels.reshape((4, *sides, 3)) - mean - least) * factor
        floats = np.fromfile(tmp_path / "floats" / name, np.float32)
        np.testing.assert_allclose(
            images.transpose((0, 3, 1, 2)).ravel(), floats, atol=2e-6
        )
    other = run.RunOptions(file, tmp_path / "bytes", tmp_path / "results")
    with pytest.raises(ValueError, match=r"has uint8 \[4, 32, 32, 3\], but"):
        run.run(other)
    with pytest.raises(ValueError, match="--aipp is for a network of --input float3"):
        write(
            make_file("tsm.mindir", "uint8"),
            published_version,
            tmp_path / "other",
            aipp=True,
        )


def test_what_is_there_is_kept_and_what_is_missing_written(
    make_file, published_version, tmp_path
):
    file, clips = make_file("tsm.mindir", "uint8"), tmp_path / "clips"
    first = write(file, published_version, clips)
    assert (first.num_written, first.num_kept) == (7, 0)
    whole = {p.name: p.read_bytes() for p in (clips / "frames").iterdir()}
    kept = (clips / "frames" / "frames0.bin").stat().st_mtime_ns
    (clips / "frames" / "frames3.bin").unlink()
    (clips / "frames" / "frames5.bin").write_bytes(b"cut")
    again = write(file, published_version, clips)
    assert (again.num_written, again.num_kept) == (2, 5)
    assert {p.name: p.read_bytes() for p in (clips / "frames").iterdir()} == whole
    assert (clips / "frames" / "frames0.bin").stat().st_mtime_ns == kept


def test_a_dry_run_says_the_bytes_and_writes_nothing(
    make_file, published_version, tmp_path
):
    file, clips = make_file("tsm.mindir", "uint8"), tmp_path / "clips"
    result = write(file, published_version, clips, dry_run=True)
    assert result.num_bytes == 7 * (12 * 32 * 32 + 4)
    assert not clips.exists()


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    make_file, published_version, tmp_path, monkeypatch
):
    usage = preprocess.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(preprocess.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        OSError, match="needs 86044 bytes for 7 clips, the disk has 1000"
    ):
        write(make_file("tsm.mindir", "uint8"), published_version, tmp_path / "clips")
    assert list(tmp_path.iterdir()) == []


def test_clips_of_another_split_or_input_are_not_mixed(
    make_file, published_version, tmp_path
):
    clips = tmp_path / "clips"
    write(make_file("tsm.mindir", "uint8"), published_version, clips)
    with pytest.raises(ValueError, match="has the files of other clips"):
        write(
            make_file("tsm.mindir", "uint8"),
            published_version,
            clips,
            split="validation",
        )
    other = run.RunOptions(
        make_file("tsm.mindir", "float24"), clips, tmp_path / "results"
    )
    with pytest.raises(ValueError, match=r"has uint8 \[1, 4, .* takes float32"):
        run.run(other)


def test_missing_and_cut_results_are_refused(make_file, published_version, tmp_path):
    file, clips = make_file("tsm.mindir", "uint8"), tmp_path / "clips"
    write(file, published_version, clips)
    run.run(run.RunOptions(file, clips, tmp_path / "out"))
    result = tmp_path / "out" / "result_Files" / "frames2_0.bin"
    result.write_bytes(result.read_bytes()[:-4])
    with pytest.raises(
        ValueError, match=r"frames2_0\.bin must have 3 values of float32"
    ):
        postprocess.postprocess(clips, tmp_path / "out")
    result.unlink()
    with pytest.raises(ValueError, match="lacks the logits of 1 of 7 clips, the first"):
        postprocess.postprocess(clips, tmp_path / "out")
