import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mindrecord_io import records
from mindrecord_io.storage import files
from pipelines import quarantine
from pipelines.building.killable_decoder import KillableDecoder

SETTINGS = records.DecodeSettings()
PATIENT = quarantine.DecodeLimits(max_memory_mib=600)
# Enough for a child to start on a busy machine, and little enough to wait for.
IMPATIENT = quarantine.DecodeLimits(max_seconds=3)


@pytest.fixture
def little_patience(monkeypatch):
    """Clips that only wait are given up as early as those that work."""
    monkeypatch.setattr(quarantine, "WALL_FACTOR", 1)


# Decoded in one pass, a good clip before and after each; what is to be said of them.
MISBEHAVING = {
    "crash": ("decoder_crashed", "decoding process killed by SIGSEGV, 2 times"),
    "leave": ("decoder_crashed", "decoding process exited with status 7, 2 times"),
    "garbage": ("decoder_crashed", "broke the protocol: a message of 4294967295"),
    "nested": ("decoder_crashed", "broke the protocol: maximum recursion depth"),
    "wrong": ("decoder_crashed", "bad answer: missing fields"),
    "invent": ("decoder_crashed", "bad answer: reason must be one of"),
    "fork": ("decoder_crashed", "decoding process killed by SIGSEGV, 2 times"),
    "killed": ("decoder_killed", "was killed by SIGKILL from outside; if memory is"),
    "eat": ("out_of_memory", r"needs more than 600 MiB \(--max_decoder_mib\)"),
}
HARMLESS = ("talk", "once", "spared")

# A parent that says who its children are while they decode a clip that never ends.
PARENT = """\
import json, sys
from mindrecord_io import records
from pipelines import quarantine
from pipelines.building import killable_decoder

clips = [records.from_json(records.PlannedClip, c) for c in json.loads(sys.argv[1])]
limits = quarantine.DecodeLimits(5)
decoder = killable_decoder.KillableDecoder(limits, "misbehaving_child")
for clip, _ in decoder.decode_all(clips, records.DecodeSettings()):
    print(decoder._child.pid, flush=True)
"""


@pytest.fixture(scope="module")
def make_clips(tmp_path_factory, tools):
    """Plans clips of the given ids: copies of one good file, in a new folder."""
    good = tmp_path_factory.mktemp("clip") / "good.webm"
    tools.write_grey_clip(good, [40, 80, 120])
    source = files.fingerprint(good)

    def make(*clip_ids):
        folder = tmp_path_factory.mktemp("clips")
        uris = [str(shutil.copy(good, folder / f"{name}.webm")) for name in clip_ids]
        return [
            records.PlannedClip(name, 0, uri, source)
            for name, uri in zip(clip_ids, uris, strict=True)
        ]

    return make


@pytest.fixture
def make_decoder(children_path):
    """Starts decoders whose clips misbehave by their ids."""
    started = []

    def make(clip_limits=PATIENT):
        started.append(KillableDecoder(clip_limits, module="misbehaving_child"))
        return started[-1]

    yield make
    for decoder in started:
        decoder.close()


@pytest.fixture(scope="module")
def mixed(make_clips, tools):
    """Every misbehaviour that ends by itself: planned clips and results, in order."""
    order = ["good-0"]
    for index, name in enumerate((*MISBEHAVING, *HARMLESS), 1):
        order += [name, f"good-{index}"]
    clips = make_clips(*order)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tools.HERE))
        decoder = KillableDecoder(PATIENT, module="misbehaving_child")
        results = list(decoder.decode_all(clips, SETTINGS))
        decoder.close()
    return clips, results


def result_of(clip_id, mixed):
    (result,) = (result for clip, result in mixed[1] if clip.clip_id == clip_id)
    return result


def beside(clip, suffix):
    """The file that misbehaving_child leaves beside a clip."""
    return Path(clip.uri).with_suffix(suffix)


def num_tries(clip):
    """How often a child began to decode the clip."""
    tries = beside(clip, ".tries")
    return len(tries.read_text().split()) if tries.exists() else 0


def outcomes(results):
    return [
        (clip.clip_id, getattr(result, "reason", "decoded")) for clip, result in results
    ]


def test_clips_come_back_once_each_in_order_whatever_happens(mixed):
    clips, results = mixed

    assert [clip for clip, _ in results] == clips


def test_bad_clips_cost_exactly_themselves(mixed):
    lost = {name for name, outcome in outcomes(mixed[1]) if outcome != "decoded"}

    assert lost == set(MISBEHAVING)


@pytest.mark.parametrize("clip_id", MISBEHAVING)
def test_bad_clips_are_quarantined_with_their_reason(mixed, clip_id):
    reason, detail = MISBEHAVING[clip_id]

    quarantined = result_of(clip_id, mixed)

    assert isinstance(quarantined, records.Quarantined)
    assert quarantined.reason == reason
    assert re.search(detail, quarantined.detail)


def test_frames_are_the_same_before_and_after_a_crash(mixed):
    first = result_of("good-0", mixed)

    assert len(first.frame_sizes) == 3
    for index in range(1, len(MISBEHAVING) + len(HARMLESS) + 1):
        assert result_of(f"good-{index}", mixed) == first


@pytest.mark.parametrize("clip_id", HARMLESS)
def test_printing_and_dying_once_are_forgiven(mixed, clip_id):
    assert result_of(clip_id, mixed) == result_of("good-0", mixed)


def test_a_clip_that_killed_twice_is_not_tried_again(mixed):
    tries = {clip.clip_id: num_tries(clip) for clip in mixed[0]}

    # `wrong` sends an answer and goes on: the child it killed had not gone further.
    assert {name: tries[name] for name in MISBEHAVING} == {
        name: 1 if name == "eat" else 2 for name in MISBEHAVING
    }
    assert tries["once"] == 2


def test_a_decoder_killed_from_outside_says_nothing_of_its_clip(mixed):
    killed = result_of("killed", mixed)

    assert not quarantine.REASONS[killed.reason].is_settled
    assert killed.limits == ""


def test_a_crash_is_settled_under_its_limits(mixed):
    crashed = result_of("crash", mixed)

    assert quarantine.REASONS[crashed.reason].is_settled
    assert crashed.limits == PATIENT.text


def test_what_a_crashed_decoder_had_started_is_killed_too(mixed, tools):
    (clip,) = (clip for clip in mixed[0] if clip.clip_id == "fork")
    grandchild = int(beside(clip, ".pid").read_text())

    tools.wait_until(lambda: not tools.is_alive(grandchild), "the grandchild ends")


def test_close_leaves_no_processes(mixed, tools):
    tried = {
        int(pid)
        for clip in mixed[0]
        for pid in beside(clip, ".tries").read_text().split()
    }

    assert len(tried) > len(MISBEHAVING)
    assert not tried & tools.child_pids(os.getpid())  # not even as zombies


@pytest.mark.slow
@pytest.mark.usefixtures("little_patience")
def test_decoding_that_sleeps_for_ever_is_killed_in_time(make_clips, make_decoder):
    clips = make_clips("good-1", "sleep", "good-2")

    results = list(make_decoder(IMPATIENT).decode_all(clips, SETTINGS))

    assert outcomes(results) == [
        ("good-1", "decoded"),
        ("sleep", "timeout"),
        ("good-2", "decoded"),
    ]
    assert results[1][1].detail == (
        "decoding waits, and takes longer than 3 s (--max_clip_seconds)"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("little_patience")
def test_all_that_a_decoder_has_bred_is_killed_with_it(make_clips, make_decoder, tools):
    clips = make_clips("breed", "good")

    results = list(make_decoder(IMPATIENT).decode_all(clips, SETTINGS))

    assert outcomes(results) == [("breed", "timeout"), ("good", "decoded")]
    bred = [int(pid) for pid in beside(clips[0], ".pids").read_text().split()]
    assert len(bred) == 20
    tools.wait_until(lambda: not any(map(tools.is_alive, bred)), "they all end")


@pytest.mark.slow
def test_native_code_that_loops_with_the_lock_held_is_killed(make_clips, make_decoder):
    clips = make_clips("good-1", "spin", "good-2")

    results = list(make_decoder(IMPATIENT).decode_all(clips, SETTINGS))

    assert [outcome for _, outcome in outcomes(results)] == [
        "decoded",
        "timeout",
        "decoded",
    ]
    assert results[1][1].detail == (
        "decoding takes more than 3 s of processor time (--max_clip_seconds)"
    )


@pytest.mark.slow
def test_a_clip_that_waits_for_longer_than_it_may_work_is_decoded(
    make_clips, make_decoder
):
    clips = make_clips("nap", "good")

    results = list(make_decoder(IMPATIENT).decode_all(clips, SETTINGS))

    assert outcomes(results) == [("nap", "decoded"), ("good", "decoded")]
    assert num_tries(clips[0]) == 1


def test_a_bad_clip_may_be_the_first_the_last_and_the_only_one(
    make_clips, make_decoder
):
    decoder = make_decoder()

    both_ends = list(decoder.decode_all(make_clips("crash-1", "crash-2"), SETTINGS))
    only = list(decoder.decode_all(make_clips("crash-3"), SETTINGS))

    assert [outcome for _, outcome in outcomes(both_ends + only)] == (
        ["decoder_crashed"] * 3
    )


def test_no_clips_need_no_process(make_decoder, tools):
    before = tools.child_pids(os.getpid())

    assert list(make_decoder().decode_all([], SETTINGS)) == []

    assert tools.child_pids(os.getpid()) == before


def test_reasons_of_the_decoder_itself_pass_through(make_clips, make_decoder):
    (empty, good) = make_clips("empty", "good")
    Path(empty.uri).write_bytes(b"")

    results = list(make_decoder().decode_all([empty, good], SETTINGS))

    assert outcomes(results) == [("empty", "empty"), ("good", "decoded")]
    assert results[0][1].detail == f"{empty.uri} has no bytes"


def test_limits_reach_the_child(make_clips, make_decoder):
    two_frames = quarantine.DecodeLimits(max_frames=2)
    decoder = make_decoder(two_frames)

    ((_, result),) = decoder.decode_all(make_clips("good"), SETTINGS)

    assert result == records.Quarantined(
        "too_long",
        "more than 2 frames (--max_clip_frames)",
        two_frames.text,
        records.SourceFacts(12.0, 3, 0.25),
    )


def test_one_child_serves_pass_after_pass(make_clips, make_decoder):
    decoder = make_decoder()
    clips = make_clips("good-1", "good-2", "good-3")

    for clip in clips:
        list(decoder.decode_all([clip], SETTINGS))

    pids = {beside(clip, ".tries").read_text() for clip in clips}
    assert len(pids) == 1


def test_leaving_early_leaves_no_stale_answers(make_clips, make_decoder):
    decoder = make_decoder()
    first = make_clips("good-1", "good-2", "good-3")
    second = make_clips("empty", "good-4")
    Path(second[0].uri).write_bytes(b"")

    for _ in decoder.decode_all(first, SETTINGS):
        break
    results = list(decoder.decode_all(second, SETTINGS))

    assert outcomes(results) == [("empty", "empty"), ("good-4", "decoded")]


def test_the_next_clip_is_decoded_while_the_caller_works(
    make_clips, make_decoder, tools
):
    clips = make_clips("good-1", "good-2", "good-3")
    decoded = make_decoder().decode_all(clips, SETTINGS)

    next(decoded)

    tools.wait_until(lambda: num_tries(clips[1]) == 1, "the second is begun")
    assert num_tries(clips[2]) == 0
    decoded.close()


@pytest.mark.parametrize(
    "last", ["sleep", pytest.param("spin", marks=pytest.mark.slow)]
)
def test_the_child_ends_when_the_parent_is_killed(make_clips, tools, last):
    clips = make_clips("good", last)
    encoded = json.dumps([records.to_json(clip) for clip in clips])
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, encoded],
        stdout=subprocess.PIPE,
        text=True,
        env=tools.command_environment([tools.HERE]),
    ) as parent:
        child = int(parent.stdout.readline())
        tools.wait_until(lambda: num_tries(clips[1]) == 1, f"{last} is begun")

        parent.kill()

    # `spin` lets no thread of its process notice: the alarm set for the clip ends it.
    tools.wait_until(lambda: not tools.is_alive(child), "the orphan ends")
