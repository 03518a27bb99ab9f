"""Profiles training steps with MindSpore's profiler."""

import contextlib
import csv
import logging
from collections.abc import Iterator
from pathlib import Path

from mindspore import profiler

__all__ = ["profiled", "slowest_operators"]

logger = logging.getLogger(__name__)

_ACTIVITIES = {
    "CPU": [profiler.ProfilerActivity.CPU],
    "GPU": [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.GPU],
    "Ascend": [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.NPU],
}
_OPERATOR_FILES = {
    "CPU": "cpu_op_type_info_*.csv",
    "GPU": "gpu_op_type_info_*.csv",
    "Ascend": "op_statistic*.csv",
}
_NUM_LINES = 10


@contextlib.contextmanager
def profiled(
    folder: Path, device_target: str = "CPU", *, place: Path | str | None = None
) -> Iterator[None]:
    """Profiles what runs inside the block, then logs the slowest operators.

    Args:
      folder: for the profiler's files; trace_view.json is for Chrome's or Perfetto's
        trace viewer.
      device_target: whose own activities are profiled, besides the processor's.
      place: where users find the files; None: in `folder`.
    """
    handler = profiler.tensorboard_trace_handler(str(folder))
    with profiler.profile(
        activities=_ACTIVITIES[device_target], on_trace_ready=handler
    ):
        yield
    for line in slowest_operators(folder, device_target):
        logger.info("%s", line)
    logger.info("the whole profile is in %s", place or folder)


def slowest_operators(folder: Path, device_target: str) -> list[str]:
    """Returns a line for each of the ten kinds of operator that took most time."""
    rows = [
        row
        for path in folder.rglob(_OPERATOR_FILES[device_target])
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    ]
    times: dict[str, float] = {}
    for row in rows:  # "OP Type", "Total Time(us)" or "op_type", "total_compute_time"
        values = {key.lower().replace(" ", "_"): value for key, value in row.items()}
        name = values["op_type"]
        spent = next(v for key, v in values.items() if key.startswith("total"))
        times[name] = times.get(name, 0.0) + float(spent)
    total = sum(times.values())
    slowest = sorted(times, key=lambda name: -times[name])[:_NUM_LINES]
    return [f"{times[name] / total:6.1%}  {name}" for name in slowest]
