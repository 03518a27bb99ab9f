"""Fetches the sampled frames of the steps to come from where the shards lie.

The frames of every step are known before it: so many requests are in flight at once,
for as many steps as memory is set aside for. Nothing is kept on the disk.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mindrecord_io.serving.clip_decoders import Samples
from mindrecord_io.serving.clip_index import ClipIndex
from mindrecord_io.serving.clip_random import ClipRandom
from mindrecord_io.serving.clip_reader import SeenClip, decide
from mindrecord_io.serving.frame_checksums import FrameChecksums
from mindrecord_io.serving.frame_ranges import MergeRule, merged_ranges
from mindrecord_io.serving.views import View, ViewDecision
from mindrecord_io.storage.range_reads import FileRanges, RangeReads

__all__ = ["ClipRanges", "PartsAhead", "RangePlanner"]

_MAX_BYTES_AHEAD = 128 << 20
_MAX_STEPS_AHEAD = 16


@dataclass(frozen=True, slots=True)
class ClipRanges:
    """The ranges of a shard that hold what is seen of a clip.

    Attributes:
      ranges: (first byte, byte after the last) in the shard of each.
      places: of each frame seen: the number of its range, and where it begins and ends
        in that.
      is_whole: all frames of the clip are read, to be checked together.
    """

    row: int
    decision: ViewDecision
    ranges: tuple[tuple[int, int], ...]
    places: dict[int, tuple[int, int, int]]
    is_whole: bool

    @property
    def num_bytes(self) -> int:
        """The number of bytes that are read."""
        return sum(end - begin for begin, end in self.ranges)

    def frame(self, contents: Sequence[bytes], index: int) -> bytes:
        """Returns a frame from the bytes of all ranges."""
        number, begin, end = self.places[index]
        return contents[number][begin:end]


class RangePlanner:
    """Chooses the ranges to read of each clip of a split, as a view sees it."""

    def __init__(
        self, index: ClipIndex, view: View, seed: int, rule: MergeRule
    ) -> None:
        """Reads nothing; the index must have checksums."""
        assert index.checksums is not None  # read with that of every remote split
        self.index, self.checksums = index, index.checksums
        self._view, self._seed, self._rule = view, seed, rule

    def plan(self, row: int, epoch: int, repetition: int) -> ClipRanges:
        """Returns what to read of a clip; repetition: how often it came before."""
        rng = ClipRandom(self._seed, epoch, self.index.clip_ids[row], repetition)
        decision = decide(self.index, self._view, row, rng)
        begins, sizes = self.index.frame_ranges(row)
        seen = sorted(set(decision.frame_indices))
        wanted = [(begins[i], begins[i] + sizes[i]) for i in seen]
        is_whole = not self.checksums.has_crc32s[row]
        if is_whole:
            ranges = [(begins[0], begins[-1] + sizes[-1])]
        else:
            ranges = merged_ranges(wanted, self._rule)
        places, number = {}, 0
        for i, (begin, end) in zip(seen, wanted, strict=True):
            number += begin >= ranges[number][1]
            first = ranges[number][0]
            places[i] = (number, begin - first, end - first)
        return ClipRanges(row, decision, tuple(ranges), places, is_whole)


class PartsAhead:
    """Keeps the frames of a window of steps on their way; for one reading thread."""

    def __init__(
        self,
        planner: RangePlanner,
        reads: RangeReads,
        samples_of: Callable[[int], Samples],
        steps: range,
    ) -> None:
        """Fetches nothing yet.

        Args:
          samples_of: returns the clips that a step reads.
          steps: in the order in which `ready` is called for them.
        """
        self._planner, self._reads = planner, reads
        self._samples_of = samples_of
        self._waiting = deque(steps)
        self._window: dict[int, list[_Coming]] = {}
        self._num_bytes = 0

    def __enter__(self) -> "PartsAhead":
        return self

    def __exit__(self, *error: object) -> None:
        """Takes back what was asked for and has not been sent."""
        for clips in self._window.values():
            for clip in clips:
                clip.cancel()

    def ready(self, step: int) -> Sequence[SeenClip]:
        """Returns the clips of a step once all their frames are here.

        Raises:
          StorageError: a frame cannot be read, or is not the published one.
        """
        while self._waiting and (self._waiting[0] <= step or self._fits(step)):
            self._ask(self._waiting.popleft())
        clips = self._window.pop(step)
        seen = [clip.result() for clip in clips]
        self._num_bytes -= sum(clip.ranges.num_bytes for clip in clips)
        return seen

    def can_hold(self, step: int) -> bool:
        """Returns True: frames in memory leave it with their batch."""
        return True

    def release(self, step: int) -> None:
        """Does nothing: frames in memory leave it with their batch."""

    def _fits(self, step: int) -> bool:
        num_ahead = self._waiting[0] - step
        return num_ahead <= _MAX_STEPS_AHEAD and self._num_bytes < _MAX_BYTES_AHEAD

    def _ask(self, step: int) -> None:
        samples = self._samples_of(step)
        clips = zip(samples.rows.tolist(), samples.repetitions.tolist(), strict=True)
        planned = [
            self._planner.plan(row, samples.epoch, repetition)
            for row, repetition in clips
        ]
        self._window[step] = [_Coming(p, self._planner, self._reads) for p in planned]
        self._num_bytes += sum(ranges.num_bytes for ranges in planned)


class _Coming:
    """A clip whose frames have been asked for."""

    def __init__(
        self, ranges: ClipRanges, planner: RangePlanner, reads: RangeReads
    ) -> None:
        self.ranges = ranges
        index, row = planner.index, ranges.row
        shard = index.remote_shards[int(index.shard_indices[row])]
        wanted = FileRanges(shard.path, ranges.ranges, shard.content.num_bytes)
        self._read = reads.submit(wanted, _Check(index, planner.checksums, ranges))

    def result(self) -> SeenClip:
        """Waits for the frames."""
        contents, decision = self._read.result(), self.ranges.decision
        jpegs = [self.ranges.frame(contents, i) for i in decision.frame_indices]
        return SeenClip(decision, jpegs)

    def cancel(self) -> None:
        """Takes back what has not been sent."""
        self._read.contents.cancel()


@dataclass(frozen=True, slots=True)
class _Check:
    """Compares the bytes of a clip's ranges with the published checksums."""

    index: ClipIndex
    checksums: FrameChecksums
    ranges: ClipRanges

    def __call__(self, contents: Sequence[bytes]) -> str:
        row = self.ranges.row
        name = f"clip {self.index.clip_ids[row]}"
        if self.ranges.is_whole:
            wrong = self.checksums.wrong_clip(row, contents[0])
            return wrong and f"the frames of {name} have {wrong}"
        first = int(self.index.frame_begins[row])
        for i in self.ranges.places:
            frame = self.ranges.frame(contents, i)
            if wrong := self.checksums.wrong_frame(first + i, frame):
                return f"frame {i} of {name} has {wrong}"
        return ""
