"""Shows how far a command is: one line on a terminal, lines now and then in a log.

    shards  [##########..........]  52%  1,234/2,400 clips  00:41, 00:38 left

A command is always in a phase. One whose work cannot be counted has its name and the
seconds since it began: `phase`. A bar takes its place, and ends it.
"""

import contextlib
import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mindrecord_io.commands import terminal

__all__ = ["Bar", "Shown", "end_phase", "phase", "phases_of", "show", "watched"]

logger = logging.getLogger("clipmill")

_TICK_SECONDS = 0.5
_LINE_SECONDS = 30.0  # a log of a day has some thousand of them
_MIN_BAR, _MAX_BAR = 10, 30

Batch = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a bar shows at one moment.

    Attributes:
      num_total: clips; None where nothing is counted.
      rate: clips a second; None before it is known.
      extras: more about it, the most important first; as many as there is room for.
    """

    title: str
    num_done: int
    num_total: int | None
    seconds: float
    rate: float | None = None
    extras: tuple[str, ...] = ()

    def drawn(self, num_columns: int) -> str:
        """Returns it as a bar, of less than that many columns."""
        room = num_columns - 1  # in the last one some terminals begin the next line
        if self.num_total is None:
            return f"{self.title}: {self.seconds:.0f} s"[:room]
        share = self.num_done / self.num_total if self.num_total else 1.0
        parts = [
            f"{share:4.0%}",
            f"{self.num_done:,}/{self.num_total:,} clips",
            self._times(self.num_total),
        ]
        left = room - len("  ".join([self.title, *parts])) - len("  []")
        for extra in self.extras:
            if left - len(extra) - 2 < _MIN_BAR:
                break
            parts.append(extra)
            left -= len(extra) + 2
        if left >= _MIN_BAR:
            width = min(left, _MAX_BAR)
            full = round(width * min(share, 1.0))
            parts.insert(0, f"[{'#' * full}{'.' * (width - full)}]")
        return "  ".join([self.title, *parts])[:room]

    def line(self) -> str:
        """Returns how far it is, how fast, and how long it takes at that rate."""
        if self.num_total is None:
            return f"{self.title}: {self.seconds:.0f} s"
        if not self.rate:
            none = f"none of {self.num_total:,} clips"
            return f"{self.title}: {none} in {self.seconds:.0f} s"
        minutes = (self.num_total - self.num_done) / self.rate / 60
        return (
            f"{self.title}: {self.num_done:,} of {self.num_total:,} clips "
            f"({self.num_done / self.num_total:.0%}), {self.rate:.1f} clips/s, "
            f"{minutes:.1f} min left"
        )

    def _times(self, num_total: int) -> str:
        times = _clock(self.seconds)
        if not self.rate or self.num_done >= num_total:
            return times
        return f"{times}, {_clock((num_total - self.num_done) / self.rate)} left"


class Bar:
    """Shows one phase of the work: a bar on a terminal, lines in a log.

    Args:
      num_total: clips; None where nothing can be counted.
      num_done: clips done before.
      is_shown: whether this process shows anything.
      is_kept: whether the bar stays on the terminal after `close`.
      count: returns the clips done; else `advance` counts them.

    Attributes:
      num_done: clips done until now.
      has_lines: whether log lines stand in for the bar.
    """

    def __init__(
        self,
        title: str,
        num_total: int | None,
        *,
        num_done: int = 0,
        is_shown: bool = True,
        is_kept: bool = True,
        count: Callable[[], int] | None = None,
    ) -> None:
        end_phase()
        self.title, self.num_total, self.num_done = title, num_total, num_done
        self._num_before = num_done
        self._count = count
        self._extras: tuple[str, ...] = ()
        self._began = self._last_line = time.monotonic()
        self._drawn: Any = None
        if is_shown and terminal.can_redraw():
            self._drawn = _drawn_on_terminal(self, is_kept=is_kept)
        self.has_lines = is_shown and self._drawn is None
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None
        if is_shown:
            _open.append(self)
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()

    def advance(self, num: int, *extras: str) -> None:
        """Counts `num` more clips; `extras` stand behind the bar, if there is room."""
        self._extras = extras
        self._set(self.num_done + num)
        self._log_if_due()

    def note(self, text: str) -> None:
        """Shows what goes on until more is counted."""
        self._extras = (text,)
        if self._drawn is not None:
            self._drawn.refresh()

    def close(self) -> None:
        """Draws the bar for the last time."""
        if self._watcher is not None:
            self._closing.set()
            self._watcher.join()
            self._watcher = None
            _open.remove(self)
        if self._count is not None:
            self._set(self._count())
        if self._drawn is not None:
            self._drawn.close()
        if self.num_total is not None and _command and not _open:
            phase(_command)

    def shown(self, rate: float | None = None) -> Shown:
        """Returns what is shown now; the rate is by default the mean one."""
        seconds = time.monotonic() - self._began
        if rate is None and seconds > 0:
            rate = (self.num_done - self._num_before) / seconds
        done, total = self.num_done, self.num_total
        return Shown(self.title, done, total, seconds, rate, self._extras)

    def _set(self, num_done: int) -> None:
        step, self.num_done = num_done - self.num_done, num_done
        if self._drawn is not None:
            self._drawn.update(step)

    def _watch(self) -> None:
        while not self._closing.wait(_TICK_SECONDS):
            # Counting may take a request to a store: without a bar, only for a line.
            is_seen = self._drawn is not None or self._is_line_due()
            if self._count is not None and is_seen:
                self._set(self._count())
            if self._drawn is not None:
                self._drawn.refresh()  # so that its clock goes on
            self._log_if_due()

    def _log_if_due(self) -> None:
        if self._is_line_due():
            self._last_line = time.monotonic()
            logger.info("%s", self.shown().line())

    def _is_line_due(self) -> bool:
        return self.has_lines and time.monotonic() - self._last_line >= _LINE_SECONDS


_command = ""
"""What this process is at while nothing else is named."""

_open: list[Bar] = []
"""The bars of this process that are not closed; a phase of `phase` is the only one."""


@contextlib.contextmanager
def phases_of(command: str) -> Iterator[None]:
    """Shows, while the block runs, that a command is at work, and its phases."""
    global _command
    _command = command
    phase(command)
    try:
        yield
    finally:
        _command = ""
        end_phase()


def phase(name: str) -> None:
    """Shows what the command is at, until the next phase or bar.

    While a bar is open, that shows it.
    """
    if _open and _open[-1].num_total is not None:
        _open[-1].note(name)
        return
    Bar(name, None, is_kept=False)


def end_phase() -> None:
    """Ends what `phase` began, if anything, so that other lines can be written."""
    while _open and _open[-1].num_total is None:
        _open[-1].close()


@contextlib.contextmanager
def watched(title: str, num_clips: int, num_done: Callable[[], int]) -> Iterator[None]:
    """Shows, while the block runs, how many of some clips `num_done` counts.

    What is counted is what has been published, so that it works on any runner.
    """
    with contextlib.closing(Bar(title, num_clips, count=num_done)):
        yield


def show(
    batches: Iterable[Batch], title: str, num_clips: int, *, is_shown: bool
) -> Iterator[Batch]:
    """Yields the batches and shows how many of their clips have been used.

    A batch counts when the next one is requested.

    Args:
      num_clips: in all batches.
      is_shown: whether anything is shown.
    """
    bar = Bar(title, num_clips, is_shown=is_shown, is_kept=False)
    with contextlib.closing(bar):
        for batch in batches:
            yield batch
            bar.advance(len(batch["frames"]))


def _clock(seconds: float) -> str:
    """Returns a time as 01:23 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _drawn_on_terminal(bar: Bar, *, is_kept: bool) -> Any:
    """Returns the library's bar, which redraws the line of ours."""
    return _library_class()(
        bar,
        total=bar.num_total,
        initial=bar.num_done,
        leave=is_kept,
        file=sys.stderr,
        smoothing=0.05,
    )


@functools.cache
def _library_class() -> Any:
    import tqdm  # where there is no terminal, it is not loaded

    class Drawn(tqdm.tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # the clock is ours

        def __init__(self, bar: Bar, **settings: Any) -> None:
            self._bar = bar
            super().__init__(**settings)

        def __str__(self) -> str:
            rate = self.format_dict["rate"]
            return self._bar.shown(rate).drawn(terminal.num_columns())

    tqdm.tqdm.set_lock(threading.RLock())  # no other process has bars of it
    return Drawn
