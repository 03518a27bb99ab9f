"""Draws a stand-in for Something-Something-v2 into a folder.

The real clips are licensed and cannot be had without asking. These are drawn, but come
in the same folders, names, formats and lengths, and their classes differ only in the
order of the frames wherever that can be:

    OUTPUT/synthesize.json                         the arguments; written first
    OUTPUT/20bn-something-something-v2/<id>.webm   VP9, 240 px high, 12 frames a second
    OUTPUT/clips.sha256                            the clips' checksums
    OUTPUT/annotations/something-something-v2-{labels,train,validation,test}.json
"""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2

from mindrecord_io.commands.progress_bar import Bar
from mindrecord_io.storage import files
from pipelines import ffmpeg
from pipelines.synthetic import package_plan, scenes, webm_writer
from pipelines.synthetic.drawing_options import SynthesizeOptions
from pipelines.synthetic.motions import ACTIONS
from pipelines.synthetic.package_plan import ClipPlan

__all__ = [
    "SynthesisSummary",
    "SynthesizeError",
    "synthesize",
]

logger = logging.getLogger(__name__)

CHECKSUMS_FILE = "clips.sha256"
ARGUMENTS_FILE = "synthesize.json"
LIGHT_VERSION, DRAWING_VERSION = 1, 2
"""Of light clips and the usual ones. Raise them with every change of the drawn pixels,
so that no folder mixes two."""
GRAIN_QUALITY = 31
"""With it clips have the genuine ones' mean size: 1.7 kB a frame."""
FPS = 12


class SynthesizeError(RuntimeError):
    """The output folder holds something else than what is asked for."""


@dataclass(frozen=True, slots=True)
class SynthesisSummary:
    """What a run left in the output folder; `num_drawn` clips of it are new."""

    num_clips: int
    num_drawn: int
    num_classes: int
    num_frames: int
    num_bytes: int
    clips: str
    annotations: str
    seconds: float


def synthesize(options: SynthesizeOptions) -> SynthesisSummary:
    """Draws the clips that the output folder lacks, then writes the annotations.

    Equal num_clips, seed and ffmpeg give equal bytes; a second run changes nothing.

    Raises:
      SynthesizeError: the folder holds a package of other arguments, or of others.
      EncodeError: ffmpeg failed on a clip.
      FfmpegNotFoundError: there is no ffmpeg.
    """
    begin = time.monotonic()
    _claim_output(options)
    plans = package_plan.plan_clips(options.num_clips, options.seed)
    missing = [plan for plan in plans if not _clip_path(options, plan).exists()]
    if missing:
        _draw_clips(options, missing)
    else:
        logger.info("%s: all %d clips exist", options.clips, len(plans))
    _write_annotations(options, plans)
    _write_checksums(options, plans)
    return SynthesisSummary(
        num_clips=len(plans),
        num_drawn=len(missing),
        num_classes=len(ACTIONS),
        num_frames=sum(plan.num_frames for plan in plans),
        num_bytes=sum(_clip_path(options, plan).stat().st_size for plan in plans),
        clips=str(options.clips),
        annotations=str(options.annotations),
        seconds=round(time.monotonic() - begin, 1),
    )


def _claim_output(options: SynthesizeOptions) -> None:
    """Creates the folders, or checks that an earlier run had the same arguments."""
    wanted = {
        "drawing_version": LIGHT_VERSION if options.is_light else DRAWING_VERSION,
        "num_clips": options.num_clips,
        "seed": options.seed,
    }
    path = options.output / ARGUMENTS_FILE
    if path.exists():
        found = path.read_text(encoding="utf-8")
        if found != _json_text(wanted):
            raise SynthesizeError(
                f"{path} says {' '.join(found.split())}, but this run is "
                f"{json.dumps(wanted)}; repeat those arguments, choose another "
                f"--output or remove {options.output}"
            )
    elif options.clips.exists() or options.annotations.exists():
        raise SynthesizeError(
            f"{options.output} holds clips or annotations but no {ARGUMENTS_FILE}, so "
            "they were not drawn by this program; choose another --output"
        )
    options.clips.mkdir(parents=True, exist_ok=True)
    options.annotations.mkdir(parents=True, exist_ok=True)
    _replace_text(path, _json_text(wanted))


def _draw_clips(options: SynthesizeOptions, plans: Sequence[ClipPlan]) -> None:
    """Draws and encodes the clips; the first failure stops the rest."""
    logger.info("drawing %d clips into %s", len(plans), options.clips)
    program = ffmpeg.ffmpeg_path()
    # Threads do: most of the time is spent in ffmpeg and in OpenCV, outside the GIL.
    executor = futures.ThreadPoolExecutor(options.num_workers)
    bar = Bar("drawing", len(plans))
    with _one_opencv_thread(), closing(bar):
        try:
            tasks = [
                executor.submit(_draw_clip, options, plan, program) for plan in plans
            ]
            for task in futures.as_completed(tasks):
                task.result()
                bar.advance(1)
        finally:
            executor.shutdown(cancel_futures=True)


def _draw_clip(options: SynthesizeOptions, plan: ClipPlan, program: str) -> None:
    scene = scenes.draw_scene(
        package_plan.scene_generator(plan.clip_id, options.seed),
        plan.action,
        appearance=plan.appearance,
        num_frames=plan.num_frames,
        width=plan.width,
        has_grain=not options.is_light,
    )
    quality = webm_writer.USUAL_QUALITY if options.is_light else GRAIN_QUALITY
    webm_writer.write_webm(
        scenes.draw_frames(scene),
        _clip_path(options, plan),
        video=webm_writer.Video(plan.width, scenes.FRAME_HEIGHT_PX, FPS, quality),
        ffmpeg=program,
    )


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Keeps OpenCV from starting threads of its own in every worker."""
    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(num_threads)


def _write_annotations(options: SynthesizeOptions, plans: Sequence[ClipPlan]) -> None:
    for role, document in package_plan.annotation_documents(plans).items():
        path = options.annotations / f"something-something-v2-{role}.json"
        _replace_text(path, _json_text(document))


def _write_checksums(options: SynthesizeOptions, plans: Sequence[ClipPlan]) -> None:
    """Writes the list that `build --checksums` takes."""
    paths = sorted(_clip_path(options, plan) for plan in plans)
    lines = [f"{files.fingerprint(path).sha256}  {path.name}\n" for path in paths]
    _replace_text(options.output / CHECKSUMS_FILE, "".join(lines))


def _clip_path(options: SynthesizeOptions, plan: ClipPlan) -> Path:
    return options.clips / f"{plan.clip_id}.webm"


def _json_text(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"


def _replace_text(path: Path, text: str) -> None:
    """Writes a file that appears at once; leaves an equal one untouched."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    incomplete = path.with_name(webm_writer.INCOMPLETE_PREFIX + path.name)
    incomplete.write_text(text, encoding="utf-8")
    incomplete.replace(path)
