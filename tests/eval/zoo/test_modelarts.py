"""ModelArts' URLs: a store that is moto's, folders, and a stand-in for moxing."""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from eval.zoo import keys as zoo_keys
from eval.zoo import modelarts
from tests.eval.zoo.test_runs import GPU, REPOSITORY

HERE = Path(__file__).parent


@pytest.fixture
def moxing(monkeypatch, tmp_path):
    """The folder of all buckets, where the library is the stand-in."""
    monkeypatch.setenv("MOXING_ROOT", str(tmp_path / "obs"))
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.delitem(sys.modules, "moxing", raising=False)
    (tmp_path / "obs").mkdir()
    return tmp_path / "obs"


@pytest.fixture
def archive(published_version, tmp_path):
    """The data set's own archive, in which it is a folder."""
    path = tmp_path / "somethingv2.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(published_version.dataset, "somethingv2")
    return path


def keys_of(tmp_path, **urls):
    return zoo_keys.DEFAULTS | {
        "enable_modelarts": True,
        "data_path": str(tmp_path / "cache-data"),
        "output_path": str(tmp_path / "cache-train"),
        **urls,
    }


def files_below(folder):
    paths = [p for p in Path(folder).rglob("*") if p.is_file()]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def test_a_data_set_in_a_store_is_read_there(bucket, published_version, tmp_path):
    bucket.upload(published_version.dataset, "bucket/ssv2")
    urls = {"data_url": "s3://bucket/ssv2/", "train_url": "s3://bucket/V1"}
    urls |= {"checkpoint_url": "s3://bucket/weights"}
    places = modelarts.keys_of_places(keys_of(tmp_path, **urls))
    assert places["data_path"] == "s3://bucket/ssv2"
    assert places["root_model"] == "s3://bucket/V1"
    assert places["load_path"] == "s3://bucket/weights"
    assert not (tmp_path / "cache-data").exists()


def test_mounted_folders_are_used_as_they_are(published_version, tmp_path):
    urls = {"data_url": str(published_version.dataset), "train_url": "/outputs/train"}
    places = modelarts.keys_of_places(keys_of(tmp_path, **urls))
    assert places["data_path"] == str(published_version.dataset)
    assert places["root_model"] == "/outputs/train"


def test_an_archive_is_unpacked_once(bucket, archive, published_version, tmp_path):
    bucket.write("bucket/in/somethingv2.tar", archive.read_bytes())
    keys = keys_of(tmp_path, data_url="s3://bucket/in")
    place = modelarts.keys_of_places(keys)["data_path"]
    assert place == str(tmp_path / "cache-data" / "somethingv2")
    assert files_below(place) == files_below(published_version.dataset)
    (Path(place) / "mark").touch()
    bucket.delete("bucket/in/somethingv2.tar")
    bucket.write("bucket/in/somethingv2.tar", b"is not read again")
    assert modelarts.keys_of_places(keys)["data_path"] == place
    assert (Path(place) / "mark").exists()


def hold(folder, is_held):
    with modelarts._locked(folder):
        is_held.set()
        time.sleep(600)


def test_the_lock_dies_with_its_holder(archive, tmp_path):
    """What was half unpacked then is no data set, and is made whole."""
    keys = keys_of(tmp_path, data_url=str(archive.parent))
    folder = Path(keys["data_path"])
    context = multiprocessing.get_context("spawn")
    is_held = context.Event()
    holder = context.Process(target=hold, args=(folder, is_held))
    holder.start()
    assert is_held.wait(60)
    waiting = subprocess.Popen(
        [sys.executable, "-c", UNPACK, json.dumps(keys)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=3)
    holder.kill()
    output, _ = waiting.communicate(timeout=60)
    holder.join()
    assert output.strip() == str(folder / "somethingv2")
    assert (folder / "somethingv2" / "CURRENT").exists()


UNPACK = """
import json, sys
from eval.zoo import modelarts
print(modelarts.keys_of_places(json.loads(sys.argv[1]))["data_path"])
"""


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "must be a data set of clipmill or have one .tar of it, has nothing"),
        (["a.tar", "b.tar"], r"one \.tar of it, has a\.tar, b\.tar"),
    ],
)
def test_a_folder_without_a_data_set_is_named(names, message, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    with pytest.raises(zoo_keys.ZooError, match=message):
        modelarts.keys_of_places(keys_of(tmp_path, data_url=str(folder)))


def test_an_archive_of_something_else_leaves_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in" / "other.tar", "w") as tar:
        tar.add(__file__, "test.py")
    keys = keys_of(tmp_path, data_url=str(tmp_path / "in"))
    with pytest.raises(zoo_keys.ZooError, match="has no data set of clipmill"):
        modelarts.keys_of_places(keys)
    assert [p.name for p in Path(keys["data_path"]).iterdir()] == [".clipmill.lock"]


def test_moxing_brings_archive_and_weights(moxing, archive, tmp_path):
    (moxing / "b" / "weights").mkdir(parents=True)
    (moxing / "b" / "weights" / "resnet50.ckpt").write_text("weights")
    archive.rename(moxing / "b" / archive.name)
    urls = {"data_url": "obs://b", "checkpoint_url": "obs://b/weights/"}
    keys = keys_of(tmp_path, **urls, train_url="obs://b/V1")
    places = modelarts.keys_of_places(keys)
    assert (Path(places["data_path"]) / "CURRENT").exists()
    assert (Path(places["load_path"]) / "resnet50.ckpt").read_text() == "weights"
    assert places["root_model"] == keys["output_path"]


def test_moxing_brings_a_data_set(moxing, published_version, tmp_path):
    import moxing as library

    library.file.copy_parallel(published_version.dataset, "obs://b/ssv2")
    keys = keys_of(tmp_path, data_url="obs://b/ssv2")
    place = modelarts.keys_of_places(keys)["data_path"]
    assert files_below(place) == files_below(published_version.dataset)


def test_a_run_is_copied_as_it_is_written(moxing, tmp_path):
    run = tmp_path / "run"
    step = run / "checkpoints" / "step-00000001"
    with modelarts.MoxingMirror(run, "obs://b/V1/run").kept(pause_seconds=0.05):
        step.mkdir(parents=True)
        for name in ("network.ckpt", "checkpoint.json"):
            (step / name).write_text(name)
        (run / ".lock").touch()
        copied = moxing / "b/V1/run/checkpoints/step-00000001/checkpoint.json"
        while not copied.exists():
            time.sleep(0.01)
        assert copied.with_name("network.ckpt").exists()
        (run / "metrics.jsonl").write_text("1")
        (step / "network.ckpt").unlink()
    assert files_below(moxing / "b/V1/run") == {
        "checkpoints/step-00000001/checkpoint.json": b"checkpoint.json",
        "metrics.jsonl": b"1",
    }


def test_a_run_is_fetched_without_a_checkpoint_that_was_cut_off(moxing, tmp_path):
    copied = moxing / "b/V1/run"
    for name in ("step-00000001/checkpoint.json", "step-00000002/network.ckpt"):
        (copied / "checkpoints" / name).parent.mkdir(parents=True)
        (copied / "checkpoints" / name).write_text(name)
    (copied / "config.json").write_text("{}")
    keys = keys_of(tmp_path, train_url="obs://b/V1")
    with modelarts.mirrored(keys, str(tmp_path / "run")) as flags:
        assert flags == ["--resume"]
        steps = [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()]
        assert steps == ["step-00000001"]
    assert not (copied / "checkpoints/step-00000002/network.ckpt").exists()


def zoo_train(folder, **urls):
    """The words of a training on a small network, in a folder that is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "zoo.yaml").write_text(GPU)
    words = f"""zoo train --config_path=zoo.yaml --enable_modelarts=True
        --data_path={folder}/data --output_path={folder}/output --device_target=CPU
        --arch=resnet18 --num_segments=2 --shift_div=4 --batch_size=3 --epochs=12
        --tune_from= --num_class=3""".split()
    words += [f"--{name}={url}" for name, url in urls.items()]
    small = ["--crop_px", "32", "--resize_px", "36", "--width", "4"]
    own = ["--", *small, "--checkpoint_every", "1", "--evaluate_every", "12"]
    return [sys.executable, "-P", "-m", "pipelines", *words, *own]


def has_checkpoint(read):
    """Whether a checkpoint is whole; files may go while the others are read."""
    with contextlib.suppress(FileNotFoundError):
        return any(name.endswith("checkpoint.json") for name in read())
    return False


def checkpoints(contents):
    return {n: c for n, c in contents.items() if n.endswith(".ckpt") and "step" in n}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "moxing"])
def test_a_killed_job_goes_on_to_the_same_bytes_in_the_store(
    kind, published_version, archive, tmp_path, request, monkeypatch
):
    """Started again elsewhere, as a job is; the archive of the data set is in obs."""
    paths = [str(REPOSITORY)]
    if kind == "moxing":
        root = request.getfixturevalue("moxing")
        (root / "b").mkdir()
        (root / "b" / archive.name).write_bytes(archive.read_bytes())
        paths.append(str(HERE))
        url, stored = "obs://b", lambda name: files_below(root / "b" / name)
        data_url = "obs://b"
    else:
        server = request.getfixturevalue("bucket")
        server.upload(published_version.dataset, "bucket/ssv2")
        url, stored = "s3://bucket", lambda name: server.contents(f"bucket/{name}")
        data_url = "s3://bucket/ssv2"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    urls = {"data_url": data_url, "train_url": f"{url}/killed"}
    job = tmp_path / "job"  # on every machine of the same name, as it is in the card
    with subprocess.Popen(
        zoo_train(job, **urls),
        cwd=job,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        while not has_checkpoint(lambda: stored("killed")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    for name in ("killed", "whole"):
        words = zoo_train(job, **urls | {"train_url": f"{url}/{name}"})
        done = subprocess.run(words, cwd=job, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (line,) = [x for x in done.stderr.splitlines() if "clipmill train " in x]
        assert line.endswith("--resume") is (name == "killed")
    assert len(checkpoints(stored("whole"))) == 10  # five steps of the last ones
    assert checkpoints(stored("killed")) == checkpoints(stored("whole"))
