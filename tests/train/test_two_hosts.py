"""`clipmill launch` on two hosts, which are this one under two addresses.

msrun takes an address of this machine for its own, and would start a scheduler on the
second host as well. So that one is given 127.0.0.2, whose port leads to the first's.
"""

import contextlib
import os
import selectors
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from model import checkpoint
from tests.train.test_ranks import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 4, batch_size: 4, learning_rate: 0.003, sync_norm: true,
           evaluate_every: 4}
"""


def clipmill(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *map(str, words)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def forwarded(port):
    """Lets what connects to 127.0.0.2 at a port reach 127.0.0.1 at that port."""
    with socket.create_server(("127.0.0.2", port)) as listening:
        threading.Thread(target=accept, args=(listening, port), daemon=True).start()
        yield


def accept(listening, port):
    with contextlib.suppress(OSError):  # closed at the end of the test
        while True:
            one, _ = listening.accept()
            threading.Thread(target=reach, args=(one, port), daemon=True).start()


def reach(one, port):
    with one, contextlib.suppress(ConnectionRefusedError):  # the first host is later
        carry(one, socket.create_connection(("127.0.0.1", port)))


def carry(one, other):
    """Hands on what two sockets say, until one of them ends."""
    chosen = selectors.DefaultSelector()
    chosen.register(one, selectors.EVENT_READ, other)
    chosen.register(other, selectors.EVENT_READ, one)
    with other, contextlib.suppress(OSError):
        while True:
            for key, _ in chosen.select():
                content = key.fileobj.recv(1 << 16)
                if not content:
                    return
                key.data.sendall(content)


@pytest.mark.slow
def test_the_commands_of_two_hosts_train_to_the_weights_of_one(
    published_version, tmp_path
):
    (tmp_path / "run.yaml").write_text(CONFIG)
    job = ["train", "--config_path", tmp_path / "run.yaml"]
    job += ["--dataset", published_version.dataset, "--output"]
    port = free_port()
    with forwarded(port):
        hosts = [
            clipmill(
                *("launch", "--devices", 1, "--hosts", f"127.0.0.{rank + 1},other"),
                *("--node_rank", rank, "--master_port", port),
                *("--log_dir", tmp_path / "logs", "--", *job, tmp_path / "together"),
            )
            for rank in (0, 1)
        ]
        alone = clipmill(*job, tmp_path / "alone")
        outputs = [process.communicate(timeout=300)[0] for process in (*hosts, alone)]
    assert [process.returncode for process in (*hosts, alone)] == [0, 0, 0], outputs
    logs = sorted(p.relative_to(tmp_path / "logs") for p in tmp_path.rglob("*.log"))
    assert list(map(str, logs)) == [
        *("host_0/scheduler.log", "host_0/worker_0.log", "host_1/worker_1.log")
    ]
    assert '"steps": 4' in outputs[0]  # the first rank's progress is shown
    weights = [
        checkpoint.load(tmp_path / name / "checkpoints/step-00000004/network.ckpt")[0]
        for name in ("together", "alone")
    ]
    for own, other in zip(*(w.trainable_params() for w in weights), strict=True):
        np.testing.assert_allclose(own.asnumpy(), other.asnumpy(), atol=1e-5)
