"""Stores the frames of a data set in the ways that other loaders read.

    python feed_stores.py WAY DATASET FOLDER

WAY is folder (JPEG files, a folder a clip), tar (WebDataset) or mds (MosaicML
Streaming). The JPEGs are those of the shards, byte for byte.
"""

import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np

from mindrecord_io.serving import clip_index
from mindrecord_io.versions import opening

__all__ = ["STORES", "read_clips"]

NUM_PARTS = 8  # of a store: more than workers


def read_clips(dataset: Path) -> Iterator[tuple[str, int, list[bytes]]]:
    """Gives clip_id, label_id and JPEGs of every training clip."""
    index = clip_index.read_clip_index(opening.open_version(dataset), "train")
    for row, clip_id in enumerate(index.clip_ids):
        offsets, sizes = index.frame_ranges(row)
        with index.shard_paths[index.shard_indices[row]].open("rb") as file:
            file.seek(offsets[0])
            jpegs = [file.read(size) for size in sizes]
        yield clip_id, int(index.label_ids[row]), jpegs


def _store_folder(dataset: Path, folder: Path) -> None:
    folder.mkdir()
    lines = []
    for clip_id, label_id, jpegs in read_clips(dataset):
        (folder / clip_id).mkdir()
        for i, jpeg in enumerate(jpegs):
            (folder / clip_id / f"{i:06d}.jpg").write_bytes(jpeg)
        lines.append(f"{clip_id} {len(jpegs)} {label_id}")
    (folder / "list.txt").write_text("\n".join(lines))


def _store_tar(dataset: Path, folder: Path) -> None:
    folder.mkdir()
    parts = [tarfile.open(folder / f"{i}.tar", "w") for i in range(NUM_PARTS)]  # noqa: SIM115
    for number, (clip_id, label_id, jpegs) in enumerate(read_clips(dataset)):
        members = {f"{clip_id}.{i:03d}.jpg": jpeg for i, jpeg in enumerate(jpegs)}
        members[f"{clip_id}.cls"] = str(label_id).encode()
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            parts[number % NUM_PARTS].addfile(member, BytesIO(content))
    for part in parts:
        part.close()


def _store_mds(dataset: Path, folder: Path) -> None:
    import streaming

    columns = {"clip_id": "str", "label": "int", "sizes": "ndarray", "frames": "bytes"}
    with streaming.MDSWriter(out=str(folder), columns=columns) as writer:
        for clip_id, label_id, jpegs in read_clips(dataset):
            sizes = np.array([len(jpeg) for jpeg in jpegs])
            frames = b"".join(jpegs)
            writer.write(
                {
                    "clip_id": clip_id,
                    "label": label_id,
                    "sizes": sizes,
                    "frames": frames,
                }
            )


STORES: dict[str, Callable[[Path, Path], None]] = {
    "folder": _store_folder,
    "tar": _store_tar,
    "mds": _store_mds,
}

if __name__ == "__main__":
    STORES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps({"stored": sys.argv[1]}))  # noqa: T201
