"""The folder of the Ascend 310 flow, as the model zoo's scripts lay it out.

FOLDER/clips.json                       what the files are of
FOLDER/frames/frames0.bin, ...          a clip's input, in the order of the table
FOLDER/label/label0.bin, ...            its label_id, int32; -1 where it has none
RESULTS/result_Files/frames0_0.bin, ... its logits, float32
RESULTS/time_Result/test_perform_static.txt     milliseconds of each call
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrecord_io import json_values
from mindrecord_io.storage import files

__all__ = ["ClipFolder", "ResultFolder"]


@dataclass(frozen=True, slots=True)
class ClipFolder:
    """The inputs and labels of a split's clips."""

    folder: Path

    def frames(self, number: int) -> Path:
        """Returns the file of a clip's input."""
        return self.folder / "frames" / f"frames{number}.bin"

    def label(self, number: int) -> Path:
        """Returns the file of a clip's label."""
        return self.folder / "label" / f"label{number}.bin"

    def begin(self, description: dict[str, Any]) -> None:
        """Makes the folders, or goes on with those of the same clips.

        Raises:
          ValueError: the folder is of other clips, or made otherwise.
        """
        if self._description.exists():
            if self.describe() != description:
                raise ValueError(
                    f"{self.folder} has the files of other clips or of another network "
                    f"(see {self._description.name}): choose another --output, or "
                    f"remove it"
                )
            return
        for path in (self.frames(0), self.label(0)):
            path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(description, indent=1) + "\n"
        files.replace_file(self._description, text.encode())

    def describe(self) -> dict[str, Any]:
        """Returns what the files are of.

        Raises:
          ValueError: there is no such folder.
        """
        if not self._description.is_file():
            raise ValueError(
                f"{self.folder} was not made by clipmill device preprocess: there is "
                f"no {self._description.name}"
            )
        text = files.read_text(self._description, ValueError)
        try:
            description: Any = json_values.parse(text)
        except ValueError as cause:
            raise ValueError(f"{self._description}: {cause}") from cause
        if not isinstance(description, dict):
            raise ValueError(f"{self._description}: must be a JSON object")
        return description

    @property
    def _description(self) -> Path:
        return self.folder / "clips.json"


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """What a network gave for each clip, and how long it took."""

    folder: Path

    def logits(self, number: int) -> Path:
        """Returns the file of a clip's logits."""
        return self.folder / "result_Files" / f"frames{number}_0.bin"

    @property
    def times(self) -> Path:
        """The file of the milliseconds."""
        return self.folder / "time_Result" / "test_perform_static.txt"

    def begin(self) -> None:
        """Makes the folders."""
        for path in (self.logits(0), self.times):
            path.parent.mkdir(parents=True, exist_ok=True)
