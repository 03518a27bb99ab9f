"""One way to feed training, as a process: reads every clip and says what it took.

    python feed_ways.py WAY DATASET STORE NUM_WORKERS WORKER NUM_EPOCHS

The ways that are other people's decode with the same JPEG library and resample with
OpenCV, but for `folder`, which is PIL and float32 as in MindSpore's TSM. Theirs run as
one process a worker, each of which has its share of the clips and keeps its batches:
handing them to a trainer would cost more. `bare`, `ours` and `mindspore` are threads.
The process prints "ready", waits for a line, works, and prints a JSON object.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from mindrecord_io.serving import clip_index, clip_random, clip_reader, frames, views
from mindrecord_io.versions import opening

__all__ = ["BATCH_SIZE", "THREADED", "WAYS", "Task"]

BATCH_SIZE = 16
THREADED = ("bare", "ours", "mindspore")
"""Ways that are one process with threads, not one process a worker."""

_VIEW = views.TrainView()
_FAST = {"fastdct": True, "fastupsample": True}
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)

Pixels = npt.NDArray[np.uint8]


class Task:
    """What to read: a data set, or another store of its clips."""

    def __init__(self, words: Sequence[str]) -> None:
        self.dataset, self.store = Path(words[0]), Path(words[1])
        self.num_workers, self.worker, self.num_epochs = map(int, words[2:])

    def index(self) -> clip_index.ClipIndex:
        """Returns where the training clips are."""
        return clip_index.read_clip_index(opening.open_version(self.dataset), "train")

    def mine(self, items: Sequence[str]) -> Sequence[str]:
        """Returns this worker's share."""
        return items[self.worker :: self.num_workers]


def _bare(task: Task) -> Iterator[int]:
    index = task.index()
    files = frames.ShardFiles(index.shard_paths)
    reader = clip_reader.ClipReader(index, _VIEW, 0, files)

    def read(rows: Sequence[int], epoch: int) -> int:
        buffer = np.empty(1 << 22, np.uint8)
        for row in rows:
            for jpeg in reader.read_jpegs(row, reader.decide(row, epoch, 0)):
                simplejpeg.decode_jpeg(jpeg, "RGB", buffer=buffer, **_FAST)
        return len(rows)

    rows = range(len(index))
    with futures.ThreadPoolExecutor(task.num_workers) as pool:
        yield 0
        for epoch in range(task.num_epochs):
            parts = [rows[i : i + BATCH_SIZE] for i in range(0, len(rows), BATCH_SIZE)]
            yield from pool.map(read, parts, [epoch] * len(parts))


def _ours(task: Task) -> Iterator[int]:
    from mindrecord_io.serving import reader
    from mindrecord_io.serving.batches import BatchPlan

    plan = BatchPlan(BATCH_SIZE)
    split = reader.open_split(
        task.dataset, "train", _VIEW, plan, num_workers=task.num_workers
    )
    yield 0
    for _ in range(task.num_epochs):
        for _, label_ids in split:
            yield len(label_ids)


def _folder(task: Task) -> Iterator[int]:
    from PIL import Image

    lines = (task.store / "list.txt").read_text().split("\n")
    yield 0
    for epoch in range(task.num_epochs):
        for clips in _batches(task.mine(lines)):
            batch = np.empty((len(clips), 8, 3, 224, 224), np.float32)
            for out, line in zip(batch, clips, strict=True):
                clip_id, num_frames, _ = line.split(" ")
                paths = [
                    task.store / clip_id / f"{i:06d}.jpg"
                    for i in range(int(num_frames))
                ]
                with Image.open(paths[0]) as first:
                    decision = _decide(clip_id, epoch, len(paths), first.size[::-1])
                for plane, i in zip(out, decision.frame_indices, strict=True):
                    crop = decision.crops[0]
                    right, bottom = crop.left + crop.width, crop.top + crop.height
                    with Image.open(paths[i]) as image:
                        rgb = image.convert("RGB")
                    part = rgb.crop((crop.left, crop.top, right, bottom))
                    seen = part.resize((224, 224), Image.Resampling.BILINEAR)
                    scaled = np.asarray(seen, np.float32) / 255
                    plane[:] = ((scaled - _MEAN) / _STD).transpose(2, 0, 1)
            yield len(clips)


def _mindspore(task: Task) -> Iterator[int]:
    from mindspore import dataset
    from mindspore.dataset import vision

    index = task.index()
    files = frames.ShardFiles(index.shard_paths)
    reader = clip_reader.ClipReader(index, _VIEW, 0, files)
    columns = [f"frame{i}" for i in range(8)]

    def give(epoch: int) -> Iterator[tuple[Pixels, ...]]:
        for row in range(len(index)):
            jpegs = reader.read_jpegs(row, reader.decide(row, epoch, 0))
            yield tuple(np.frombuffer(jpeg, np.uint8) for jpeg in jpegs)

    yield 0
    for epoch in range(task.num_epochs):
        rows = dataset.GeneratorDataset(lambda e=epoch: give(e), columns, shuffle=False)
        for column in columns:
            # Another crop for every frame: its operators cannot share a decision.
            crop = vision.RandomCropDecodeResize(224, scale=(0.25, 0.56))
            rows = rows.map([crop, vision.HWC2CHW()], [column], num_parallel_workers=1)
        rows = rows.batch(BATCH_SIZE, num_parallel_workers=1)
        for batch in rows.create_tuple_iterator(num_epochs=1, output_numpy=True):
            yield len(batch[0])


def _tar(task: Task) -> Iterator[int]:
    import webdataset

    urls = task.mine(sorted(map(str, task.store.glob("*.tar"))))
    yield 0
    for epoch in range(task.num_epochs):
        stored = webdataset.WebDataset(urls, shardshuffle=False, empty_check=False)
        clips = (
            (sample["__key__"], [sample[k] for k in sorted(sample) if k[-4:] == ".jpg"])
            for sample in stored
        )
        yield from _decoded(clips, epoch)


def _mds(task: Task) -> Iterator[int]:
    import streaming

    stored = streaming.StreamingDataset(
        local=str(task.store), shuffle=False, batch_size=BATCH_SIZE
    )
    yield 0
    for epoch in range(task.num_epochs):
        yield from _decoded(
            (
                (row["clip_id"], _split(row["frames"], row["sizes"].tolist()))
                for row in (
                    stored[i]
                    for i in range(task.worker, stored.num_samples, task.num_workers)
                )
            ),
            epoch,
        )


def _webm(task: Task) -> Iterator[int]:
    clip_ids = task.index().clip_ids
    clips = task.mine([str(task.store / f"{name}.webm") for name in clip_ids])
    yield 0
    for epoch in range(task.num_epochs):
        for paths in _batches(clips):
            batch = np.empty((len(paths), 8, 3, 224, 224), np.uint8)
            for out, path in zip(batch, paths, strict=True):
                video = cv2.VideoCapture(path)
                size = tuple(
                    int(video.get(side))
                    for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
                )
                num_frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
                decision = _decide(Path(path).stem, epoch, num_frames, size)
                wanted = decision.frame_indices
                for i in range(max(wanted) + 1):
                    video.grab()  # decodes it; only what is wanted is converted
                    for k in (k for k, index in enumerate(wanted) if index == i):
                        _, pixels = video.retrieve()
                        _crop(pixels, decision.crops[0], out[k])
            yield len(paths)


def _decoded(clips: Iterable[tuple[str, list[bytes]]], epoch: int) -> Iterator[int]:
    """Decodes the sampled frames of whole clips, in batches."""
    batch = np.empty((BATCH_SIZE, 8, 3, 224, 224), np.uint8)
    for number, (clip_id, jpegs) in enumerate(clips):
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpegs[0])
        decision = _decide(clip_id, epoch, len(jpegs), (height, width))
        for i, out in zip(
            decision.frame_indices, batch[number % BATCH_SIZE], strict=True
        ):
            pixels = simplejpeg.decode_jpeg(jpegs[i], "RGB", **_FAST)
            _crop(pixels, decision.crops[0], out)
        yield 1


def _crop(pixels: Pixels, crop: views.CropDecision, out: Pixels) -> None:
    part = pixels[crop.top :, crop.left :][: crop.height, : crop.width]
    cv2.split(cv2.resize(part, (224, 224)), list(out))


def _decide(
    clip_id: str, epoch: int, num_frames: int, size: Sequence[int]
) -> views.ViewDecision:
    height, width = size
    rng = clip_random.ClipRandom(0, epoch, clip_id)
    return _VIEW.decide(num_frames, height=height, width=width, label_id=0, rng=rng)


def _split(frames_end_to_end: bytes, sizes: Sequence[int]) -> list[bytes]:
    ends = np.cumsum(sizes).tolist()
    return [
        frames_end_to_end[end - size : end]
        for end, size in zip(ends, sizes, strict=True)
    ]


def _batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for i in range(0, len(items), BATCH_SIZE):
        yield items[i : i + BATCH_SIZE]


WAYS: dict[str, Callable[[Task], Iterator[int]]] = {
    "bare": _bare,
    "ours": _ours,
    "folder": _folder,
    "mindspore": _mindspore,
    "tar": _tar,
    "mds": _mds,
    "webm": _webm,
}


def main(words: Sequence[str]) -> None:
    """Runs one way; see the module."""
    cv2.setNumThreads(1)
    work = WAYS[words[0]](Task(words[1:]))
    next(work)  # opens it
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    begin, cpu, num_bytes = time.monotonic(), time.process_time(), _num_bytes_read()
    num_clips = sum(work)
    seconds = time.monotonic() - begin
    result = {
        "num_clips": num_clips,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "num_bytes_read": _num_bytes_read() - num_bytes,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result), flush=True)  # noqa: T201


def _num_bytes_read() -> int:
    """Returns what this process has read so far, from the disk or the page cache."""
    line = Path("/proc/self/io").read_text().split("\n")[0]
    return int(line.removeprefix("rchar: "))


if __name__ == "__main__":
    main(sys.argv[1:])
