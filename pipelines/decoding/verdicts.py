"""Decides whether a decoded clip is whole, by its file, its header and ffmpeg."""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mindrecord_io.records import SourceFacts
from pipelines.decoding import clip_file, second_opinion
from pipelines.quarantine import REASONS, ClipError

__all__ = [
    "Verdict",
    "accepted_damage",
    "is_acceptable",
    "is_short_of_its_duration",
    "source_facts",
    "verdict_on",
]

_HEADER_TOLERANCE = 1  # containers round duration x rate

_OUT_OF_MEMORY = "Cannot allocate memory"
_CUT_OFF = re.compile(
    "File ended prematurely|partial file|moov atom not found|Truncating packet"
    "|[Pp]acket corrupt"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a clip.

    Attributes:
      reason: a key of quarantine.REASONS; "" if the clip is whole.
      num_lost: frames that should be there and were not decoded, -1 if unknown.
    """

    reason: str
    detail: str
    num_lost: int


def source_facts(
    header: SourceFacts, times_seconds: Sequence[float], num_frames: int
) -> SourceFacts:
    """Returns the header's facts with rate and duration by the frames' own times."""
    seconds = times_seconds[-1] - times_seconds[0] if times_seconds else 0.0
    fps = (num_frames - 1) / seconds if seconds > 0 else 0.0
    return dataclasses.replace(
        header,
        fps_from_content=fps,
        duration_seconds_from_content=num_frames / fps if fps else 0.0,
    )


def is_short_of_its_duration(file: clip_file.ClipFile) -> bool:
    """Returns whether a file written live ends before its header's duration.

    A segment of known size is whole or visibly cut off; one of unknown size ends
    wherever the file does.
    """
    structure = file.structure
    if structure is None or not structure.is_open_ended:
        return False
    times = structure.times_seconds
    if len(times) < 2 or not structure.duration_seconds:
        return False
    longest = max(b - a for a, b in itertools.pairwise(times))
    return times[-1] + 2 * longest < structure.duration_seconds


def verdict_on(
    file: clip_file.ClipFile, header: SourceFacts, opinion: second_opinion.Opinion
) -> Verdict:
    """Returns what is wrong with a clip that ffmpeg decoded."""
    num_expected = _num_expected(file, header, opinion)
    num_lost = max(0, num_expected - opinion.num_frames) if num_expected else -1
    reason, detail = _reason(file, opinion, num_expected)
    if not reason:
        return Verdict("", "", 0)
    if complaints := second_opinion.describe_complaints(opinion):
        detail = f"{detail}; ffmpeg: {complaints}"
    elif file.problem:
        detail = f"{detail}; {file.problem}"
    return Verdict(reason, detail, num_lost)


def accepted_damage(
    verdict: Verdict, num_frames: int, accept_partial: float, facts: SourceFacts
) -> str:
    """Returns what is wrong with a clip that is stored all the same, "" if nothing.

    Raises:
      ClipError: the clip is not to be stored; it has the facts.
    """
    if not verdict.reason:
        return ""
    if not is_acceptable(verdict, num_frames, accept_partial):
        raise ClipError(verdict.reason, verdict.detail, facts)
    return f"{verdict.reason}: {verdict.detail}"


def is_acceptable(verdict: Verdict, num_frames: int, accept_partial: float) -> bool:
    """Returns whether a clip that is not whole has lost less than the share allowed."""
    leaves_frames = REASONS[verdict.reason].leaves_frames and num_frames > 0
    if not leaves_frames or verdict.num_lost < 0:
        return False
    return verdict.num_lost < accept_partial * (num_frames + verdict.num_lost)


def _num_expected(
    file: clip_file.ClipFile, header: SourceFacts, opinion: second_opinion.Opinion
) -> int:
    """Returns the frames that the file promises, 0 if it promises none."""
    if not (file.problem or opinion.complaints or is_short_of_its_duration(file)):
        return file.num_frames or header.num_frames_from_header
    # Every block is a frame; what is claimed beyond them may be one too many.
    claimed = header.num_frames_from_header or _num_by_times(header, opinion)
    is_fragmented = bool(file.movie and file.movie.is_fragmented)
    if is_fragmented and _is_cut_off(file, opinion):
        return 0  # what comes after its end is listed there
    if _lists_all_frames(file, opinion):
        structure = file.structure
        if structure and structure.has_other_tracks:
            return file.num_frames  # the duration may be that of the sound
    elif not claimed:
        return 0
    return max(file.num_frames, claimed)


def _num_by_times(header: SourceFacts, opinion: second_opinion.Opinion) -> int:
    """Returns the frames that fill the header's duration at the rate of those shown."""
    times = opinion.times_seconds
    if len(times) < 2 or times[-1] <= times[0]:
        return 0
    fps = (len(times) - 1) / (times[-1] - times[0])
    return round(header.duration_seconds_from_header * fps)


def _lists_all_frames(
    file: clip_file.ClipFile, opinion: second_opinion.Opinion
) -> bool:
    """Returns whether no frame can be missing but those that the file lists."""
    structure = file.structure
    if structure is None or structure.is_open_ended or _is_cut_off(file, opinion):
        return False
    return structure.is_read_to_its_end


def _is_cut_off(file: clip_file.ClipFile, opinion: second_opinion.Opinion) -> bool:
    part = file.structure or file.movie
    return bool(part and part.is_cut_off) or any(
        _CUT_OFF.search(complaint) for complaint in opinion.complaints
    )


def _reason(
    file: clip_file.ClipFile, opinion: second_opinion.Opinion, num_expected: int
) -> tuple[str, str]:
    """Returns the reason and the detail of the first thing wrong, or two ""."""
    num_frames, path = opinion.num_frames, file.path
    counted = f"{num_frames} frames"
    if num_expected:
        counted = f"{num_frames} of {num_expected} frames"
    if file.is_only_a_header and not num_frames:
        return "no_frames", f"{path} is a header of a video, without any frames"
    if not opinion.has_video and (opinion.has_audio or _has_only_sound(file)):
        return "audio_only", f"{path}: sound and no video stream"
    if _is_cut_off(file, opinion):
        return "truncated", f"{path} is cut off: {counted}"
    if not opinion.has_video:
        return "not_decodable", f"{path}: no video stream can be opened"
    if any(_OUT_OF_MEMORY in complaint for complaint in opinion.complaints):
        flag = REASONS["out_of_memory"].flag
        return "out_of_memory", f"{path}: ffmpeg has too little ({flag})"
    if opinion.complaints or opinion.is_failure:
        return "damaged", f"{path} is damaged: {counted}"
    if opinion.changes_size or (file.frames and file.frames.has_other_sizes):
        return "concatenated", f"{path} has frames of several sizes: not one clip"
    if (backwards := _first_backwards(opinion.times_seconds)) is not None:
        return "damaged", f"{path}: frame {backwards} is to be shown before the last"
    if num_frames == 0:
        return "no_frames", f"{path}: the decoder found no frames"
    return _miscount(file, opinion, num_expected)


def _miscount(
    file: clip_file.ClipFile, opinion: second_opinion.Opinion, num_expected: int
) -> tuple[str, str]:
    is_counted = file.frames is not None and num_expected == file.num_frames
    tolerance = 0 if is_counted else _HEADER_TOLERANCE
    num_frames = opinion.num_frames
    # What an edit list leaves out is read all the same; Matroska has none.
    num_read = num_frames if file.structure else max(num_frames, opinion.num_packets)
    promise = f"{num_frames} frames, the file promises {num_expected}"
    if num_expected and num_read < num_expected - tolerance:
        return "truncated", promise
    if num_expected and num_frames > num_expected + tolerance:
        return "too_many_frames", promise
    return "", ""


def _has_only_sound(file: clip_file.ClipFile) -> bool:
    return bool(
        file.structure
        and file.structure.has_other_tracks
        and not file.structure.codec
        and not file.problem
    )


def _first_backwards(times_seconds: Sequence[float]) -> int | None:
    for index in range(1, len(times_seconds)):
        if times_seconds[index] < times_seconds[index - 1]:
            return index
    return None
