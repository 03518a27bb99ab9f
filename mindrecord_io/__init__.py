"""The data set on disk, both ends, and all that a program which reads it imports.

    from mindrecord_io import BatchPlan, TrainView, open_split

    for frames, label in open_split("ssv2", "train", TrainView(), BatchPlan(64)):
        ...  # uint8 (64, 8, 3, 224, 224), int32 (64,)

A name is imported when it is used: neither OpenCV nor MindSpore come before that.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindrecord_io.serving.batches import Batch, BatchPlan
    from mindrecord_io.serving.block_sampling import BlockShuffle
    from mindrecord_io.serving.clip_random import ClipRandom
    from mindrecord_io.serving.clip_sampling import (
        ClassBalanced,
        EachOnce,
        Sampling,
        Weighted,
    )
    from mindrecord_io.serving.frames import FrameError
    from mindrecord_io.serving.reader import SplitReader, open_split
    from mindrecord_io.serving.reader_state import ReaderState, StateError
    from mindrecord_io.serving.views import (
        CentreView,
        CropDecision,
        ThreeCropView,
        TrainView,
        View,
        ViewDecision,
        flip_label_map,
    )
    from mindrecord_io.serving.whole_clips import read_clip
    from mindrecord_io.storage.object_store import StorageError
    from mindrecord_io.versions.manifests import DatasetError, ManifestError, Version
    from mindrecord_io.versions.opening import open_version

__all__ = [
    "Batch",
    "BatchPlan",
    "BlockShuffle",
    "CentreView",
    "ClassBalanced",
    "ClipRandom",
    "CropDecision",
    "DatasetError",
    "EachOnce",
    "FrameError",
    "ManifestError",
    "ReaderState",
    "Sampling",
    "SplitReader",
    "StateError",
    "StorageError",
    "ThreeCropView",
    "TrainView",
    "Version",
    "View",
    "ViewDecision",
    "Weighted",
    "flip_label_map",
    "open_split",
    "open_version",
    "read_clip",
]

_MODULES = {
    "serving.batches": ("Batch", "BatchPlan"),
    "serving.block_sampling": ("BlockShuffle",),
    "serving.clip_random": ("ClipRandom",),
    "serving.clip_sampling": ("ClassBalanced", "EachOnce", "Sampling", "Weighted"),
    "serving.frames": ("FrameError",),
    "serving.reader": ("SplitReader", "open_split"),
    "serving.reader_state": ("ReaderState", "StateError"),
    "serving.views": (
        *("CentreView", "CropDecision", "ThreeCropView", "TrainView", "View"),
        *("ViewDecision", "flip_label_map"),
    ),
    "serving.whole_clips": ("read_clip",),
    "storage.object_store": ("StorageError",),
    "versions.manifests": ("DatasetError", "ManifestError", "Version"),
    "versions.opening": ("open_version",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
