"""The clips that a score is of: those stored of a split, and why others are not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mindrecord_io import records
from mindrecord_io.versions.manifests import Version

__all__ = ["SplitCoverage", "frequent_label_ids", "read"]

_COLUMNS = ("clip_id", "status", "reason")
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class SplitCoverage:
    """What is stored of a split's annotated clips.

    Attributes:
      num_annotated: clips that the annotations have in the split.
      left_out: reason by id of those that are not stored.
    """

    num_annotated: int
    left_out: Mapping[str, str]

    @property
    def reasons(self) -> dict[str, int]:
        """How many clips are not stored, by reason."""
        return dict(Counter(self.left_out.values()).most_common())

    def describe(self) -> str:
        """Returns the counts, the reasons and some ids as text."""
        num_stored = self.num_annotated - len(self.left_out)
        text = f"{num_stored} of {self.num_annotated} annotated clips are stored"
        if not self.left_out:
            return text
        reasons = ", ".join(f"{name} {num}" for name, num in self.reasons.items())
        ids = ", ".join(list(self.left_out)[:_MAX_NAMED])
        more = ", ..." if len(self.left_out) > _MAX_NAMED else ""
        return f"{text}; left out: {reasons} ({ids}{more})"


def read(version: Version, split: str) -> SplitCoverage:
    """Reads which of a split's clips are stored.

    Raises:
      ManifestError, TableError: the table of clips cannot be read.
    """
    num_annotated, left_out = 0, {}
    for batch in version.clip_batches(_COLUMNS, split):
        for row in batch.to_pylist():
            if row["status"] == records.UNLISTED:  # a file that nobody annotated
                continue
            num_annotated += 1
            if row["status"] != records.STORED:
                left_out[row["clip_id"]] = row["reason"]
    return SplitCoverage(num_annotated, left_out)


def frequent_label_ids(version: Version, num_labels: int) -> list[int]:
    """Returns the most frequent label_ids of the stored training clips, falling.

    Raises:
      ManifestError, TableError: the table of clips cannot be read.
    """
    counts: Counter[int] = Counter()
    for batch in version.clip_batches(("label_id", "status"), "train"):
        for row in batch.to_pylist():
            if row["status"] == records.STORED:
                counts[row["label_id"]] += 1
    every = range(version.manifest.num_classes)
    return sorted(every, key=lambda label_id: (-counts[label_id], label_id))[
        :num_labels
    ]
