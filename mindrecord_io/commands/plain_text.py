"""Makes text that came out of a file fit to be a line of a terminal or of a log.

A label, a tensor's name or a fact of a checkpoint may hold what moves the cursor, ends
the line and begins another that looks like ours, or is megabytes long.
"""

import os
import re
import resource
import sys
import traceback

__all__ = ["is_our_own", "one_line", "sentence", "shortened"]

_MAX_NUM_CHARS = 4000
_OWN_PACKAGES = ("eval", "mindrecord_io", "model", "pipelines", "train")
_NO_THREAD = "can't start new thread"  # Python's words

# Control characters, line and paragraph separators, what turns the direction of
# writing, and halves of surrogate pairs, which no encoding can carry.
_UNFIT = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"
    "\\ud800-\\udfff]"
)


def one_line(text: str, max_num_chars: int = _MAX_NUM_CHARS) -> str:
    """Returns a text as one line: unfit characters as escapes, its middle left out."""
    return _UNFIT.sub(_escaped, shortened(text, max_num_chars))


def shortened(text: str, max_num_chars: int = _MAX_NUM_CHARS) -> str:
    """Returns a text, without its middle if it is longer than that."""
    if len(text) <= max_num_chars:
        return text
    half = max_num_chars // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]} ... {left_out} characters left out ... {text[-half:]}"


def sentence(error: BaseException) -> str:
    """Returns what an error means, on one line and with the file's name if it has one.

    Python names a file and the reason of an OSError in a form for programmers; errors
    of MindSpore go over several lines.
    """
    if isinstance(error, MemoryError):
        known = "; ".join(filter(None, [_words(error), _memory_limit()]))
        return f"there is not enough memory ({known or 'no more is known'})"
    if str(error) == _NO_THREAD:
        limit = _memory_limit() or "ulimit -u, or the container, allows no more"
        return f"{_NO_THREAD}: {limit}; raise that, or take fewer workers"
    if isinstance(error, ImportError):
        return _unloadable(error)
    if isinstance(error, OSError) and error.errno is not None:
        reason = error.strerror or os.strerror(error.errno)
        names = [n for n in (error.filename, error.filename2) if n is not None]
        return _words(": ".join([*map(_name, names), str(reason)]))
    return _words(error) or type(error).__name__


def is_our_own(error: ImportError) -> bool:
    """Returns whether what cannot be imported is clipmill's, a defect of ours."""
    return _package(error) in _OWN_PACKAGES


def _unloadable(error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            f"the module {error.name!r} is not installed for {sys.executable}: run "
            "clipmill in the virtual environment that it was installed into (after "
            "`make install`: `. .venv/bin/activate`)"
        )
    known = "; ".join(filter(None, [_words(error), _memory_limit()]))
    return (
        f"the library {_package(error)!r} cannot be loaded ({known}): install it, or "
        "what it needs, anew"
    )


def _package(error: ImportError) -> str:
    """Returns the package that cannot be imported, or in which that was said."""
    name = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) or name in sys.modules:
        return name
    # Of a file in C the name is the last part alone, and some errors have none.
    said_in = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        said_in = str(frame.f_globals.get("__name__")).partition(".")[0]
    return name if name and said_in in ("", *_OWN_PACKAGES) else said_in


def _memory_limit() -> str:
    num_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
    if num_bytes == resource.RLIM_INFINITY:
        return ""
    return f"ulimit -v allows {num_bytes >> 20} MiB"


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")


def _name(file: object) -> str:
    return os.fsdecode(file) if isinstance(file, bytes) else str(file)


def _words(value: object) -> str:
    return " ".join(str(value).split())
