"""A fitted model and its encoding as one ONNX graph."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from llmreg.exceptions import ExportError
from llmreg.export.graph import Graph
from llmreg.export.onnx_encoding import add_encoding
from llmreg.export.onnx_module import add_module
from llmreg.export.plan import check_model, plan_of

_DESCRIPTION = (
    "A column of the table is an input of shape (n_samples, 1): numbers and booleans "
    "as doubles, NaN where they are missing; strings and categories as text, the empty "
    "text where they are missing."
)


def to_onnx(model: Any, path: str | PathLike[str] | None = None) -> Any:
    """Turn a fitted model, with its encoding, into one ONNX graph.

    A column of the table is an input of the graph, by its name and of shape
    (n_samples, 1): numbers and booleans as doubles, with NaN where they are missing;
    strings and categories as text, with the empty text where they are missing. A
    model that was fitted on an array of numbers has one input, ``X``.

    A classifier's outputs are ``label``, of shape (n_samples,), and
    ``probabilities``, of shape (n_samples, n_classes); a regressor's is ``variable``,
    of shape (n_samples, n_targets).

    Parameters
    ----------
    model : LLMAttributionClassifier or LLMAttributionRegressor
        A fitted model.
    path : path-like or None, default=None
        Where to write the graph, if anywhere.

    Returns
    -------
    onnx.ModelProto
        The graph. It computes in double precision, and needs opset 17.

    Raises
    ------
    ExportError
        If the model is none of llmreg's, or its module, its scaler, its imputer or
        the name of a column has no counterpart in the graph.
    MissingDependencyError
        If onnx is not installed.

    Notes
    -----
    What is an error in `predict` is none here: infinite numbers, and gaps where
    `imputer` is None, become predictions that are not numbers.

    See Also
    --------
    to_sklearn : A linear model as a pipeline of scikit-learn's own parts.

    Examples
    --------
    >>> import pandas as pd
    >>> from llmreg import LLMAttributionClassifier
    >>> from llmreg.export import to_onnx
    >>> X = pd.DataFrame({"age": [61, 34, 47, 70], "sex": ["m", "f", "f", "m"]})
    >>> model = LLMAttributionClassifier({"age": 6}).fit(X, [1, 0, 0, 1])
    >>> graph = to_onnx(model).graph
    >>> [value.name for value in graph.input], [value.name for value in graph.output]
    (['age', 'sex'], ['label', 'probabilities'])
    """
    check_model(model)
    graph = Graph()
    rows = add_encoding(graph, plan_of(model), model.encoder_)
    outputs = add_module(graph, model.net_.module_, rows)
    if is_classifier(model):
        _add_classes(graph, outputs, model.classes_)
    else:
        _add_targets(graph, outputs, model.target_scaler_)
    made = graph.model(type(model).__name__, _DESCRIPTION)
    if path is not None:
        graph.onnx.save(made, path)
    return made


def _add_classes(graph: Graph, logits: str, classes: np.ndarray) -> None:
    kind, labels = _labels(classes)
    if len(classes) == 2:
        sides = [graph.add("Neg", logits), logits]
        shares = [graph.add("Sigmoid", side) for side in sides]
        probabilities = graph.add("Concat", *shares, axis=1)
        # Of the logit, as in `predict`: two small ones share a probability.
        is_second = graph.add("Greater", logits, graph.constant(0.0))
        place = graph.add("Cast", is_second, to=graph.onnx.TensorProto.INT64)
        place = graph.add("Squeeze", place, graph.constant(np.array([1])))
    else:
        probabilities = graph.add("Softmax", logits, axis=1)
        place = graph.add("ArgMax", logits, axis=1, keepdims=0)
    label = graph.add("Gather", graph.constant(labels), place, axis=0)
    graph.output("label", label, kind, None)
    graph.output("probabilities", probabilities, "DOUBLE", len(classes))


def _labels(classes: np.ndarray) -> tuple[str, np.ndarray]:
    """Give class labels as a graph can hold them, and the name of their type."""
    if classes.dtype.kind in "iu":
        return "INT64", classes.astype(np.int64)
    if classes.dtype.kind == "f":
        return "DOUBLE", classes.astype(np.float64)
    if classes.dtype.kind == "b":
        return "BOOL", classes
    if all(isinstance(label, str) for label in classes):
        return "STRING", classes.astype(object)
    raise ExportError(
        "Class labels must be text, numbers or booleans to be outputs of a graph; got "
        f"{classes.tolist()}."
    )


def _add_targets(graph: Graph, outputs: str, scaler: Any) -> None:
    outputs = graph.add("Mul", outputs, graph.constant(scaler.scale_[None]))
    outputs = graph.add("Add", outputs, graph.constant(scaler.mean_[None]))
    graph.output("variable", outputs, "DOUBLE", len(scaler.mean_))
