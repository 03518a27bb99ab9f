import json

import numpy as np
import pytest

from infra.benchmarks import damage


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--num_damaged", "0"], "num_damaged must be at least 1: 0"),
        (["--codecs", "DV"], "codecs must be of ['VP9', 'VP8', 'H.264', 'MPEG-4']"),
    ],
)
def test_wrong_flags_are_wrong_usage(capsys, flags, message):
    with pytest.raises(SystemExit) as caught:
        damage.main(flags)

    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda frames: frames, False),
        (lambda frames: frames[:-1], True),
        (lambda frames: [*frames[:-1], frames[-1] + np.uint8(1)], False),
        (lambda frames: [*frames[:-1], frames[-1] + np.uint8(2)], True),
        (lambda frames: [frame[:-2] for frame in frames], True),
    ],
)
def test_what_differs_by_more_than_a_level_or_in_number_is_visible(change, expected):
    frames = [np.full((8, 8, 3), 10 * k, np.uint8) for k in range(5)]

    assert damage._differ(frames, change(frames)) is expected


@pytest.mark.slow
def test_most_visible_damage_in_vp9_is_found_and_no_clean_clip_lost(tmp_path, capsys):
    assert damage.main(["--codecs", "VP9", "--workdir", str(tmp_path)]) == 0

    found = json.loads(capsys.readouterr().out.splitlines()[-1])["found"]["VP9"]
    assert found["num_damaged"] == 160
    assert found["num_visible"] > 80
    assert found["num_found"] >= 0.6 * found["num_visible"]
    assert found["num_clean_lost"] == 0
