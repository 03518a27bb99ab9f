"""Makes shards, as the process `python -m pipelines.building.shard_child FD`.

It imports MindSpore, to read shards back, and has a decoding child; Beam stays in the
parent. One request is one shard: decode and write; then, while the next is decoded,
read back, hash, publish.
"""

import contextlib
import functools
import gc
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mindrecord_io import records
from mindrecord_io.commands import plain_text
from mindrecord_io.shards import shard_folders, stored_clips, writer
from mindrecord_io.storage import incomplete
from pipelines import quarantine
from pipelines.building import child_process, killable_decoder

__all__ = ["ClipUnsettledError", "main"]

logger = logging.getLogger(__name__)


class ClipUnsettledError(RuntimeError):
    """A clip failed for a reason that may be gone next time: no shard can be made."""


_ERRORS = (
    *(ClipUnsettledError, writer.ShardWriteError, OSError, ValueError),
    child_process.ChildDiedError,  # a decoder that cannot decode the built-in clips
)


Finish = Callable[[], records.ShardSummary]


@dataclass(frozen=True, slots=True)
class _Published:
    """What published versions list, beside which a shard is made.

    Attributes:
      listed: contents that versions list under the plan's key.
      summaries: as StoredClips takes them; the one under the plan's key as well.
      decoders: that made the frames of the versions.
    """

    listed: tuple[records.Fingerprint | None, ...]
    summaries: Mapping[str, records.Fingerprint]
    decoders: tuple[records.DecoderIdentity, ...]

    @classmethod
    def of_request(cls, request: Mapping[str, Any]) -> Self:
        """Returns what a request states."""
        fingerprint = functools.partial(records.from_json, records.Fingerprint)
        decoder = functools.partial(records.from_json, records.DecoderIdentity)
        summaries = request.get("summaries", {})
        return cls(
            listed=tuple(file and fingerprint(file) for file in request["listed"]),
            summaries={place: fingerprint(file) for place, file in summaries.items()},
            decoders=tuple(map(decoder, request.get("known_decoders", ()))),
        )


def _begin_shard(
    dataset: Path,
    plan: records.ShardPlan,
    decoder: killable_decoder.KillableDecoder,
    published: _Published,
    *,
    is_repair: bool,
) -> Finish:
    """Writes one shard; returns a function that reads it back and publishes it.

    The function is called once, perhaps in another thread: it needs no decoder.

    Args:
      is_repair: the shard takes the place of one that may be there and damaged.

    Raises:
      ShardWriteError: the shard could not be written or, from the function, not be
        read back.
      ShardError: a shard whose frames are to be copied is gone or damaged.
      ClipUnsettledError: a clip's file cannot be read, or is not the planned one.
      OSError: the file system refuses.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            incomplete.folder_in(shard_folders.split_folder(dataset, plan.split))
        )
        shard = writer.ShardWriter(folder, plan)
        stored = stored_clips.StoredClips(dataset, published.summaries)
        for clip, result in _results(stored, plan, decoder):
            if isinstance(result, records.Quarantined):
                shard.quarantine(clip, result)
            else:
                shard.append(clip, result)
        decoders = stored.decoders
        if not all(clip.stored_in for clip in plan.clips):
            decoders.add(decoder.identity())
        unfinished = stack.pop_all()

    def finish() -> records.ShardSummary:
        with unfinished:
            known = [decoders, *({one} for one in published.decoders)]
            listed_summary = published.summaries.get(f"{plan.split}/{plan.key}")
            summary = shard.finish(known, published.listed, listed_summary)
            publish = shard_folders.replace if is_repair else shard_folders.publish
            publish(dataset, folder, summary)
        return summary

    return finish


def _results(
    stored: stored_clips.StoredClips,
    plan: records.ShardPlan,
    decoder: killable_decoder.KillableDecoder,
) -> Iterator[tuple[records.PlannedClip, killable_decoder.Decoded]]:
    """Yields the plan's clips in order, decoded or read from a published shard."""
    fresh = [
        c for c in plan.clips if not (c.stored_in or quarantine.is_unread(c.source))
    ]
    with contextlib.closing(decoder.decode_all(fresh, plan.settings)) as decoded:
        for clip in plan.clips:
            if clip.stored_in:
                yield clip, stored.read(clip)
            elif quarantine.is_unread(clip.source):
                yield clip, decoder.refuse_unread(clip)
            else:
                yield clip, _settled(*next(decoded))


def _settled(
    clip: records.PlannedClip, result: killable_decoder.Decoded
) -> killable_decoder.Decoded:
    """Returns a result that will be the same next time, else raises."""
    if (
        isinstance(result, records.Quarantined)
        and not quarantine.REASONS[result.reason].is_settled
    ):
        raise ClipUnsettledError(f"clip {clip.clip_id}: {result.detail}")
    return result


def _answer(finish: Finish) -> dict[str, Any]:
    try:
        summary = finish()
    except _ERRORS as cause:
        return {"error": _describe_error(cause)}
    return {"key": summary.key}


def _describe_error(error: Exception) -> str:
    logger.debug("shard failed", exc_info=error)
    return plain_text.sentence(error)


class _Worker:
    """Answers requests, with one decoder for all shards."""

    def __init__(self) -> None:
        self._made_of: tuple[quarantine.DecodeLimits, str] | None = None
        self._decoder: killable_decoder.KillableDecoder | None = None

    def begin(self, request: dict[str, Any]) -> child_process.Finish:
        """Writes the requested shard; returns a function that finishes it."""
        finish: Finish | None = None
        error = ""
        try:
            clip_limits = quarantine.DecodeLimits(**request["limits"])
            decoder = self._decoder_with(clip_limits, request["ffmpeg"])
            if "plan" not in request:
                identity = records.to_json(decoder.identity())
                return lambda: (identity, b"")
            plan = records.from_json(records.ShardPlan, request["plan"])
            finish = _begin_shard(
                Path(request["dataset"]),
                plan,
                decoder,
                _Published.of_request(request),
                is_repair=request.get("is_repair", False),
            )
        except _ERRORS as cause:
            error = _describe_error(cause)
        return lambda: ({"error": error} if finish is None else _answer(finish), b"")

    def _decoder_with(
        self, clip_limits: quarantine.DecodeLimits, ffmpeg: str
    ) -> killable_decoder.KillableDecoder:
        if self._decoder is None or self._made_of != (clip_limits, ffmpeg):
            self.close()
            self._decoder = killable_decoder.KillableDecoder(clip_limits, ffmpeg=ffmpeg)
            self._made_of = clip_limits, ffmpeg
        return self._decoder

    def close(self) -> None:
        """Ends the decoding child and waits for it."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None


def _import_mindspore() -> None:
    """Imports MindSpore, which reads shards back, while the first clips are decoded."""
    with contextlib.suppress(ImportError):  # the shard that needs it says so
        importlib.import_module("mindrecord_io.shards.shard_proof")
    # MindSpore brings 150,000 objects that stay; every full collection would visit
    # them, which cost a tenth of the time of a shard that is relabelled.
    gc.freeze()


def main() -> int:
    """Makes shards until the parent closes the socket."""
    threading.Thread(target=_import_mindspore, daemon=True).start()
    worker = _Worker()
    child_process.serve_overlapped(worker.begin)
    worker.close()
    return 0


if __name__ == "__main__":
    status = main()
    # Unloading MindSpore takes half a second; all shards are on disk.
    sys.stderr.flush()
    os._exit(status)
