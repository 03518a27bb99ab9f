"""Decodes clips, as the process `python -m pipelines.building.decoder_child FD`.

It may be killed at any moment. Its memory and time are limited before each clip.
"""

import math
import resource
import signal
import sys
from typing import Any

import cv2

from mindrecord_io import records
from pipelines import ffmpeg, quarantine
from pipelines.building import child_process
from pipelines.decoding import clip_decoding, identity

__all__ = ["main"]

_GRACE_SECONDS = 5  # the parent kills first, with a reason; this is for orphans


def main() -> int:
    """Answers decode requests until the parent closes the socket."""
    cv2.setNumThreads(1)
    child_process.serve(_answer)
    return 0


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    ffmpeg.choose(request["ffmpeg"])
    if "clip" not in request:
        return records.to_json(identity.of_this_process()), b""
    clip_limits = quarantine.DecodeLimits(**request["limits"])
    _limit_process(clip_limits)
    try:
        frames = clip_decoding.decode_clip(
            records.from_json(records.PlannedClip, request["clip"]),
            records.from_json(records.DecodeSettings, request["settings"]),
            clip_limits,
        )
    except quarantine.ClipError as error:
        return records.to_json(error.quarantined(clip_limits)), b""
    except MemoryError:
        return _out_of_memory(clip_limits), b""
    except cv2.error as error:
        if error.code == cv2.Error.STS_NO_MEM:
            return _out_of_memory(clip_limits), b""
        return {"reason": "not_decodable", "detail": str(error)}, b""
    finally:
        signal.alarm(0)
    header = records.to_json(frames)
    return header, header.pop("jpegs")


def _out_of_memory(clip_limits: quarantine.DecodeLimits) -> dict[str, Any]:
    detail = f"decoding needs more than {clip_limits.max_memory_mib} MiB"
    return {"reason": "out_of_memory", "detail": detail}


def _limit_process(clip_limits: quarantine.DecodeLimits) -> None:
    memory = clip_limits.max_memory_mib << 20
    resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # By default the signals end the process inside the kernel: they work even where a
    # decoder loops in native code, holds the interpreter's lock and has no parent.
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(usage.ru_utime + usage.ru_stime) + clip_limits.max_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    signal.alarm(clip_limits.max_wall_seconds + _GRACE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
