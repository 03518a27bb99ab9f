"""Reads a split from an object store as other libraries do, for remote.py to count.

    python remote_peers.py store WAY DATASET FOLDER NUM_SHARDS
    python remote_peers.py read WAY URI CACHE CACHE_BYTES NUM_EPOCHS

WAY is py1e or py1br (MosaicML Streaming, whole shards and two of its shuffles) or lance
(one row a frame, the sampled rows of every batch alone, in an order of all clips).
Nothing is decoded. After each epoch `read` prints the number of clips.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from infra.benchmarks import feed_stores

__all__ = ["BATCH_SIZE", "WAYS"]

BATCH_SIZE = 16
WAYS = {"py1e": "streaming", "py1br": "streaming", "lance": "lance"}
"""The library of each."""

_NUM_SEGMENTS = 8


def _store_mds(dataset: Path, folder: Path, num_shards: int) -> None:
    import streaming

    clips = list(feed_stores.read_clips(dataset))
    num_bytes = sum(len(jpeg) for _, _, jpegs in clips for jpeg in jpegs)
    columns = {"label": "int", "sizes": "ndarray", "frames": "bytes"}
    size_limit = num_bytes // num_shards
    with streaming.MDSWriter(
        out=str(folder), columns=columns, size_limit=size_limit
    ) as writer:
        for _, label_id, jpegs in clips:
            sizes = np.array([len(jpeg) for jpeg in jpegs])
            frames = b"".join(jpegs)
            writer.write({"label": label_id, "sizes": sizes, "frames": frames})


def _store_lance(dataset: Path, folder: Path, num_shards: int) -> None:
    import lance
    import pyarrow as pa

    clips = list(feed_stores.read_clips(dataset))
    pairs = [(n, jpeg) for n, (_, _, jpegs) in enumerate(clips) for jpeg in jpegs]
    numbers, jpegs = zip(*pairs, strict=True)
    table = pa.table({"clip": pa.array(numbers, pa.int32()), "jpeg": list(jpegs)})
    lance.write_dataset(
        table, str(folder), max_rows_per_file=-(-len(pairs) // num_shards)
    )


def _read_mds(
    way: str, uri: str, cache: str, num_bytes: int, num_epochs: int
) -> Iterator[int]:
    import streaming

    dataset = streaming.StreamingDataset(
        remote=uri,
        local=cache,
        shuffle=True,
        shuffle_algo=way,
        cache_limit=num_bytes,
        batch_size=BATCH_SIZE,
    )
    for _ in range(num_epochs):
        yield sum(len(clip["frames"]) > 0 for clip in dataset)


def _read_lance(
    way: str, uri: str, cache: str, num_bytes: int, num_epochs: int
) -> Iterator[int]:
    import lance

    options = {"aws_endpoint": os.environ["AWS_ENDPOINT_URL"], "allow_http": "true"}
    dataset = lance.dataset(uri, storage_options=options)
    clips = dataset.to_table(columns=["clip"])["clip"].to_numpy()
    begins = [*np.flatnonzero(np.diff(clips, prepend=-1)).tolist(), len(clips)]
    for epoch in range(num_epochs):
        rng = np.random.default_rng(epoch)
        order = rng.permutation(len(begins) - 1).tolist()
        for i in range(0, len(order), BATCH_SIZE):
            rows = [
                row
                for clip in order[i : i + BATCH_SIZE]
                for row in _sampled(begins[clip], begins[clip + 1], rng)
            ]
            dataset.take(rows, columns=["jpeg"])
        yield len(order)


def _sampled(begin: int, end: int, rng: np.random.Generator) -> list[int]:
    """Returns a row of each segment, as TrainView draws them."""
    n, length = _NUM_SEGMENTS, end - begin
    bounds = [begin + i * length // n for i in range(n + 1)]
    return [
        bounds[i] + int(rng.integers(max(1, bounds[i + 1] - bounds[i])))
        for i in range(n)
    ]


def main(words: list[str]) -> None:
    """Stores or reads; see the module."""
    action, way, *rest = words
    if action == "store":
        store = _store_lance if way == "lance" else _store_mds
        store(Path(rest[0]), Path(rest[1]), int(rest[2]))
        return
    read = _read_lance if way == "lance" else _read_mds
    for num_clips in read(way, rest[0], rest[1], int(rest[2]), int(rest[3])):
        print(f"clips {num_clips}", flush=True)  # noqa: T201
        sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1:])
