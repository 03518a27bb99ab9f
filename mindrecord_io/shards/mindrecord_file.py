"""Writes .mindrecord files, byte for byte as MindSpore's FileWriter, without MindSpore.

A shard's bytes are nearly all JPEG. FileWriter moves them through several buffers,
which took most of the time of a shard that is relabelled; here they go from the
decoder, or from another shard without leaving the kernel, to their place in the file.

A file is one header and then pages of one size (MindRecord 3.0), which must be equal in
all files that are read together. Blob pages hold the variable-width fields of the rows,
the raw page all others. The header is a u64 LE length and JSON: schema, index fields,
pages.

FileWriter refuses a row that is larger than a page. Here it gets a blob page of its own
that goes on over the places of the pages behind it, whose numbers are left out:
MindSpore's readers look for a page at its number, and for its rows at their offsets.
"""

import errno
import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from mindrecord_io.records import FileRange
from mindrecord_io.shards import mindrecord_encoding as encoding
from mindrecord_io.shards import schema
from mindrecord_io.shards.mindrecord_encoding import IndexRow, Row

__all__ = ["MindRecordFile"]

_BLOB, _RAW = "BLOB_DATA", "RAW_DATA"
_NO_COPY_IN_KERNEL = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV)
_READ_NUM_BYTES = 1 << 20


@dataclass(slots=True)
class _Page:
    """A page as the header describes it; a blob page's rows are one row group.

    Attributes:
      page_id: its place in the file, in pages.
      num_places: that it takes, more than one for a row that is larger than a page.
    """

    page_id: int
    page_type: str
    type_id: int
    num_places: int = 1
    num_bytes: int = 0
    rows: tuple[int, int] = (0, 0)
    row_groups: list[tuple[int, int]] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        groups = [{"id": number, "offset": at} for number, at in self.row_groups]
        return {
            "end_row_id": self.rows[1],
            "page_id": self.page_id,
            "page_size": self.num_bytes,
            "page_type": self.page_type,
            "page_type_id": self.type_id,
            "row_group_ids": groups,
            "shard_id": 0,
            "start_row_id": self.rows[0],
        }


class MindRecordFile:
    """One .mindrecord file and its .db: rows are appended, `finish` completes both.

    Until then the header is zeros: an unfinished file is not taken for a whole one.
    """

    def __init__(self, path: Path, page_num_bytes: int) -> None:
        """Creates the file.

        Raises:
          FileExistsError: there is one.
        """
        self._path = path
        self._page_num_bytes = page_num_bytes
        self._pages: list[_Page] = []
        self._blob_page: _Page | None = None
        self._raw_page: _Page | None = None
        self._raw_rows: list[bytes] = []  # of the raw page that is being filled
        self._index_rows: list[IndexRow] = []
        self._num_saved_bytes = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o666)

    def append(self, row: Row, frames: bytes | FileRange) -> int:
        """Writes the next row; returns the offset of its JPEGs in the file.

        Args:
          frames: the JPEGs end to end, or where they lie.

        Raises:
          ValueError: the row has no frames, or is larger than any page may be.
          OSError: the file system refuses.
          EOFError: the range's file ends before it should.
        """
        num_bytes = len(frames)
        if num_bytes != sum(row.frame_sizes) or not num_bytes:
            raise ValueError(
                f"{row.clip_id}: {num_bytes} bytes of frames, frame_sizes say "
                f"{sum(row.frame_sizes)}; there must be at least one"
            )
        head = encoding.blob_row_head(row.frame_sizes, num_bytes)
        raw = encoding.raw_row(row)
        blob_page, raw_page = self._pages_for(row, len(head) + num_bytes, len(raw))
        offset = self._offset(blob_page) + blob_page.num_bytes
        _write(self._descriptor, head, offset)
        if isinstance(frames, FileRange):
            _copy(frames, self._descriptor, offset + len(head))
        else:
            _write(self._descriptor, frames, offset + len(head))
        self._note(row, blob_page, len(head) + num_bytes, raw_page, len(raw))
        self._raw_rows.append(raw)
        self._num_saved_bytes += encoding.num_saved_bytes(row.frame_sizes)
        return offset + len(head)

    def finish(self) -> None:
        """Writes the last pages, the header and the .db file, and closes the file.

        Raises:
          ValueError: there are more pages than the header has room for.
          OSError: the file system refuses.
        """
        self._write_raw_rows()
        _write(self._descriptor, self._header(), 0)
        self.close()
        index_path = self._path.with_name(self._path.name + ".db")
        content = encoding.index_file(self._path.name, self._index_rows)
        index_path.write_bytes(content)

    def close(self) -> None:
        """Closes the file as it is; a second time is harmless."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _pages_for(
        self, row: Row, blob_num_bytes: int, raw_num_bytes: int
    ) -> tuple[_Page, _Page]:
        """Returns the pages that the next row goes to, new ones where it must."""
        if blob_num_bytes > schema.MAX_PAGE_NUM_BYTES:
            raise ValueError(
                f"{row.clip_id}: {blob_num_bytes} bytes do not fit in a page, which "
                f"may have {schema.MAX_PAGE_NUM_BYTES}"
            )
        blob, raw = self._blob_page, self._raw_page
        is_raw_full = not raw or raw.num_bytes + raw_num_bytes > self._page_num_bytes
        # A row group is the rows of one blob page, and lies in one raw page.
        if (
            not blob
            or blob.num_bytes + blob_num_bytes > self._page_num_bytes
            or is_raw_full
        ):
            blob = self._blob_page = self._new_page(_BLOB, blob_num_bytes)
            blob.rows = (len(self._index_rows), len(self._index_rows))
            blob.row_groups.append((0, 0))
            if not raw or is_raw_full:
                self._write_raw_rows()
                raw = self._raw_page = self._new_page(_RAW)
            raw.row_groups.append((blob.type_id, raw.num_bytes))
        assert raw
        return blob, raw

    def _new_page(self, page_type: str, num_bytes: int = 0) -> _Page:
        """Returns a page behind all others, with room for a row of so many bytes."""
        number = sum(page.page_type == page_type for page in self._pages)
        last = self._pages[-1] if self._pages else None
        place = last.page_id + last.num_places if last else 0
        num_places = max(1, -(-num_bytes // self._page_num_bytes))
        self._pages.append(_Page(place, page_type, number, num_places))
        return self._pages[-1]

    def _offset(self, page: _Page) -> int:
        return schema.HEADER_NUM_BYTES + page.page_id * self._page_num_bytes

    def _note(
        self, row: Row, blob: _Page, blob_num_bytes: int, raw: _Page, raw_num_bytes: int
    ) -> None:
        """Moves the pages' ends past a row that was written, and indexes it."""
        fields = (
            *(0, row.clip_id),
            *(0, row.height),
            *(0, row.label),
            *(0, len(row.frame_sizes)),
            *(0, row.width),
        )
        number = len(self._index_rows)
        raw_end = raw.num_bytes + raw_num_bytes
        blob_end = blob.num_bytes + blob_num_bytes
        self._index_rows.append(
            (
                *(number, raw.page_id, raw.num_bytes, raw_end),
                *(blob.type_id, blob.page_id, blob.num_bytes, blob_end),
                *fields,
            )
        )
        raw.num_bytes, blob.num_bytes = raw_end, blob_end
        blob.rows = (blob.rows[0], number + 1)

    def _write_raw_rows(self) -> None:
        if self._raw_page:
            content, self._raw_rows = b"".join(self._raw_rows), []
            _write(self._descriptor, content, self._offset(self._raw_page))

    def _header(self) -> bytes:
        fields = [
            {"index_field": name, "schema_id": 0} for name in encoding.INDEX_FIELDS
        ]
        content = {
            "header_size": schema.HEADER_NUM_BYTES,
            "index_fields": fields,
            "page": [page.to_json() for page in self._pages],
            "page_size": self._page_num_bytes,
            "compression_size": max(0, self._num_saved_bytes),
            "schema": [_SCHEMA],
            "shard_addresses": [self._path.name],
            "shard_id": 0,
            "statistics": None,
            "version": "3.0",
        }
        text = json.dumps(content, separators=(",", ":")).encode()
        if len(text) + 8 > schema.HEADER_NUM_BYTES:
            raise ValueError(
                f"{self._path.name}: a list of {len(self._pages)} pages does not fit "
                f"in a header of {schema.HEADER_NUM_BYTES} bytes; ask for more shards"
            )
        return struct.pack("<Q", len(text)) + text  # what follows is a hole


_SCHEMA = {
    "blob_fields": ["frame_sizes", "frames"],
    "desc": "clip",
    "schema": {
        name: dict(sorted(schema.MINDRECORD_SCHEMA[name].items()))
        for name in sorted(schema.MINDRECORD_SCHEMA)
    },
}


def _write(descriptor: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        num_written = os.pwrite(descriptor, view, offset)
        view, offset = view[num_written:], offset + num_written


def _copy(source: FileRange, descriptor: int, offset: int) -> None:
    """Copies inside the kernel, which on some file systems shares the blocks."""
    with source.path.open("rb") as file:
        done = 0
        while done < source.num_bytes:
            num_copied = _copy_some(
                file.fileno(),
                source.offset + done,
                descriptor,
                offset + done,
                source.num_bytes - done,
            )
            if num_copied == 0:
                raise EOFError(
                    f"{source.path} ends after {done} of {source.num_bytes} bytes from "
                    f"{source.offset} on"
                )
            done += num_copied


def _copy_some(
    source: int, source_offset: int, target: int, target_offset: int, num_bytes: int
) -> int:
    """Copies up to so many bytes; returns how many, 0 at the end of the source."""
    try:
        return os.copy_file_range(
            source, target, num_bytes, source_offset, target_offset
        )
    except OSError as cause:
        if cause.errno not in _NO_COPY_IN_KERNEL:
            raise
    content = os.pread(source, min(num_bytes, _READ_NUM_BYTES), source_offset)
    _write(target, content, target_offset)
    return len(content)
