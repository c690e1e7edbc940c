"""A torch module as nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor, nn

from llmreg.corrected import CorrectedModel
from llmreg.exceptions import ExportError
from llmreg.export.graph import Graph


def add_module(graph: Graph, module: nn.Module, rows: str) -> str:
    """Add a module.

    Parameters
    ----------
    graph : Graph
        The graph.
    module : nn.Module
        A module of llmreg, or one of linear layers and activations in a row.
    rows : str
        Name of its input.

    Returns
    -------
    str
        Name of its output.

    Raises
    ------
    ExportError
        If a part of it is not known.
    """
    if isinstance(module, CorrectedModel):
        return _add_corrected(graph, module, rows)
    # A class of the user's may inherit a layer and compute something else.
    forward = type(module).forward
    if module._forward_hooks or module._forward_pre_hooks:
        raise _unknown(module)
    if isinstance(module, nn.Sequential) and forward is nn.Sequential.forward:
        for part in module:
            rows = add_module(graph, part, rows)
        return rows
    if isinstance(module, nn.Linear) and forward is nn.Linear.forward:
        return _add_linear(graph, module, rows)
    if type(module) not in _ACTIVATIONS:
        raise _unknown(module)
    return _ACTIVATIONS[type(module)](graph, rows)


def _add_linear(graph: Graph, layer: nn.Linear, rows: str) -> str:
    values = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
    constants = [graph.constant(_array(value)) for value in values]
    return graph.add("Gemm", rows, *constants, transB=1)


def _add_corrected(graph: Graph, module: CorrectedModel, rows: str) -> str:
    outputs = add_module(graph, module.linear, rows)
    for share, part in zip(_array(module.shares), module.corrections, strict=True):
        if share:
            correction = add_module(graph, part, rows)
            weighted = graph.add("Mul", correction, graph.constant(share))
            outputs = graph.add("Add", outputs, weighted)
    return outputs


def _add_silu(graph: Graph, rows: str) -> str:
    return graph.add("Mul", rows, graph.add("Sigmoid", rows))


def _add_gelu(graph: Graph, rows: str) -> str:
    scaled = graph.add("Mul", rows, graph.constant(np.sqrt(0.5)))
    # Runtimes have the error function in single precision only.
    single = graph.add("Cast", scaled, to=graph.onnx.TensorProto.FLOAT)
    erf = graph.add("Erf", single)
    erf = graph.add("Cast", erf, to=graph.onnx.TensorProto.DOUBLE)
    share = graph.add("Add", erf, graph.constant(1.0))
    halved = graph.add("Mul", rows, graph.constant(0.5))
    return graph.add("Mul", halved, share)


_ACTIVATIONS: dict[type[nn.Module], Callable[[Graph, str], str]] = {
    nn.ReLU: lambda graph, rows: graph.add("Relu", rows),
    nn.Tanh: lambda graph, rows: graph.add("Tanh", rows),
    nn.Sigmoid: lambda graph, rows: graph.add("Sigmoid", rows),
    nn.SiLU: _add_silu,
    nn.GELU: _add_gelu,
    # These do nothing at prediction time.
    nn.Dropout: lambda graph, rows: rows,
    nn.Identity: lambda graph, rows: rows,
}


def _array(values: Tensor) -> np.ndarray:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)


def _unknown(module: nn.Module) -> ExportError:
    return ExportError(
        f"{type(module).__name__} has no counterpart in the graph: modules of linear "
        "layers and activations in a row have. torch.onnx.export(model.net_.module_, "
        "...) exports the module alone, which takes the rows that "
        "model.encoder_.transform(X) gives."
    )
