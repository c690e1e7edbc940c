"""A graph of ONNX, node by node."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmreg.exceptions import MissingDependencyError

# Old enough for runtimes of 2022, new enough for everything that is used.
OPSETS = {"": 17, "ai.onnx.ml": 3}
_IR_VERSION = 8


def import_onnx() -> Any:
    """Import onnx.

    Returns
    -------
    module
        The package.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        import onnx
    except ImportError as e:
        raise MissingDependencyError(
            "to_onnx needs the package onnx, which is not installed. Install it with: "
            'pip install "llmreg[onnx]".'
        ) from e
    return onnx


class Graph:
    """Nodes, constants, inputs and outputs on their way to a model.

    Everything is in double precision, as the models are: numbers far from zero, such
    as dates in seconds, lose what sets them apart in single precision.

    Examples
    --------
    >>> from llmreg.export.graph import Graph
    >>> graph = Graph()
    >>> graph.output("y", graph.add("Abs", graph.input("x", "DOUBLE", 1)), "DOUBLE", 1)
    >>> [node.op_type for node in graph.model("absolute").graph.node]
    ['Abs', 'Identity']
    """

    def __init__(self) -> None:
        self.onnx = import_onnx()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def input(self, name: str, kind: str, width: int) -> str:
        """Declare an input of shape (n_samples, width); returns its name."""
        self.inputs.append(self._declare(name, kind, ["n_samples", width]))
        return name

    def output(self, name: str, value: str, kind: str, width: int | None) -> None:
        """Declare a value to be an output, of one axis where it has no width."""
        shape = ["n_samples"] if width is None else ["n_samples", width]
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name]))
        self.outputs.append(self._declare(name, kind, shape))

    def add(self, operator: str, *values: str, **attributes: Any) -> str:
        """Add a node; returns the name of what it computes."""
        # Columns may have any name, but hardly one of these.
        name = f"llmreg/{len(self.nodes)}/{operator}"
        make = self.onnx.helper.make_node
        self.nodes.append(make(operator, list(values), [name], **attributes))
        return name

    def constant(self, values: Any) -> str:
        """Add a constant; returns its name."""
        name = f"llmreg/constant/{len(self.constants)}"
        array = np.ascontiguousarray(values).reshape(np.shape(values))
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def model(self, name: str, description: str = "") -> Any:
        """Make the model, an onnx.ModelProto, and check it."""
        from llmreg import __version__

        helper = self.onnx.helper
        graph = helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, self.constants
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(*opset) for opset in OPSETS.items()],
            ir_version=_IR_VERSION,
            producer_name="llmreg",
            producer_version=__version__,
            doc_string=description,
        )
        self.onnx.checker.check_model(model)
        return model

    def _declare(self, name: str, kind: str, shape: list[Any]) -> Any:
        element = getattr(self.onnx.TensorProto, kind)
        return self.onnx.helper.make_tensor_value_info(name, element, shape)
