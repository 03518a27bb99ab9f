"""A decoder that cannot report what decides its pixels is replaced, then named."""

import pytest

from pipelines import quarantine
from pipelines.building import child_process
from pipelines.building.killable_decoder import KillableDecoder

# A decoder that somebody kills, so many times as the file has bytes, while it decodes
# the clips that are built in.
DYING = """\
import os, signal, sys
from pathlib import Path
from pipelines.building import decoder_child
from pipelines.decoding import identity

left = Path(os.environ["NUM_DEATHS_LEFT"])
if content := left.read_bytes():
    left.write_bytes(content[1:])
    identity.of_this_process = lambda: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(decoder_child.main())
"""


@pytest.fixture
def dying_decoder(tmp_path, monkeypatch):
    """A decoder that is killed so many times while it reports its identity."""
    (tmp_path / "dying_child.py").write_text(DYING)
    monkeypatch.syspath_prepend(str(tmp_path))
    left = tmp_path / "left"
    monkeypatch.setenv("NUM_DEATHS_LEFT", str(left))
    decoder = KillableDecoder(quarantine.DecodeLimits(), module="dying_child")

    def make(num_deaths):
        left.write_bytes(b"x" * num_deaths)
        return decoder

    yield make
    decoder.close()


def test_a_decoder_that_is_killed_at_the_built_in_clips_is_started_again(dying_decoder):
    undisturbed = KillableDecoder(quarantine.DecodeLimits())
    try:
        assert dying_decoder(1).identity() == undisturbed.identity()
    finally:
        undisturbed.close()


def test_a_decoder_that_is_killed_there_twice_is_named(dying_decoder):
    with pytest.raises(child_process.ChildDiedError) as caught:
        dying_decoder(2).identity()
    assert str(caught.value) == (
        "the decoder was killed by SIGKILL from outside, 2 times, at the clips that "
        "are built in"
    )
    dying_decoder(0).identity()  # and yet the next shard may be luckier


def test_a_decoder_that_cannot_load_a_library_is_not_started_twice(
    tmp_path, monkeypatch
):
    starts = tmp_path / "starts"
    (tmp_path / "cv2.py").write_text(
        f"open({str(starts)!r}, 'a').write('x')\nraise ImportError('no libGL.so.1')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    decoder = KillableDecoder(quarantine.DecodeLimits())
    with pytest.raises(child_process.ChildDiedError) as caught:
        decoder.identity()
    decoder.close()
    assert str(caught.value) == (
        "the decoder cannot run: the library 'cv2' cannot be loaded (no libGL.so.1): "
        "install it, or what it needs, anew"
    )
    assert starts.read_text() == "x"
