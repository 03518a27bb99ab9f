"""Networks in files: what comes back, and what is refused."""

import dataclasses
import json

import mindspore
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from model import checkpoint
from model.tsm import TSM, TSMConfig
from tests.model.test_cards import CARD

CONFIG = TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)


@pytest.fixture
def saved(tmp_path):
    """A saved network and its file."""
    mindspore.set_seed(7)
    network = TSM(CONFIG)
    path = tmp_path / "epoch-0001.ckpt"
    checkpoint.save(network, path, {"epoch": 1, "top1": 0.5, "version": "000002"})
    return network, path


def test_network_comes_back_with_its_configuration_and_facts(saved):
    network, path = saved
    loaded, facts = checkpoint.load(path)
    assert loaded.config == CONFIG
    assert facts == {"epoch": 1, "top1": 0.5, "version": "000002"}
    own = {p.name: p.asnumpy() for p in network.get_parameters()}
    back = {p.name: p.asnumpy() for p in loaded.get_parameters()}
    assert own.keys() == back.keys()
    for name, values in own.items():
        np.testing.assert_array_equal(back[name], values, err_msg=name)


def test_the_card_comes_back(saved, caplog):
    network, path = saved
    network.card = CARD
    checkpoint.save(network, path, {})
    assert checkpoint.load(path)[0].card == CARD
    assert "without these facts" not in caplog.text


def test_what_the_card_lacks_is_logged(saved, caplog):
    network, path = saved
    network.card = dataclasses.replace(CARD, class_names=(), dataset_digest="")
    checkpoint.save(network, path, {})
    checkpoint.load(path)
    assert f"{path} was written without these facts: class_names, dataset_digest" in (
        caplog.text
    )


def test_an_earlier_programs_file_is_read_with_what_its_facts_have(saved, tmp_path):
    network, _ = saved
    path = tmp_path / "earlier.ckpt"
    run = {"evaluation": {"crop_px": 48}, "training": {"tune_from": "w/r50.pth"}}
    fields = {"format": 1, "model": dataclasses.asdict(CONFIG), "facts": {"run": run}}
    text = json.dumps(fields)
    mindspore.save_checkpoint(
        network, str(path), append_dict={"clipmill": text}, crc_check=True
    )
    loaded, facts = checkpoint.load(path)
    assert facts == {"run": run}
    assert loaded.card.view == {"crop_px": 48}
    assert loaded.card.weights == "w/r50.pth"


@pytest.mark.parametrize("name", ["best.ckpt", "network.ckpt"])
def test_a_folder_stands_for_the_checkpoint_in_it(saved, name):
    _, path = saved
    path.rename(path.with_name(name))
    assert checkpoint.load(path.parent)[1]["epoch"] == 1


def test_a_folder_without_one_is_refused_with_the_newest_steps(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match=r"without best\.ckpt or "):
        checkpoint.load(tmp_path)
    for step in ("step-00000008", "step-00000016"):
        folder = tmp_path / "checkpoints" / step
        folder.mkdir(parents=True)
        (folder / "network.ckpt").touch()
    with pytest.raises(checkpoint.CheckpointError, match="step-00000016/network"):
        checkpoint.load(tmp_path)


def test_moving_averages_are_kept(saved):
    network, path = saved
    moved = network.base_model.bn1.moving_mean
    moved.set_data(Tensor(np.full(moved.shape, 2.5, np.float32)))
    checkpoint.save(network, path, {})
    loaded, _ = checkpoint.load(path)
    assert loaded.base_model.bn1.moving_mean.asnumpy().tolist() == [2.5] * 4


def test_saving_again_replaces_the_file_and_leaves_nothing_else(saved):
    network, path = saved
    checkpoint.save(network, path, {"epoch": 2})
    assert checkpoint.load(path)[1] == {"epoch": 2}
    assert [file.name for file in path.parent.iterdir()] == ["epoch-0001.ckpt"]


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    network, path = saved

    def fail(network, name, **_):
        with open(name, "wb") as file:  # noqa: PTH123
            file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(mindspore, "save_checkpoint", fail)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(network, path, {"epoch": 2})
    assert checkpoint.load(path)[1]["epoch"] == 1
    assert len(list(path.parent.iterdir())) == 1


def test_file_can_be_read_by_others(saved):
    assert saved[1].stat().st_mode & 0o777 == 0o644


def test_other_suffixes_are_refused(saved):
    """MindSpore would append .ckpt and write another file than asked for."""
    network, path = saved
    with pytest.raises(ValueError, match=r"must end in \.ckpt"):
        checkpoint.save(network, path.with_suffix(".best"), {})


def test_a_flipped_bit_is_noticed(saved):
    path = saved[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(checkpoint.CheckpointError, match="is damaged or no checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize("num_bytes", [0, 100, 20_000])
def test_a_truncated_file_is_refused(saved, num_bytes):
    path = saved[1]
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(checkpoint.CheckpointError, match=r"epoch-0001\.ckpt"):
        checkpoint.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match=r"no checkpoint .*gone\.ckpt"):
        checkpoint.load(tmp_path / "gone.ckpt")


def test_a_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "foreign.ckpt"
    mindspore.save_checkpoint(nn.Dense(2, 2), str(path), crc_check=True)
    with pytest.raises(checkpoint.CheckpointError, match="not made by this tool"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"format": 3, "model": {}}, "has format 3, this code reads 1 and 2"),
        ({"format": 1, "facts": {}}, r"optimizer.s half .* is in .*network\.ckpt"),
        ({"format": 1, "model": {"num_classes": 2}}, "description: .facts."),
        ({"format": 1, "model": {"depth": 3}, "facts": {}}, "depth"),
    ],
)
def test_a_description_that_is_not_understood_is_refused(
    tmp_path, description, message
):
    path = tmp_path / "other.ckpt"
    mindspore.save_checkpoint(
        nn.Dense(2, 2),
        str(path),
        append_dict={"clipmill": json.dumps(description)},
        crc_check=True,
    )
    with pytest.raises(checkpoint.CheckpointError, match=message):
        checkpoint.load(path)


def tensors(**shapes):
    return {
        name: Parameter(Tensor(np.ones(shape, np.float32)), name=name)
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"weight": (2, 3)}, "f.ckpt: tensors 1 missing: bias"),
        (
            {"weight": (2, 3), "bias": (2,), "scale": (1,)},
            "f.ckpt: tensors 1 unknown: scale",
        ),
        (
            {"weight": (3, 2), "bias": (2,)},
            r"1 of another shape: weight \(3, 2\) instead of \(2, 3\)",
        ),
        ({"scale": (1,)}, "2 missing: bias, weight; 1 unknown: scale"),
    ],
)
def test_every_tensor_is_accounted_for(shapes, message):
    network = nn.Dense(3, 2, weight_init="zeros", bias_init="zeros")
    with pytest.raises(checkpoint.CheckpointError, match=message):
        checkpoint.load_tensors(network, tensors(**shapes), source="f.ckpt")
    assert not network.weight.asnumpy().any()


def test_matching_tensors_are_taken():
    network = nn.Dense(3, 2, weight_init="zeros", bias_init="zeros")
    checkpoint.load_tensors(network, tensors(weight=(2, 3), bias=(2,)), source="f.ckpt")
    assert network.weight.asnumpy().all()
    assert network.bias.asnumpy().all()


def test_a_headline_leaves_out_what_is_long():
    facts = {"epoch": 24, "top1": 0.97, "run": {"model": {}}, "made_by": "train"}
    assert checkpoint.headline(facts) == "epoch 24, top1 0.97, made_by train"
