"""A graph of ONNX as it is built: nodes, constants, inputs and outputs, known by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstmcore._version import __version__

__all__ = ["INT32", "INT64", "Graph"]

OPSET, IR_VERSION = 18, 8  # of ONNX 1.13 (2022); onnxruntime reads both since 1.14
MOST_BYTES = 2**31 - 2**20  # of all constants: a file has at most 2 GiB, with the nodes
INT32, INT64 = 6, 7  # of onnx.TensorProto


class Graph:
    """Nodes, constants, inputs and outputs of a graph, in the order in which they are added."""

    def __init__(self, where: str) -> None:
        """`where` is the file that it is for, for messages."""
        self.where = where
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.names: set[str] = set()  # of nodes and constants
        self.bytes = 0  # of the constants

    def input(self, name: str, dtype: str, *axes: str | int) -> str:
        """Add an input; an axis of any size has a name."""
        from onnx import helper

        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, axes))
        return name

    def output(self, name: str, value: str, *axes: str | int) -> None:
        """Make a value an output, of float32."""
        from onnx import TensorProto, helper

        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}/Identity"))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, axes))

    def constant(self, name: str, array: np.ndarray | np.generic) -> str:
        """Add a constant, and return its name; raise ValueError if it is too large for a file."""
        self.bytes += array.nbytes
        if self.bytes > MOST_BYTES:
            raise ValueError(
                f"{self.where}: the weights have {self.bytes:,} bytes and more, but a file of ONNX "
                f"holds at most {MOST_BYTES:,}"
            )
        name = self._unique(name)
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def integers(self, *values: int) -> str:
        """Return a constant vector of integers, which nodes take as axes, shapes and places."""
        name = "/".join(map(str, ("integers", *values)))
        self.constants[name] = np.array(values, np.int64)
        return name

    def node(self, op: str, name: str, *inputs: str, outputs: Sequence = (), **attributes) -> str:
        """Add a node and return its last output; `outputs` are their names, "" for one not used.

        Names of values contain a "/", which those of layers, inputs and outputs do not.
        """
        from onnx import helper

        name = self._unique(name)
        outputs = [output and f"{name}/{output}" for output in outputs or (op,)]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=name, **attributes))
        return outputs[-1]

    def model(self) -> Any:
        """Return the graph as a checked ModelProto."""
        from onnx import checker, helper, numpy_helper

        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "lstmcore", self.inputs, self.outputs, constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="lstmcore",
            producer_version=__version__,
        )
        checker.check_model(model, full_check=True)
        return model

    def _unique(self, name: str) -> str:
        unique, count = name, 1
        while unique in self.names:
            unique, count = f"{name}_{count}", count + 1
        self.names.add(unique)
        return unique
