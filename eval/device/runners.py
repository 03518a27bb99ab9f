"""Executes exported networks on this machine, whatever kind of file they are."""

import importlib.util
from pathlib import Path
from typing import Any, Protocol

import mindspore
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

__all__ = ["MindirRunner", "OnnxRunner", "Runner", "has_onnx_runtime", "open_runner"]

Array = npt.NDArray[np.generic]


class Runner(Protocol):
    """An exported network, loaded once."""

    def __call__(self, *inputs: Array) -> list[Array]:
        """Returns the outputs of one call, in the order of the file."""


class MindirRunner:
    """Executes an .mindir file by MindSpore."""

    def __init__(self, path: Path) -> None:
        self._cell = nn.GraphCell(mindspore.load(str(path)))

    def __call__(self, *inputs: Array) -> list[Array]:
        """Returns the outputs of one call."""
        outputs = self._cell(*map(Tensor, inputs))
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        return [output.asnumpy() for output in several]


class OnnxRunner:
    """Executes an .onnx file by ONNX Runtime, on the processor.

    Attributes:
      metadata: of the file, as text.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime  # an extra: for .onnx files alone

        if not path.is_file():
            raise FileNotFoundError(f"there is no network {path}")
        self._session: Any = onnxruntime.InferenceSession(
            str(path), providers=["CPUExecutionProvider"]
        )
        self._names = [value.name for value in self._session.get_inputs()]
        self.metadata: dict[str, str] = (
            self._session.get_modelmeta().custom_metadata_map
        )

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in their order."""
        return list(self._names)

    def __call__(self, *inputs: Array) -> list[Array]:
        """Returns the outputs of one call."""
        feeds = dict(zip(self._names, inputs, strict=True))
        outputs: list[Array] = self._session.run(None, feeds)
        return outputs


def has_onnx_runtime() -> bool:
    """Returns whether .onnx files can be run here."""
    return importlib.util.find_spec("onnxruntime") is not None


def open_runner(path: Path) -> Runner:
    """Opens a file of `clipmill export`.

    Raises:
      ValueError: it is of a kind that cannot be run here.
    """
    kinds: dict[str, type[MindirRunner] | type[OnnxRunner]]
    kinds = {".mindir": MindirRunner, ".onnx": OnnxRunner}
    if path.suffix not in kinds:
        raise ValueError(f"a network to run must be one of {', '.join(kinds)}: {path}")
    return kinds[path.suffix](path)
