"""Says how much room the shards of a build need, before anything is decoded."""

import logging
import shutil
from pathlib import Path

import numpy as np

from mindrecord_io.commands import quantities
from mindrecord_io.records import DecodeSettings
from pipelines.planning.clip_listing import ClipListing
from pipelines.publishing.data_sets import DataSet

__all__ = ["log_needed_space", "num_shard_bytes"]

logger = logging.getLogger(__name__)

_BYTES_PER_SOURCE_BYTE = 12  # JPEGs of quality 90 against VP9: infra/RESULTS.md

# Bytes of a drawn clip's JPEGs over those of quality 90, at qualities between which
# they grow about evenly (measured, OpenCV 4.11).
_QUALITIES = (1, 10, 50, 75, 85, 90, 95, 98, 100)
_SIZES = (0.13, 0.17, 0.42, 0.61, 0.80, 1.0, 1.42, 2.01, 3.15)


def num_shard_bytes(num_source_bytes: int, jpeg_quality: int) -> int:
    """Returns about how many bytes the JPEGs of clips take, at their full size.

    Args:
      num_source_bytes: of the clips' files.
      jpeg_quality: 1 to 100.
    """
    size = float(np.interp(jpeg_quality, _QUALITIES, _SIZES))
    return round(_BYTES_PER_SOURCE_BYTE * num_source_bytes * size)


def log_needed_space(
    listing: ClipListing, settings: DecodeSettings, data_set: DataSet
) -> None:
    """Logs how much room the shards need, and how much is free; warns if less is.

    What is free in an object store is not known. How much smaller frames become by
    --short_side is not known before they are decoded.
    """
    if not listing.num_source_bytes:
        return
    needed = num_shard_bytes(listing.num_source_bytes, settings.jpeg_quality)
    text = (
        f"shards of {quantities.size(listing.num_source_bytes)} of clips need about "
        f"{quantities.size(needed)}"
    )
    advice = ", or reduce frames by --short_side"
    if settings.short_side_px:
        advice = ""
        text += f", less where frames are reduced to {settings.short_side_px} pixels"
    if listing.num_folders:
        text += f", and {listing.num_folders} folders of frames as much as they have"
    if not isinstance(data_set.location, Path):
        logger.info("%s, in %s", text, data_set.location)
        return
    folder = data_set.location.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text += f"; {quantities.size(free)} are free in {folder}"
    if needed <= free:
        logger.info("%s", text)
    else:
        logger.warning("%s: make room%s", text, advice)
