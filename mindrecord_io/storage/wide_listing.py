"""Lists a remote folder of very many files: by parts of it, many at a time.

A store answers with a thousand names, and only then tells how to ask for the next; but
it also begins at any name that it is given. So a folder of more names than one answer
has is listed from many names on at once, each up to the next.
"""

import itertools
import string
from collections.abc import Iterator
from concurrent import futures
from typing import NamedTuple

import obstore

from mindrecord_io.storage import object_store
from mindrecord_io.storage.range_store import RangeStore, as_os_errors

__all__ = ["ListedFile", "list_files"]

_NUM_IN_ANSWER = 1000
_BEGINS = sorted(
    [*string.ascii_letters, *string.digits]
    + ["".join(pair) for pair in itertools.product(string.digits, repeat=2)]
)
"""Names from which a part is listed: most folders of many files number them."""


class ListedFile(NamedTuple):
    """A file directly in a folder.

    Attributes:
      etag: the store's name for its content, "" without one.
    """

    name: str
    num_bytes: int
    etag: str


def list_files(store: RangeStore) -> list[ListedFile]:
    """Returns the files directly in a folder; none if there is no such folder.

    Raises:
      StorageError: the store does not answer, after several attempts.
    """

    def listed(begin: str, end: str | None, num: int | None = None) -> list[ListedFile]:
        def read() -> list[ListedFile]:
            return list(itertools.islice(_files_from(store, begin, end), num))

        return object_store.retried(read, f"list {store.uri}")

    first = listed("", None, _NUM_IN_ANSWER)
    if len(first) < _NUM_IN_ANSWER:
        return first
    last = first[-1].name
    begins = [last, *(begin for begin in _BEGINS if begin > last)]
    with futures.ThreadPoolExecutor(object_store.num_requests()) as executor:
        parts = executor.map(listed, begins, [*begins[1:], None])
        return first + list(itertools.chain.from_iterable(parts))


def _files_from(store: RangeStore, begin: str, end: str | None) -> Iterator[ListedFile]:
    """Yields the files whose names come after one, and not after another."""
    offset = store.prefix + begin if begin else None
    with as_os_errors():
        answers = obstore.list(
            store.store, store.prefix, offset=offset, chunk_size=_NUM_IN_ANSWER
        )
        for found in itertools.chain.from_iterable(answers):
            name = found["path"].removeprefix(store.prefix)
            if end is not None and name > end:
                return
            # A server that does not know where to begin begins at the first.
            if "/" not in name and name > begin:
                etag = (found["e_tag"] or "").strip('"')
                yield ListedFile(name, found["size"], etag)
