"""All files of a remote folder are listed once, however many parts it is listed by."""

import itertools

import pytest
from obstore.store import MemoryStore

from mindrecord_io.storage import object_store, range_store, wide_listing
from mindrecord_io.storage.wide_listing import ListedFile

NAMES = sorted(
    [f"{number}.webm" for number in range(0, 3000, 7)]
    + ["é 1.webm", "~", "-x.webm", "0", "9", "99", "A", "Z.webm", "a", "zz", "z"]
)


@pytest.fixture(params=[1, 2, 100, 10_000])
def num_in_answer(request, monkeypatch):
    monkeypatch.setattr(wide_listing, "_NUM_IN_ANSWER", request.param)


def stored(names):
    store = MemoryStore()
    for name in names:
        store.put(f"a/b/{name}", name.encode())
    store.put("a/b/below/1.webm", b"")
    store.put("a/bc/1.webm", b"")
    return range_store.RangeStore("s3://bucket/a/b", store, "a/b/")


def test_every_file_is_listed_once_in_order(num_in_answer):
    listed = wide_listing.list_files(stored(NAMES))
    assert [file.name for file in listed] == NAMES
    assert [file.num_bytes for file in listed] == [len(n.encode()) for n in NAMES]


def test_a_folder_that_is_not_there_has_no_files(num_in_answer):
    assert wide_listing.list_files(stored([])) == []


def test_a_part_ends_where_the_next_begins(monkeypatch):
    monkeypatch.setattr(wide_listing, "_NUM_IN_ANSWER", 2)
    monkeypatch.setattr(wide_listing, "_BEGINS", ["5", "7"])
    asked, files_from = [], wide_listing._files_from

    def noting(store, begin, end):
        found = list(files_from(store, begin, end))
        asked.append((begin, end, [file.name for file in found]))
        return iter(found)

    monkeypatch.setattr(wide_listing, "_files_from", noting)
    names = ["1", "3", "5", "50", "7", "9"]
    wide_listing.list_files(stored(names))
    assert asked[0][:2] == ("", None)
    assert sorted(asked[1:]) == [
        ("3", "5", ["5"]),
        ("5", "7", ["50", "7"]),
        ("7", None, ["9"]),
    ]


def test_a_store_that_begins_anywhere_else_gives_no_file_twice(monkeypatch):
    own = wide_listing.obstore.list

    def from_the_first(store, prefix, *, offset, **options):
        return own(store, prefix, **options)

    monkeypatch.setattr(wide_listing.obstore, "list", from_the_first)
    monkeypatch.setattr(wide_listing, "_NUM_IN_ANSWER", 2)
    assert [f.name for f in wide_listing.list_files(stored(NAMES))] == NAMES


def test_files_come_with_the_name_of_their_content(bucket):
    bucket.write("bucket/set/1.webm", b"some bytes")
    bucket.write("bucket/set/below/2.webm", b"others")
    store = range_store.open_range_store("s3://bucket/set", bucket.environment)
    (listed,) = wide_listing.list_files(store)
    opened = object_store.open_storage("s3://bucket/set", bucket.environment)
    assert listed == ListedFile("1.webm", *opened.size_and_etag("1.webm"))
    assert listed.etag


def test_a_store_that_fails_is_asked_again_and_then_an_error(bucket, monkeypatch):
    monkeypatch.setattr(object_store.time, "sleep", lambda seconds: None)
    store = range_store.open_range_store("s3://nowhere/set", bucket.environment)
    with pytest.raises(object_store.StorageError, match="cannot list s3://nowhere/set"):
        wide_listing.list_files(store)


def test_parts_begin_at_most_digits_twice_and_in_order():
    assert sorted(set(wide_listing._BEGINS)) == wide_listing._BEGINS
    pairs = {"".join(pair) for pair in itertools.product("0123456789", repeat=2)}
    assert pairs <= set(wide_listing._BEGINS)
