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
from mindrecord_io.storage.range_reads import FilePart, RangeReads

__all__ = ["ClipRanges", "PartsAhead", "RangePlanner"]

_MAX_BYTES_AHEAD = 128 << 20
_MAX_STEPS_AHEAD = 16


@dataclass(frozen=True, slots=True)
class ClipRanges:
    """The ranges of a shard that hold what is seen of a clip.

    Attributes:
      frames: (first byte, bytes) in the shard of the frames in each range, by frame.
      is_whole: all frames of the clip are read, to be checked together.
    """

    row: int
    decision: ViewDecision
    ranges: tuple[tuple[int, int], ...]
    frames: tuple[dict[int, tuple[int, int]], ...]
    is_whole: bool

    @property
    def num_bytes(self) -> int:
        """The number of bytes that are read."""
        return sum(end - begin for begin, end in self.ranges)


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
        frames = {i: (begins[i], sizes[i]) for i in seen}
        if not self.checksums.has_crc32s[row]:
            whole = (begins[0], begins[-1] + sizes[-1])
            return ClipRanges(row, decision, (whole,), (frames,), is_whole=True)
        wanted = [(begin, begin + size) for begin, size in frames.values()]
        ranges = merged_ranges(wanted, self._rule)
        parts = tuple(
            {i: f for i, f in frames.items() if begin <= f[0] < end}
            for begin, end in ranges
        )
        return ClipRanges(row, decision, tuple(ranges), parts, is_whole=False)


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
        self._reads = [
            reads.submit(
                FilePart(shard.path, begin, end - begin, shard.content.num_bytes),
                _Check(index, planner.checksums, ranges, number),
            )
            for number, (begin, end) in enumerate(ranges.ranges)
        ]

    def result(self) -> SeenClip:
        jpegs: dict[int, bytes] = {}
        parts = zip(self._reads, self.ranges.ranges, self.ranges.frames, strict=True)
        for read, (begin, _), frames in parts:
            content = read.result()
            for i, (at, size) in frames.items():
                jpegs[i] = content[at - begin : at - begin + size]
        decision = self.ranges.decision
        return SeenClip(decision, [jpegs[i] for i in decision.frame_indices])

    def cancel(self) -> None:
        for read in self._reads:
            read.content.cancel()


@dataclass(frozen=True, slots=True)
class _Check:
    """Compares the bytes of one range of a clip with the published checksums."""

    index: ClipIndex
    checksums: FrameChecksums
    ranges: ClipRanges
    number: int

    def __call__(self, content: bytes) -> str:
        row, view = self.ranges.row, memoryview(content)
        name = f"clip {self.index.clip_ids[row]}"
        if self.ranges.is_whole:
            wrong = self.checksums.wrong_clip(row, content)
            return wrong and f"the frames of {name} have {wrong}"
        begin, _ = self.ranges.ranges[self.number]
        first = int(self.index.frame_begins[row])
        for i, (at, size) in self.ranges.frames[self.number].items():
            frame = view[at - begin : at - begin + size]
            if wrong := self.checksums.wrong_frame(first + i, frame):
                return f"frame {i} of {name} has {wrong}"
        return ""
