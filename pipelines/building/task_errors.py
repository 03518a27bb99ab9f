"""Makes one sentence of what may go wrong with a shard, before Beam wraps it.

A runner hands on an error as text, among hundreds of lines of its own. What a task
raises here is all that a user reads of it.
"""

import contextlib
from collections.abc import Iterator

from mindrecord_io.commands import command_line, plain_text
from pipelines.planning.shard_plans import ShardFailedError

__all__ = ["worded"]


@contextlib.contextmanager
def worded(place: str = "") -> Iterator[None]:
    """Makes every error of the block that may be expected a ShardFailedError.

    Args:
      place: what the block works on, which begins the sentence; "" for all shards.
    """
    try:
        yield
    except ShardFailedError:
        raise
    except command_line.EXPECTED as cause:
        text = plain_text.sentence(cause)
        raise ShardFailedError(f"{place}: {text}" if place else text) from cause
