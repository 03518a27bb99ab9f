"""Runs commands on a pseudo-terminal, and reads what they left on it."""

import os
import pty
import re
import subprocess
import sys
import termios
import threading
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
COLOUR = re.compile(r"\x1b\[\d*m")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Session:
    """What a command wrote.

    Attributes:
      output: to standard output, where that is a pipe; "" where it is the terminal.
      shown: to the terminal, each line as often as it was drawn.
    """

    returncode: int
    output: str
    shown: str

    @property
    def drawn(self) -> list[str]:
        """Every line in every state that it had, without colours."""
        return re.split(r"[\r\n]+", COLOUR.sub("", self.shown))

    @property
    def lines(self) -> list[str]:
        """The lines that stand there in the end, without colours."""
        ended = []
        for line in COLOUR.sub("", self.shown).replace("\r\n", "\n").split("\n"):
            cells = ""
            for part in line.split("\r"):
                cells = part + cells[len(part) :]
            ended.append(cells.rstrip())
        return [line for line in ended if line]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a user's shell on a usual terminal."""
    hidden = ("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm"} | changes


def run(*words, columns=80, is_output_shown=True, **changes) -> Session:
    """Runs `python WORDS` with standard error on a terminal, and mostly output too."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=theirs if is_output_shown else subprocess.PIPE,
        stderr=theirs,
        env=environment(**changes),
    )
    os.close(theirs)
    parts: list[bytes] = []
    reader = threading.Thread(target=_read, args=(ours, parts))
    reader.start()
    output, _ = process.communicate()
    reader.join()
    os.close(ours)
    shown = b"".join(parts).decode()
    return Session(process.returncode, (output or b"").decode(), shown)


def _read(terminal: int, parts: list[bytes]) -> None:
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            return
        if not part:
            return
        parts.append(part)
