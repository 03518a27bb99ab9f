"""Files of annotations made by hand, and what is read in them."""

import pytest

from pipelines.sources import annotation_readers
from pipelines.sources.annotations import AnnotationError
from pipelines.sources.choices import Choices


def written(path, text):
    """Writes a file where there is no folder yet; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def touched(folder, *names):
    """Writes files that are not empty below a folder."""
    for name in names:
        written(folder / name, "x")


def read(path, **choices):
    """Reads annotations with choices of how."""
    return annotation_readers.read(path, Choices(**choices))


def summary(annotations):
    """Returns (id, split, label_id, path) of every clip."""
    paths = annotations.paths or [""] * len(annotations.clips)
    return [
        (clip.clip_id, clip.split, clip.label_id, path)
        for clip, path in zip(annotations.clips, paths, strict=True)
    ]


def refusal(path):
    """Returns why annotations are refused."""
    with pytest.raises(AnnotationError) as caught:
        annotation_readers.read(path)
    return str(caught.value)
