"""Prepares a process before MindSpore is imported in it."""

import logging
import os
import sys

from mindrecord_io.commands import log_lines, progress_bar

__all__ = ["prepare_mindspore"]


logger = logging.getLogger(__name__)


def prepare_mindspore() -> None:
    """Sets the environment that MindSpore's libraries read when they are loaded.

    Call it in `main`, before the first import that leads to MindSpore.
    """
    if "mindspore" in sys.modules and "ONEDNN_MAX_CPU_ISA" not in os.environ:
        raise RuntimeError("MindSpore was imported before prepare_mindspore()")
    if "mindspore" not in sys.modules:
        logger.info(
            "loading MindSpore, which takes some seconds", extra=log_lines.PER_SHARD
        )
        progress_bar.phase("loading MindSpore")
    # On processors with AVX-512 oneDNN falls back to a reference convolution that is
    # 20 to 50 times slower than the one it has for AVX2.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    # How long msrun's scheduler waits for a rank that gives no sign of life: 30 s by
    # default, and as long again until the job has ended.
    os.environ.setdefault("MS_NODE_TIMEOUT", "15")
    os.environ.setdefault("GLOG_v", "3")  # errors; warnings are about its own ways
