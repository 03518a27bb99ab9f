"""The real decoding child, but for clips whose id says how decoding them goes wrong.

`python -m misbehaving_child FD` stands in for `pipelines.building.decoder_child`; clip
"crash-2" crashes. Importing this module plants the misbehaviours into the real child.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipelines.building import decoder_child
from pipelines.decoding import clip_decoding, identity

_decode_clip = clip_decoding.decode_clip


def _crash(path):
    os.kill(os.getpid(), signal.SIGSEGV)


def _leave(path):
    os._exit(7)


def _sleep(path):
    time.sleep(1000)


def _nap(path):
    time.sleep(5)


def _spin(path):
    re.match(r"(a+)+$", "a" * 60 + "b")  # in C, the interpreter's lock held, for ever


def _eat(path):
    eaten = []
    while True:
        eaten.append(bytearray(16 << 20))


def _talk(path):
    os.write(1, b"written to descriptor 1\n")
    print("printed", flush=True)  # noqa: T201


def _garbage(path):
    os.write(int(sys.argv[1]), b"\xff" * 64)


def _nested(path):
    header = b"[" * 100_000
    os.write(int(sys.argv[1]), len(header).to_bytes(4) + bytes(8) + header)


def _wrong(path):
    header = b'{"frame_sizes": "many"}'
    os.write(int(sys.argv[1]), len(header).to_bytes(4) + bytes(8) + header)


def _invent(path):
    header = b'{"reason": "bored", "detail": "a reason that there is not"}'
    os.write(int(sys.argv[1]), len(header).to_bytes(4) + bytes(8) + header)


def _fork(path):
    child = subprocess.Popen(["sleep", "1000"])
    path.with_suffix(".pid").write_text(str(child.pid))
    _crash(path)


def _breed(path):
    children = [subprocess.Popen(["sleep", "1000"]) for _ in range(20)]
    path.with_suffix(".pids").write_text(" ".join(str(c.pid) for c in children))
    _sleep(path)


def _killed(path):
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does that is out of memory


def _once(path):
    marker = path.with_suffix(".tried")
    if not marker.exists():
        marker.touch()
        _crash(path)


def _spared(path):
    marker = path.with_suffix(".tried")
    if not marker.exists():
        marker.touch()
        _killed(path)


def _wait(path):
    path.with_suffix(".waiting").touch()
    while not path.with_suffix(".go").exists():
        time.sleep(0.02)


_MISBEHAVIOURS = {
    "crash": _crash,
    "leave": _leave,
    "sleep": _sleep,
    "nap": _nap,
    "spin": _spin,
    "eat": _eat,
    "talk": _talk,
    "garbage": _garbage,
    "nested": _nested,
    "wrong": _wrong,
    "invent": _invent,
    "fork": _fork,
    "breed": _breed,
    "killed": _killed,
    "once": _once,
    "spared": _spared,
    "wait": _wait,
}


def _misbehaving(clip, settings, clip_limits):
    path = Path(clip.uri)
    if path.parent == identity.PROBES:
        return _decode_clip(clip, settings, clip_limits)
    with path.with_suffix(".tries").open("a") as tries:
        tries.write(f"{os.getpid()}\n")
    if misbehave := _MISBEHAVIOURS.get(clip.clip_id.split("-")[0]):
        misbehave(path)
    return _decode_clip(clip, settings, clip_limits)


clip_decoding.decode_clip = _misbehaving

if __name__ == "__main__":
    sys.exit(decoder_child.main())
