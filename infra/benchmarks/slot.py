"""Measures how much of its time one slot of a cluster makes shards, at a far store.

Moto, an S3 server on this machine, answers each request after a pause. Clips are drawn
and put there; then one task, in one thread as an engine runs it, makes shards of them
with one worker process: first a shard during which that starts, then all others. The
share is that of the time, from the first request to the last receipt, in which the
worker has a shard to decode or to read back. `sequential` is the same with one shard
after the other. The server and the worker share the processors.

`python -m infra.benchmarks.slot`; the last line of output is JSON.
"""

import contextlib
import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs

from infra.benchmarks import measuring
from mindrecord_io import records
from mindrecord_io.shards import sharding

__all__ = ["Options", "main", "measure", "union_seconds"]

_BUCKET = "bench"
_NUM_WRITERS = 16  # each waits for the pause before an answer
_KEYS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret"}

_SERVER = """
import logging, sys, time
from moto import server as moto
from werkzeug import serving
logging.getLogger("werkzeug").setLevel(logging.ERROR)
application = moto.DomainDispatcherApplication(moto.create_backend_app)
def delayed(environ, start_response):
    time.sleep(float(sys.argv[1]))
    return application(environ, start_response)
server = serving.make_server("127.0.0.1", 0, delayed, threaded=True,
                             request_handler=moto.MotoRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True, slots=True)
class Options:
    """One measurement.

    Attributes:
      latency: seconds before each answer.
    """

    num_clips: int = 200
    num_shards: int = 10
    num_rounds: int = 1
    num_workers: tuple[int, ...] = (1,)
    latency: float = 0.05
    workdir: Path | None = None

    def __post_init__(self) -> None:
        measuring.check_at_least_one(self, "num_clips", "num_shards", "num_rounds")
        if self.num_shards < 3:
            raise ValueError(f"num_shards must be at least 3: {self.num_shards}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    parser = measuring.parser(__doc__ or "", Options())
    parser.add_argument("--num_shards", type=int, default=Options().num_shards)
    parser.add_argument("--latency", type=float, default=Options().latency)
    return measuring.main(argv, parser, Options, measure)


def measure(options: Options, folder: Path) -> Mapping[str, object]:
    """Returns the shares of a slot's time, of each round."""
    package = measuring.draw_package(folder, folder, options.num_clips)
    os.environ["CLIPMILL_CACHE"] = str(folder / "cache")
    result: dict[str, list[float]] = {"overlapped": [], "sequential": []}
    with _serving(options.latency) as endpoint:
        os.environ.update(_KEYS, AWS_ENDPOINT_URL=endpoint, AWS_REGION="us-east-1")
        _put_clips(endpoint, package / measuring.CLIPS)
        for number in range(options.num_rounds):
            for name, shares in result.items():
                place = f"s3://{_BUCKET}/{name}-{number}"
                max_ahead = 3 if name == "overlapped" else 1
                shares.append(round(_share(package, place, options, max_ahead), 3))
    return dataclasses.asdict(options) | result


def union_seconds(intervals: Sequence[tuple[float, float]]) -> float:
    """Returns the seconds that lie in at least one of some intervals."""
    total, end = 0.0, float("-inf")
    for begin, until in sorted(intervals):
        total += max(0.0, until - max(begin, end))
        end = max(end, until)
    return total


def _share(package: Path, place: str, options: Options, max_ahead: int) -> float:
    from pipelines import quarantine
    from pipelines.building import build_transforms
    from pipelines.planning import clip_listing, clip_references, matching
    from pipelines.sources import annotation_readers

    intervals: list[tuple[float, float]] = []
    lock = threading.Lock()

    class Timed(build_transforms._BuildShard):
        def _answer(self, shard: records.ShardPlan, **fields: object) -> dict[str, Any]:
            begin = time.monotonic()
            answer = super()._answer(shard, **fields)
            with lock:
                intervals.append((begin, time.monotonic()))
            return answer

    annotations = annotation_readers.read(package / "annotations")
    listing = matching.match_clips(annotations, f"s3://{_BUCKET}/clips")
    num_shards = sharding.split_num_shards(listing.num_clips, options.num_shards)
    path = package / "unfinished"
    by_shard = clip_listing.by_shard(listing, num_shards)
    shards = clip_references.write(path, by_shard, num_shards)
    receipts = f"{place}/versions/.incomplete-1/receipts"
    clip_references.hand_out(path, receipts)
    job = build_transforms.ShardJob(
        *(place, receipts, records.DecodeSettings(), quarantine.DecodeLimits()),
        salt=sharding.DEFAULT_SALT,
        num_workers=1,
    )
    maker = Timed(job)
    build_transforms._MAX_AHEAD = max_ahead
    maker.setup()
    try:
        maker.process(shards[0])
        maker.finish_bundle()
        intervals.clear()
        begin = time.monotonic()
        for shard in shards[1:]:
            maker.process(shard)
        maker.finish_bundle()
        return union_seconds(intervals) / (time.monotonic() - begin)
    finally:
        maker.teardown()


def _put_clips(endpoint: str, folder: Path) -> None:
    store = fs.S3FileSystem(
        access_key=_KEYS["AWS_ACCESS_KEY_ID"],
        secret_key=_KEYS["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=endpoint.removeprefix("http://"),
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir(_BUCKET)

    def put(path: Path) -> None:
        with store.open_output_stream(f"{_BUCKET}/clips/{path.name}") as file:
            file.write(path.read_bytes())

    with futures.ThreadPoolExecutor(_NUM_WRITERS) as executor:
        list(executor.map(put, folder.iterdir()))


@contextlib.contextmanager
def _serving(latency: float) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(latency)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
