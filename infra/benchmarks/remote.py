"""Counts what training from an object store fetches, by cache, ranks and latency.

Moto, an S3 server on this machine, sends a built data set after a pause for each
request; the split is read as training reads it, one process a rank, with caches of
several shares of it. Printed by case: bytes fetched of an epoch over the split's, over
all ranks, requests a clip, and clips a second over those of the same reader on this
machine's disk. The server takes part of the same processors: figures of speed are lower
bounds. The last line of output is one JSON object.
"""

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pyarrow import fs

from infra.benchmarks import measuring
from mindrecord_io.serving import clip_index
from mindrecord_io.versions import opening

__all__ = ["Case", "Options", "main"]

logger = logging.getLogger(__name__)

_BUCKET = "bench"
_KEYS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret"}

_SERVER = """
import sys, time
from moto import server as moto
from werkzeug import serving
application = moto.DomainDispatcherApplication(moto.create_backend_app)
def delayed(environ, start_response):
    time.sleep(float(sys.argv[1]) if environ["REQUEST_METHOD"] == "GET" else 0)
    return application(environ, start_response)
server = serving.make_server("127.0.0.1", 0, delayed, threaded=True,
                             request_handler=moto.MotoRequestHandler)
print(server.server_port, flush=True)
server.log = lambda *a: None
import logging; logging.getLogger("werkzeug").setLevel(logging.ERROR)
server.serve_forever()
"""

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
    began = time.monotonic()
    num_clips = sum(len(labels) for _, labels in steps)
    seconds = time.monotonic() - began
    after = (reads.num_bytes, reads.num_requests) if reads else (0, 0)
    result.append([num_clips, seconds, after[0] - before[0], after[1] - before[1]])
print(json.dumps(result))
"""


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark.

    Attributes:
      caches: shares of the split that each host's cache holds.
      latencies: seconds before each answer.
      workdir: folder for clips and the data set; None means a temporary one.
    """

    num_clips: int = 200
    num_shards: int = 40
    batch_size: int = 16
    num_epochs: int = 2
    caches: tuple[float, ...] = (0.0, 0.1, 0.5, 1.2)
    num_ranks: tuple[int, ...] = (1, 2, 8)
    latencies: tuple[float, ...] = (0.0, 0.03)
    workdir: Path | None = None

    def __post_init__(self) -> None:
        names = ("num_clips", "num_shards", "batch_size", "num_epochs")
        measuring.check_at_least_one(self, *names)


@dataclass(frozen=True, slots=True)
class Case:
    """The last epoch, and the first, of all ranks together.

    Attributes:
      over_frames: bytes over those of all frames, without the padding of small shards.
    """

    latency: float
    cache: float
    num_ranks: int
    first_over_split: float
    over_split: float
    over_frames: float
    requests_per_clip: float
    clips_per_second: float


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
    for name in ("num_clips", "num_shards", "batch_size", "num_epochs"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    for name, kind in (("caches", float), ("num_ranks", int), ("latencies", float)):
        values = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=kind, nargs="+", default=values)
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
        with _serving(dataset, latency) as environment:
            for cache in options.caches:
                for num_ranks in options.num_ranks:
                    own = folder / f"cache-{latency}-{cache}-{num_ranks}"
                    settings = {
                        "CLIPMILL_CACHE": str(own),
                        "CLIPMILL_CACHE_GIB": repr(max(1.0, cache * split) / (1 << 30)),
                    }
                    case = _read(
                        options,
                        f"s3://{_BUCKET}/set",
                        num_ranks,
                        {**environment, **settings},
                        sizes,
                        (latency, cache),
                    )
                    cases.append(asdict(case))
                    logger.info("%s", case)
    return {"split_bytes": split, "local": asdict(local), "cases": cases}


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
        first_over_split=round(sum(rank[2] for rank in first) / sizes[0], 4),
        over_split=round(sum(rank[2] for rank in last) / sizes[0], 4),
        over_frames=round(sum(rank[2] for rank in last) / sizes[1], 4),
        requests_per_clip=round(sum(rank[3] for rank in last) / num_clips, 3),
        clips_per_second=round(num_clips / max(rank[1] for rank in last), 2),
    )


@contextlib.contextmanager
def _serving(dataset: Path, latency: float) -> Iterator[dict[str, str]]:
    """Sends a data set by moto; yields the environment to find it by."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(latency)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None  # it is a pipe
        port = int(process.stdout.readline())
        store = fs.S3FileSystem(
            access_key=_KEYS["AWS_ACCESS_KEY_ID"],
            secret_key=_KEYS["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=f"127.0.0.1:{port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        store.create_dir(_BUCKET)
        for path in sorted(p for p in dataset.rglob("*") if p.is_file()):
            key = f"{_BUCKET}/set/{path.relative_to(dataset).as_posix()}"
            with store.open_output_stream(key) as file:
                file.write(path.read_bytes())
        yield {
            **_KEYS,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
