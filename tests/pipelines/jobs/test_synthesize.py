import dataclasses
import json
import subprocess
from pathlib import Path

import cv2
import pytest

from pipelines import ffmpeg
from pipelines.jobs import synthesize
from pipelines.synthetic import drawing, package_plan, webm_writer
from pipelines.synthetic.drawing import SynthesizeError
from pipelines.synthetic.drawing_options import SynthesizeOptions
from tests.decoded import decode

SPLITS = ("train", "validation", "test")
CLIPS = "20bn-something-something-v2"


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}


def _read_json(output: Path, role: str) -> object:
    path = output / "annotations" / f"something-something-v2-{role}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _decode(path: Path) -> tuple[int, float, set[tuple[int, ...]]]:
    """Returns the number of frames, the frame rate and the shapes of the frames."""
    capture = cv2.VideoCapture(str(path))
    shapes = []
    while (frame := capture.read()[1]) is not None:
        shapes.append(frame.shape)
    return len(shapes), capture.get(cv2.CAP_PROP_FPS), set(shapes)


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A package of five clips, seed 1; tests must leave it as it is."""
    output = tmp_path_factory.mktemp("package") / "set"
    drawing.synthesize(SynthesizeOptions(output, num_clips=5, seed=1))
    return output


def test_package_has_the_real_folders_and_names(package):
    assert list(_contents(package)) == [
        *(f"{CLIPS}/{clip_id}.webm" for clip_id in range(1, 6)),
        "annotations/something-something-v2-labels.json",
        "annotations/something-something-v2-test.json",
        "annotations/something-something-v2-train.json",
        "annotations/something-something-v2-validation.json",
        "clips.sha256",
        "synthesize.json",
    ]


def test_annotations_name_every_clip_once(package):
    ids = [row["id"] for split in SPLITS for row in _read_json(package, split)]

    assert sorted(ids) == ["1", "2", "3", "4", "5"]
    assert [len(_read_json(package, split)) for split in SPLITS] == [3, 1, 1]


def test_annotations_on_disk_are_the_planned_documents(package):
    documents = package_plan.annotation_documents(package_plan.plan_clips(5, seed=1))

    assert {role: _read_json(package, role) for role in documents} == documents


def test_clips_decode_to_the_planned_frames(package):
    for plan in package_plan.plan_clips(5, seed=1):
        num_frames, fps, shapes = _decode(package / CLIPS / f"{plan.clip_id}.webm")
        assert num_frames == plan.num_frames
        assert fps == 12.0
        assert shapes == {(240, plan.width, 3)}


def test_same_arguments_give_the_same_bytes_whatever_the_workers(package, tmp_path):
    output = tmp_path / "again"

    drawing.synthesize(SynthesizeOptions(output, num_clips=5, seed=1, num_workers=5))

    assert _contents(output) == _contents(package)


def test_another_seed_gives_other_bytes_in_every_clip(package, tmp_path):
    drawing.synthesize(SynthesizeOptions(tmp_path / "two", num_clips=5, seed=2))

    for clip_id in range(1, 6):
        name = f"{CLIPS}/{clip_id}.webm"
        assert (tmp_path / "two" / name).read_bytes() != (package / name).read_bytes()


def test_summary_counts_what_is_there(package):
    summary = drawing.synthesize(SynthesizeOptions(package, num_clips=5, seed=1))

    clips = list((package / CLIPS).iterdir())
    assert summary.num_clips == 5
    assert summary.num_classes == 12
    assert summary.num_bytes == sum(path.stat().st_size for path in clips)
    assert summary.num_frames == sum(_decode(path)[0] for path in clips)
    assert summary.clips == str(package / CLIPS)
    assert summary.annotations == str(package / "annotations")


def test_second_run_changes_nothing_and_says_so(package, caplog):
    before = _times(package)

    with caplog.at_level("INFO"):
        summary = drawing.synthesize(SynthesizeOptions(package, 5, 1))

    assert summary.num_drawn == 0
    assert _times(package) == before
    assert "all 5 clips exist" in caplog.text


def test_run_after_an_interruption_draws_only_what_is_missing(package, tmp_path):
    output = tmp_path / "cut_short"
    options = SynthesizeOptions(output, num_clips=5, seed=1)
    for name, content in _contents(package).items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(content)
    (output / CLIPS / "3.webm").rename(output / CLIPS / ".incomplete-3.webm")
    (output / "annotations" / "something-something-v2-test.json").unlink()
    kept = output / CLIPS / "4.webm"
    kept_time = kept.stat().st_mtime_ns

    summary = drawing.synthesize(options)

    assert summary.num_drawn == 1
    assert kept.stat().st_mtime_ns == kept_time
    assert _contents(output) == _contents(package)


@pytest.mark.parametrize("changes", [{"seed": 2}, {"num_clips": 6}])
def test_other_arguments_for_a_full_folder_are_refused(package, changes):
    before = _times(package)
    options = dataclasses.replace(SynthesizeOptions(package, 5, 1), **changes)

    with pytest.raises(SynthesizeError, match=r"repeat those arguments, choose ano"):
        drawing.synthesize(options)

    assert _times(package) == before


@pytest.mark.parametrize("folder", [CLIPS, "annotations"])
def test_folders_that_others_made_are_refused(tmp_path, folder):
    (tmp_path / folder).mkdir()

    with pytest.raises(SynthesizeError, match="not drawn by this program"):
        drawing.synthesize(SynthesizeOptions(tmp_path, 5, 1))

    assert [path.name for path in tmp_path.iterdir()] == [folder]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_clips": 2}, "num_clips must be at least 3"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"num_workers": 0}, "num_workers must be at least 1, got 0"),
    ],
)
def test_options_reject_nonsense(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        SynthesizeOptions(tmp_path, **changes)


def _break_ffmpeg(monkeypatch, folder: Path) -> None:
    program = folder / "fake-ffmpeg"
    program.write_text("#!/bin/sh\ncat >/dev/null\necho no paint >&2\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(program))


def test_failing_clip_stops_the_run_before_the_annotations(monkeypatch, tmp_path):
    _break_ffmpeg(monkeypatch, tmp_path)
    output = tmp_path / "set"

    with pytest.raises(
        webm_writer.EncodeError,
        match=r"clip \d: ffmpeg ended with exit status 9; .* no paint",
    ):
        drawing.synthesize(SynthesizeOptions(output, num_clips=5))

    assert list(_contents(output)) == ["synthesize.json"]


def test_threads_of_opencv_are_restored(monkeypatch, tmp_path):
    _break_ffmpeg(monkeypatch, tmp_path)
    before = cv2.getNumThreads()

    with pytest.raises(webm_writer.EncodeError):
        drawing.synthesize(SynthesizeOptions(tmp_path / "set", num_clips=3))

    assert cv2.getNumThreads() == before


def test_main_ends_with_one_json_object(package, capsys):
    status = synthesize.main(["--output", str(package), "--num_clips", "5"])

    printed = capsys.readouterr().out.splitlines()
    assert status == 0
    assert len(printed) == 1
    assert json.loads(printed[-1])["num_clips"] == 5
    assert set(json.loads(printed[-1])) == {
        field.name for field in dataclasses.fields(drawing.SynthesisSummary)
    }


def test_main_returns_one_when_it_ran_and_failed(package, capsys, caplog):
    status = synthesize.main(["--output", str(package), "--num_clips", "7"])

    assert status == 1
    assert capsys.readouterr().out == ""
    assert "synthesize.json says" in caplog.text


def test_main_returns_one_when_the_output_is_a_file(tmp_path, caplog):
    (tmp_path / "file").write_text("")

    assert synthesize.main(["--output", str(tmp_path / "file" / "set")]) == 1
    assert "Not a directory" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: --output"),
        (["--output", "x", "--num_clips", "many"], "at least 1, got 'many'"),
        (["--output", "x", "--num_clips", "1"], "num_clips must be at least 3"),
        (
            ["--output", "x", "--see", "1"],
            "arguments: --see 1; did you mean --seed for --see?",
        ),
    ],
)
def test_main_exits_with_two_on_wrong_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        synthesize.main(arguments)

    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_the_defaults(capsys):
    with pytest.raises(SystemExit) as caught:
        synthesize.main(["--help"])

    assert caught.value.code == 0
    assert "(default: 400)" in capsys.readouterr().out


def test_the_checksums_are_those_of_the_clips(package):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", package / "clips.sha256"],
        cwd=package / CLIPS,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [f"{n}.webm: OK" for n in range(1, 6)]


def mean_num_bytes(output):
    """Bytes a frame of the clips, and of their JPEGs at quality 90."""
    clips = [(path, decode(path)) for path in (output / CLIPS).iterdir()]
    num_frames = sum(len(frames.frame_sizes) for _, frames in clips)
    num_bytes = sum(path.stat().st_size for path, _ in clips)
    return num_bytes / num_frames, sum(len(f.jpegs) for _, f in clips) / num_frames


def test_frames_are_as_heavy_as_genuine_ones_and_light_ones_lighter(package, tmp_path):
    """Genuine: 87.7 kB a clip of 52.8 frames, 19.3 kB a JPEG (11.6 to 27.7)."""
    light = tmp_path / "light"
    drawing.synthesize(SynthesizeOptions(light, num_clips=5, seed=1, is_light=True))

    usual, lighter = mean_num_bytes(package), mean_num_bytes(light)

    assert usual[0] == pytest.approx(87_700 / 52.8, rel=0.35)
    assert usual[1] == pytest.approx(19_300, rel=0.15)
    assert lighter[1] < 0.9 * usual[1]


def test_a_folder_of_light_clips_takes_no_others(package):
    options = SynthesizeOptions(package, 5, 1, is_light=True)

    with pytest.raises(SynthesizeError, match='"drawing_version": 1'):
        drawing.synthesize(options)
