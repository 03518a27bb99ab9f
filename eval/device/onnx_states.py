"""Makes the states of an exported online network inputs and outputs of its file."""

from pathlib import Path
from typing import Any

__all__ = ["open_states"]


def open_states(path: Path, names: list[str]) -> None:
    """Turns the parameters `names` of an .onnx file into inputs state_0, state_1, ...

    Each is the first of what a Concat joins; the second is a Slice of the shift's own
    input without its first channels. Those channels become output next_state_0, ...

    Raises:
      ValueError: a parameter is not used so.
    """
    import onnx  # an extra: for this alone
    from onnx import helper

    model = onnx.load(str(path))
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    for number, name in enumerate(names):
        (state,) = (entry for entry in graph.initializer if entry.name == name)
        (concat,) = (node for node in graph.node if name in node.input)
        rest = makers[concat.input[1]] if len(concat.input) == 2 else None
        if concat.input[0] != name or rest is None or rest.op_type != "Slice":
            raise ValueError(f"{path}: {name} is not the state of a shift")
        shape = list(state.dims)
        opened, following = f"state_{number}", f"next_state_{number}"
        concat.input[0] = opened
        graph.initializer.remove(state)
        floats = onnx.TensorProto.FLOAT
        graph.input.append(helper.make_tensor_value_info(opened, floats, shape))
        graph.output.append(helper.make_tensor_value_info(following, floats, shape))
        _add_slice(graph, rest.input[0], shape[1], following)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _add_slice(graph: Any, source: str, num_channels: int, output: str) -> None:
    """Adds a node that gives the first channels of `source`."""
    from onnx import TensorProto, helper

    bounds = {"begin": 0, "end": num_channels, "axis": 1}
    for name, value in bounds.items():
        tensor = helper.make_tensor(f"{output}_{name}", TensorProto.INT64, [1], [value])
        graph.initializer.append(tensor)
    inputs = [source, *(f"{output}_{name}" for name in bounds)]
    graph.node.append(helper.make_node("Slice", inputs, [output], name=output))
