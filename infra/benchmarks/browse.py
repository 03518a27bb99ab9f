"""Times the pages of `clipmill browse` on versions of full size without a clip.

Publishes two made-up versions (see plan.py), some clips of which have another class,
keeps files of the shards' sizes where the shards belong, serves the second version and
requests pages one after the other, each from a new connection. `python -m
infra.benchmarks.browse [--num_clips 220847]`; the last line is JSON, in seconds.
"""

import argparse
import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.benchmarks import plan
from mindrecord_io.versions.manifests import Version

PAGES = {
    "first_filtered_page": "/?split=validation&label_id=3",
    "filtered_again": "/?split=train&label_id=5&min_frames=10",
    "search": "/?text=12",
    "changed_since": "/?since=000001&change=relabelled",
    "changed_again": "/?since=000001&split=train",
    "classes": "/classes",
    "clip_page": "/clip?id=7",
    "clip_page_again": "/clip?id=7",
    "first_frame": "/frame?id=8&index=0",
    "all_frames": "/frames?id=9",
}
"""What is requested, in this order."""


@contextlib.contextmanager
def served(version: Version, folder: Path) -> Iterator[tuple[str, int, float]]:
    """Yields a server's address, its process and the seconds until it listened."""
    words = ["browse", "--dataset", version.dataset, "--port", 0]
    words += ["--corrections", folder / "corrections.tsv"]
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if match := re.search(r"http://(\S+?)/", line):
                yield match[1], process.pid, time.perf_counter() - begin
                return
        raise RuntimeError("the server ended before it listened")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def request(address: str, path: str) -> float:
    """Returns the seconds until the whole answer is there."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: status {answer.status}")
    return time.perf_counter() - begin


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what each page took, and the most memory that the server had."""
    flags = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, num_changed in ((folder / "old", 0), (folder / "new", 1000)):
            listed = path.with_suffix(".parquet")
            plan.write_list(listed, 1, num_changed, flags.num_clips)
            version = plan.publish(listed, folder / "dataset", None)
        with (
            plan.hollow_shards(version),
            served(version, folder) as (address, pid, seconds),
        ):
            result = {"num_clips": version.manifest.num_clips, "start": seconds}
            result |= {page: request(address, url) for page, url in PAGES.items()}
            status = Path(f"/proc/{pid}/status").read_text()
            peak_kib = int(re.findall(r"VmHWM:\s+(\d+)", status)[0])
    rounded = {key: round(value, 3) for key, value in result.items()}
    print(json.dumps(rounded | {"peak_mib": peak_kib // 1024}))  # noqa: T201
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    total = sum(plan.SPLIT_SIZES.values())
    parser.add_argument("--num_clips", type=int, default=total, help="in a version")
    return parser


if __name__ == "__main__":
    sys.exit(main())
