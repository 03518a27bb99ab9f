"""Decodes clips in a child process, which a clip may crash, block or bloat."""

import dataclasses
import signal
from collections.abc import Generator, Sequence

from mindrecord_io import records
from pipelines import quarantine
from pipelines.building import child_process

__all__ = ["Decoded", "KillableDecoder"]

_MAX_TRIES = 2  # the first death may be due to another clip, not the second
_MAX_REQUESTS = 2  # the clip that is awaited and the one after it
_MAX_PAYLOAD_NUM_BYTES = 512 << 20  # more than a page can be

Decoded = records.ClipFrames | records.Quarantined


class KillableDecoder:
    """Decodes in one child process; replaces it when a clip crashes or blocks it."""

    def __init__(
        self,
        clip_limits: quarantine.DecodeLimits,
        module: str = "pipelines.building.decoder_child",
        *,
        ffmpeg: str = "",
    ) -> None:
        """Makes a decoder that starts its process when it is needed.

        Args:
          clip_limits: of every clip.
          module: that the process runs.
          ffmpeg: the program to use, "" for the usual one.
        """
        self._limits = clip_limits
        self._module = module
        self._ffmpeg = ffmpeg
        self._identity: records.DecoderIdentity | None = None
        self._child: child_process.ChildProcess | None = None
        self._num_requests = 0  # of the clips from the current one on, by this child

    def decode_all(
        self, clips: Sequence[records.PlannedClip], settings: records.DecodeSettings
    ) -> Generator[tuple[records.PlannedClip, Decoded], None, None]:
        """Yields every clip, in order, with its frames or with why it has none.

        The child decodes the next clip while the caller works on this one.
        """
        try:
            for position in range(len(clips)):
                yield clips[position], self._decoded(clips[position:], settings)
        finally:
            if self._num_requests:  # the caller left early: drop these answers
                self._replace_child()

    def _decoded(
        self, clips: Sequence[records.PlannedClip], settings: records.DecodeSettings
    ) -> Decoded:
        """Returns the first clip's frames; the child goes on with the second clip."""
        for num_tries in range(1, _MAX_TRIES + 1):
            try:
                for clip in clips[self._num_requests : _MAX_REQUESTS]:
                    self._request(clip, settings)
                    self._num_requests += 1
                result = self._answer()
                self._num_requests -= 1
            except (
                child_process.ChildDiedError,
                child_process.ChildTimeoutError,
            ) as error:
                self._replace_child()
                if num_tries == _MAX_TRIES:
                    return self._failure(error)
            else:
                return result
        raise AssertionError("the last try returns")

    def identity(self) -> records.DecoderIdentity:
        """Returns what decides the pixels; not to be called amid `decode_all`.

        Raises:
          ChildDiedError: the process cannot run; or failed at the clips that are built
            in, as did the one that replaced it.
        """
        num_tries = 0
        while self._identity is None:
            num_tries += 1
            try:
                self._identity = self._read_identity()
            except child_process.ChildRefusedError as error:
                raise child_process.ChildDiedError(f"the decoder {error}") from error
            except (
                child_process.ChildDiedError,
                child_process.ChildTimeoutError,
            ) as error:
                self._replace_child()
                if num_tries == _MAX_TRIES:
                    raise child_process.ChildDiedError(
                        f"the decoder {_fate(error)}, {_MAX_TRIES} times, at the clips "
                        "that are built in"
                    ) from error
        return self._identity

    def refuse_unread(self, clip: records.PlannedClip) -> records.Quarantined:
        """Returns that a clip's file, which was not read, is larger than allowed."""
        detail = (
            f"{clip.source.num_bytes} bytes are more than {self._limits.max_gib} GiB"
        )
        error = quarantine.ClipError("file_too_large", detail)
        return error.quarantined(self._limits)

    def close(self) -> None:
        """Ends the child process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _request(
        self, clip: records.PlannedClip, settings: records.DecodeSettings
    ) -> None:
        self._started_child().send(
            {
                "ffmpeg": self._ffmpeg,
                "clip": records.to_json(clip),
                "settings": records.to_json(settings),
                "limits": dataclasses.asdict(self._limits),
            }
        )

    def _started_child(self) -> child_process.ChildProcess:
        if self._child is None:
            self._child = child_process.ChildProcess(self._module)
        return self._child

    def _answer(self) -> Decoded:
        assert self._child is not None
        header, jpegs = self._child.receive(
            self._limits.max_wall_seconds, _MAX_PAYLOAD_NUM_BYTES
        )
        try:
            if "reason" in header:
                refusal = records.from_json(records.Quarantined, header)
                error = quarantine.ClipError(
                    refusal.reason, refusal.detail, refusal.facts
                )
                return error.quarantined(self._limits)
            fields = {**header, "jpegs": jpegs}
            frames: records.ClipFrames = records.from_json(records.ClipFrames, fields)
            return frames
        except ValueError as cause:
            raise child_process.ChildDiedError(f"bad answer: {cause}") from cause

    def _read_identity(self) -> records.DecoderIdentity:
        child = self._started_child()
        child.send({"ffmpeg": self._ffmpeg})
        header, _ = child.receive(self._limits.max_wall_seconds, 0)
        identity: records.DecoderIdentity
        identity = records.from_json(records.DecoderIdentity, header)
        return identity

    def _replace_child(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None
        self._num_requests = 0

    def _failure(
        self, error: child_process.ChildDiedError | child_process.ChildTimeoutError
    ) -> Decoded:
        if isinstance(error, child_process.ChildTimeoutError):
            reason = "timeout"
            seconds = self._limits.max_wall_seconds
            detail = f"decoding waits, and takes longer than {seconds} s"
        elif error.by_signal == signal.SIGXCPU:
            reason = "timeout"
            detail = quarantine.too_much_time(self._limits)
        elif error.by_signal in quarantine.OUTSIDE_SIGNALS:
            reason = "decoder_killed"
            detail = quarantine.killed_from_outside(error.by_signal)
        else:
            reason = "decoder_crashed"
            detail = f"the decoding process {error}, {_MAX_TRIES} times"
        return quarantine.ClipError(reason, detail).quarantined(self._limits)


def _fate(
    error: child_process.ChildDiedError | child_process.ChildTimeoutError,
) -> str:
    """Returns what became of a process, to follow its name."""
    if isinstance(error, child_process.ChildTimeoutError):
        return f"gave {error}"
    if error.by_signal in quarantine.OUTSIDE_SIGNALS:
        return f"was {error} from outside"
    return f"was {error}" if error.by_signal else str(error)
