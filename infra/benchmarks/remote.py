"""Counts what training from an object store fetches, by cache, ranks and latency.

A small server on this machine (static_store.py) sends a built data set after a pause
for each request; the split is read as training reads it, one process a rank, with
caches of several shares of it. Printed by case: bytes fetched of an epoch over the
split's, over all ranks, requests a clip, clips a second, and
the processor time of a clip, the reader's and the server's. They share the processors:
figures of speed are lower bounds.
Peers (remote_peers.py) are read by one rank, without decoding, and
counted by the server; their libraries are where --peer_python has them, and what is not
installed is left out and named. The last line of output is one JSON object.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from infra.benchmarks import measuring, remote_peers
from mindrecord_io.serving import clip_index
from mindrecord_io.versions import opening

__all__ = ["Case", "Options", "Served", "main"]

logger = logging.getLogger(__name__)

_BUCKET = "bench"
_URI = f"s3://{_BUCKET}"
_COUNTS = ("num_clips", "num_shards", "batch_size", "num_epochs")
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "an-id",
    "AWS_SECRET_ACCESS_KEY": "a-secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_READER = """
import json, sys, time
from mindrecord_io import BatchPlan, TrainView, open_split, open_version
uri, batch, rank, ranks, epochs = sys.argv[1], *map(int, sys.argv[2:])
version = open_version(uri)
plan = BatchPlan(batch, seed=1, rank=rank, num_ranks=ranks)
steps = open_split(version, "train", TrainView(), plan)
reads = getattr(getattr(version, "cache", None), "reads", None)
result = []
for _ in range(epochs):
    before = (reads.num_bytes, reads.num_requests) if reads else (0, 0)
    began, cpu_began = time.monotonic(), time.process_time()
    num_clips = sum(len(labels) for _, labels in steps)
    seconds = time.monotonic() - began
    cpu_seconds = time.process_time() - cpu_began
    after = (reads.num_bytes, reads.num_requests) if reads else (0, 0)
    counts = after[0] - before[0], after[1] - before[1]
    result.append([num_clips, seconds, *counts, cpu_seconds])
print(json.dumps(result))
"""


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark.

    Attributes:
      caches: shares of the split that each host's cache holds.
      latencies: seconds before each answer.
      num_in_flight: requests of each rank at one moment.
      peer_python: the interpreter that has the other libraries beside clipmill's.
      workdir: folder for clips and the data set; None means a temporary one.
    """

    num_clips: int = 200
    num_shards: int = 40
    batch_size: int = 16
    num_epochs: int = 2
    caches: tuple[float, ...] = (0.0, 0.1, 0.5, 1.2)
    num_ranks: tuple[int, ...] = (1, 2, 8)
    latencies: tuple[float, ...] = (0.0, 0.03)
    num_in_flight: int = 64
    peer_python: str = sys.executable
    workdir: Path | None = None

    def __post_init__(self) -> None:
        measuring.check_at_least_one(self, *_COUNTS, "num_in_flight")


@dataclass(frozen=True, slots=True)
class Case:
    """The last epoch, and the first, of all ranks together.

    Attributes:
      over_frames: bytes over those of all frames, without the padding of small shards.
      reader_ms, server_ms: processor time for each clip; the server's of all epochs.
    """

    latency: float
    cache: float
    num_ranks: int
    num_clips: int
    first_over_split: float
    over_split: float
    over_frames: float
    requests_per_clip: float
    clips_per_second: float
    reader_ms: float
    server_ms: float = 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    return measuring.main(argv, _parser(), Options, _measure)


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(
        description="Counts what training from an object store fetches.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    for name in (*_COUNTS, "num_in_flight"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    for name, kind in (("caches", float), ("num_ranks", int), ("latencies", float)):
        values = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=kind, nargs="+", default=values)
    python = defaults.peer_python
    parser.add_argument("--peer_python", default=python, metavar="FILE")
    parser.add_argument("--workdir", type=Path, metavar="DIR")
    return parser


def _measure(options: Options, folder: Path) -> dict[str, object]:
    package = measuring.draw_package(
        folder, options.workdir or folder, options.num_clips
    )
    dataset = folder / "dataset"
    measuring.build(package, dataset, num_shards=options.num_shards)
    version = opening.open_version(dataset)
    shards = [s for s in version.manifest.shards if s.split == "train"]
    split = sum(s.mindrecord.num_bytes for s in shards if s.mindrecord)
    index = clip_index.read_clip_index(version, "train")
    sizes = split, int(index.clip_num_bytes().sum())
    local = _read(options, str(dataset), 1, {}, sizes, (0.0, 0.0))
    cases = []
    for latency in options.latencies:
        for cache in options.caches:
            for num_ranks in options.num_ranks:
                caches = folder / f"cache-{latency}-{cache}-{num_ranks}"
                settings = {
                    "CLIPMILL_CACHE": str(caches),
                    "CLIPMILL_CACHE_GIB": repr(max(1.0, cache * split) / (1 << 30)),
                    "CLIPMILL_STORE_REQUESTS": str(options.num_in_flight),
                }
                with Served(dataset, latency) as served:
                    settings |= served.environment
                    setting = latency, cache
                    case = _read(options, _URI, num_ranks, settings, sizes, setting)
                    server_ms = 1000 * served.cpu_seconds()
                server_ms /= options.num_epochs * case.num_clips
                case = replace(case, server_ms=round(server_ms, 3))
                cases.append(asdict(case))
                logger.info("%s", case)
    result = {"split_bytes": split, "local": asdict(local), "cases": cases}
    return {**result, **_peers(options, folder, dataset, sizes[1])}


def _peers(
    options: Options, folder: Path, dataset: Path, num_bytes: int
) -> dict[str, object]:
    """Returns what others fetch, with caches of a tenth of the split and of more."""
    missing = [way for way in remote_peers.WAYS if not _is_installed(options, way)]
    cases = []
    for way in (way for way in remote_peers.WAYS if way not in missing):
        store = folder / f"store-{way}"
        (store / "split").parent.mkdir()
        num_shards = str(options.num_shards)
        words = ["store", way, str(dataset), str(store / "split"), num_shards]
        if _peer(options, words).wait():
            raise RuntimeError(f"remote_peers.py {' '.join(words)} failed")
        for share in (0.1, 1.2) if remote_peers.WAYS[way] == "streaming" else (0.0,):
            cache, limit = folder / f"cache-{way}-{share}", int(share * num_bytes)
            words = ["read", way, f"{_URI}/split", str(cache), str(limit)]
            with Served(store, options.latencies[0]) as served:
                words.append(str(options.num_epochs))
                case = _count(_peer(options, words, served.environment), served)
            cases.append({"way": way, "cache": share, **case})
            cases[-1]["over_frames"] = round(case["num_bytes"] / num_bytes, 4)
            logger.info("%s", cases[-1])
    return {"not_installed": missing, "peers": cases}


def _peer(
    options: Options, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    endpoint = (environment or {}).get("AWS_ENDPOINT_URL", "")
    return subprocess.Popen(
        [options.peer_python, str(Path(remote_peers.__file__)), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            **(environment or {}),
            "S3_ENDPOINT_URL": endpoint,
            "PYTHONPATH": str(measuring.REPOSITORY),
        },
    )


def _count(process: subprocess.Popen[str], served: "Served") -> dict[str, float]:
    """Returns the requests and bytes of the last epoch that a peer reads."""
    assert process.stdin is not None  # they are pipes
    assert process.stdout is not None
    counts = [served.used()]
    num_clips = 0
    for line in process.stdout:
        if line.startswith("clips "):
            num_clips = int(line.split()[1])
            counts.append(served.used())
            process.stdin.write("\n")
            process.stdin.flush()
    if process.wait() or not num_clips:
        raise RuntimeError(f"{process.args!r} failed")
    before, after = counts[-2:]
    num_requests = after["num_requests"] - before["num_requests"]
    return {
        "requests_per_clip": round(num_requests / num_clips, 3),
        "num_bytes": after["num_bytes"] - before["num_bytes"],
        "first_num_bytes": counts[1]["num_bytes"],
    }


def _is_installed(options: Options, way: str) -> bool:
    program = f"import {remote_peers.WAYS[way]}"
    done = subprocess.run(
        [options.peer_python, "-c", program], check=False, capture_output=True
    )
    return done.returncode == 0


def _read(
    options: Options,
    uri: str,
    num_ranks: int,
    environment: Mapping[str, str],
    sizes: tuple[int, int],
    setting: tuple[float, float],
) -> Case:

    def numbers(rank: int) -> tuple[int, ...]:
        return options.batch_size, rank, num_ranks, options.num_epochs

    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _READER, uri, *map(str, numbers(rank))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **environment, "PYTHONPATH": str(measuring.REPOSITORY)},
        )
        for rank in range(num_ranks)
    ]
    outputs = [process.communicate()[0] for process in processes]
    epochs = list(zip(*(json.loads(text) for text in outputs), strict=True))
    first, last = epochs[0], epochs[-1]
    num_clips = sum(rank[0] for rank in last)
    return Case(
        latency=setting[0],
        cache=setting[1],
        num_ranks=num_ranks,
        num_clips=num_clips,
        first_over_split=round(sum(rank[2] for rank in first) / sizes[0], 4),
        over_split=round(sum(rank[2] for rank in last) / sizes[0], 4),
        over_frames=round(sum(rank[2] for rank in last) / sizes[1], 4),
        requests_per_clip=round(sum(rank[3] for rank in last) / num_clips, 3),
        clips_per_second=round(num_clips / max(rank[1] for rank in last), 2),
        reader_ms=round(1000 * sum(rank[4] for rank in last) / num_clips, 3),
    )


class Served:
    """A folder that static_store.py serves while the block runs.

    Attributes:
      environment: to find it by, as s3://bench.
    """

    def __init__(self, folder: Path, latency: float) -> None:
        program = Path(__file__).with_name("static_store.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program), str(folder), _BUCKET, str(latency)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        endpoint = f"http://127.0.0.1:{self._line()}"
        self.environment = {**_ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}
        self._began = self.used()["cpu_seconds"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def cpu_seconds(self) -> float:
        """Returns the processor time of all answers so far."""
        return self.used()["cpu_seconds"] - self._began

    def used(self) -> dict[str, float]:
        """Returns the requests, bytes and processor time so far."""
        assert self._process.stdin is not None  # it is a pipe
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        used: dict[str, float] = json.loads(self._line())
        return used

    def _line(self) -> str:
        assert self._process.stdout is not None  # it is a pipe
        return self._process.stdout.readline().strip()


if __name__ == "__main__":
    sys.exit(main())
