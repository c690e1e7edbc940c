"""A fitted model and its encoding as one ONNX graph."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from torch import nn

import llmreg
from llmreg._utils import import_optional
from llmreg._utils._files import write_bytes
from llmreg.exceptions import ExportError
from llmreg.export._sklearn import (
    array_of,
    check_exportable,
    fills_of,
    is_level,
    no_counterpart,
    spellings,
)
from llmreg.nn._additive import AdditiveModel
from llmreg.nn._factory import CorrectedModel, linear_part
from llmreg.preprocessing._basis import CODE_WIDTH
from llmreg.preprocessing._scaler import BoundedScaler

# Old enough for runtimes of 2022, new enough for everything that is used.
OPSETS = {"": 17, "ai.onnx.ml": 3}
_IR_VERSION = 8


class Graph:
    """Nodes, constants, inputs and outputs on their way to a model.

    All in double precision: dates in seconds lose what sets them apart in single.
    """

    def __init__(self) -> None:
        self.onnx = import_optional("onnx", "llmreg[onnx]")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def declare(self, name: str, kind: Any, *widths: int) -> Any:
        """Describe an input or output of a dtype and shape (n_samples, *widths)."""
        helper = self.onnx.helper
        element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return helper.make_tensor_value_info(name, element, ["n_samples", *widths])

    def output(self, name: str, value: str, kind: Any, *widths: int) -> None:
        """Make a value an output."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name]))
        self.outputs.append(self.declare(name, kind, *widths))

    def add(self, operator: str, *values: Any, **attributes: Any) -> str:
        """Add a node of named values and constants; returns the name of its result."""
        # Columns may have any name, but hardly one of these.
        name = f"llmreg/{len(self.nodes)}/{operator}"
        names = [v if isinstance(v, str) else self._constant(v) for v in values]
        make = self.onnx.helper.make_node
        self.nodes.append(make(operator, names, [name], **attributes))
        return name

    def _constant(self, values: Any) -> str:
        name = f"llmreg/constant/{len(self.constants)}"
        array = np.array(values, order="C")
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name


#: Names that the outputs have, and columns may not.
OUTPUTS = ("label", "probabilities", "variable")
#: Name of the one input of a model that was fitted on an array of numbers.
MATRIX = "X"


def add_encoding(graph: Graph, model: Any) -> str:
    """Add inputs and their encoding, of shape (n_samples, n_columns)."""
    encoder = model.encoder_
    numbers, texts = _add_inputs(graph, model)
    parts = [] if numbers is None else [_add_numbers(graph, numbers, encoder)]
    opened = zip(texts, encoder._levels, encoder.gap_names, strict=True)
    parts += [_add_levels(graph, *column) for column in opened]
    rows = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    # The graph has numbers first and levels then, each kind in the encoder's order.
    order = np.argsort(np.argsort(is_level(encoder), kind="stable"))
    if (order == np.arange(len(order))).all():
        return rows
    return graph.add("Gather", rows, order, axis=1)


def _add_inputs(graph: Graph, model: Any) -> tuple[str | None, list[str]]:
    """Declare the inputs; returns the numeric ones as one, and those of text."""
    encoder = model.encoder_
    names = [str(n) for n in getattr(model, "feature_names_in_", encoder._names)]
    is_named = hasattr(model, "feature_names_in_") or model._has_names
    if not is_named and not encoder._categorical:
        graph.inputs.append(graph.declare(MATRIX, float, len(names)))
        return MATRIX, []
    if bad := sorted({n for n in names if names.count(n) > 1 or n in ("", *OUTPUTS)}):
        raise ExportError(
            f"Every column becomes an input by its name, which {bad} cannot: names "
            f"must differ, must not be empty, and must not be one of {list(OUTPUTS)}. "
            "Rename the columns and fit again."
        )
    for place, name in enumerate(names):
        kind = object if place in encoder._categorical else float
        graph.inputs.append(graph.declare(name, kind, 1))
    numeric = [names[place] for place in encoder._numeric]
    texts = [names[place] for place in encoder._categorical]
    return (graph.add("Concat", *numeric, axis=1) if numeric else None), texts


def _add_numbers(graph: Graph, numbers: str, encoder: Any) -> str:
    """Fill gaps and scale; a user's transformer has no counterpart."""
    scaler, fills = encoder.scaler_, fills_of(encoder)
    if fills is not None:
        gaps = graph.add("IsNaN", numbers)
        numbers = graph.add("Where", gaps, fills[None], numbers)
    if scaler is None:
        return numbers
    is_bounded = isinstance(scaler, BoundedScaler)
    if is_bounded or encoder.scaler == "minmax":
        offset, factor = scaler.data_min_, scaler.scale_
    elif encoder.scaler == "standard":
        with np.errstate(over="ignore"):
            # Fitted on sparse rows it has a mean, and leaves it where it is.
            offset, factor = scaler.mean_ * scaler.with_mean, 1 / scaler.scale_
    else:
        raise no_counterpart("scaler", scaler, '"bounded", "minmax", "standard"')
    if not np.isfinite(factor).all():
        raise ExportError(
            "The numbers of some columns differ by less than 1e-308, which runtimes "
            "take for zero. Multiply them by a constant and fit again."
        )
    # In this order: runtimes drop the subtraction of numbers that are zero in single.
    numbers = graph.add("Mul", numbers, factor[None])
    numbers = graph.add("Sub", numbers, (offset * factor)[None])
    return _add_soft_clip(graph, numbers) if is_bounded else numbers


def _add_soft_clip(graph: Graph, scaled: str) -> str:
    """Level off as `llmreg.preprocessing._scaler.soft_clip` does."""
    inside = graph.add("Clip", scaled, 0.0, 1.0)
    beyond = graph.add("Sub", scaled, inside)
    width = graph.add("Add", 1.0, graph.add("Abs", beyond))
    return graph.add("Add", inside, graph.add("Div", beyond, width))


def _add_levels(graph: Graph, text: str, levels: Sequence[str], gap: str | None) -> str:
    """Open a column for every level; one that is not known finds a row of zeros."""
    places = spellings(levels, gap)
    if "" in places:
        raise ExportError(
            f'The column {text!r} has the level "", which stands for a gap in a graph: '
            "its text has no gaps. Rename the level and fit again, or export a "
            "linear model with llmreg.export.to_sklearn."
        )
    if bad := [n for n in places if n.encode(errors="replace").decode() != n]:
        raise ExportError(
            f"The levels {bad} of the column {text!r} have characters that no text of "
            "a graph can have. Rename them and fit again."
        )
    if gap is not None:
        places[""] = levels.index(gap)
    keys = {"keys_strings": [*places], "values_int64s": [*places.values()]}
    code: dict[str, Any] = {"domain": "ai.onnx.ml", "default_int64": len(levels)}
    found = graph.add("LabelEncoder", text, **keys, **code)
    rows = graph.add("Gather", np.eye(len(levels) + 1, len(levels)), found, axis=0)
    return graph.add("Flatten", rows, axis=1)


def add_module(graph: Graph, module: nn.Module, rows: str) -> str:
    """Add a module of linear layers and activations in a row, or one of ours."""
    if isinstance(module, CorrectedModel):
        return _add_corrected(graph, module, rows)
    if isinstance(module, AdditiveModel):
        return _add_shapes(graph, module, rows)
    # A class of the user's may inherit a layer and compute something else.
    forward = type(module).forward
    if module._forward_hooks or module._forward_pre_hooks:
        raise _unknown(module)
    if isinstance(module, nn.Sequential) and forward is nn.Sequential.forward:
        for part in module:
            rows = add_module(graph, part, rows)
        return rows
    if isinstance(module, nn.Linear) and forward is nn.Linear.forward:
        values = [v for v in (module.weight, module.bias) if v is not None]
        return graph.add("Gemm", rows, *map(array_of, values), transB=1)
    is_rough = getattr(module, "approximate", "none") != "none"
    if type(module) not in _ACTIVATIONS or is_rough:
        raise _unknown(module)
    return _ACTIVATIONS[type(module)](graph, rows)


def _add_corrected(graph: Graph, module: CorrectedModel, rows: str) -> str:
    outputs = add_module(graph, module.linear, rows)
    for share, part in zip(array_of(module.shares), module.corrections, strict=True):
        if share:
            weighted = graph.add("Mul", add_module(graph, part, rows), share)
            outputs = graph.add("Add", outputs, weighted)
    return outputs


def _add_shapes(graph: Graph, module: AdditiveModel, rows: str) -> str:
    """Weigh how far rows are through each segment, codes, and the columns as such."""
    parts = [module.code_steps, module.weight * module.is_plain, module.steps]
    weight = np.hstack([array_of(values) for values in parts])
    opened, bias = _open(graph, module, rows), array_of(module.bias)
    return graph.add("Gemm", opened, weight, bias, transB=1)


def _open(graph: Graph, module: AdditiveModel, rows: str) -> str:
    """Give codes, the columns as such, and how far rows are through each segment."""
    basis = module.basis
    through = graph.add("Gather", rows, basis.columns[basis.curve_of], axis=1)
    through = graph.add("Sub", through, array_of(module.low)[None])
    width = array_of(module.high - module.low)[None]
    through = graph.add("Clip", graph.add("Div", through, width), 0.0, 1.0)
    parts = [rows]
    if basis.codes:
        curves, values = (np.array(part) for part in zip(*basis.codes, strict=True))
        at = graph.add("Gather", rows, basis.columns[curves], axis=1)
        gap = graph.add("Abs", graph.add("Sub", at, values[None]))
        is_code = graph.add("LessOrEqual", gap, CODE_WIDTH)
        codes = graph.add("Cast", is_code, to=graph.onnx.TensorProto.DOUBLE)
        # A code lies beside the segments of its curve.
        of_curve = (curves[:, None] == basis.curve_of).astype(np.float64)
        beside = graph.add("MatMul", codes, of_curve)
        through = graph.add("Where", graph.add("Greater", beside, 0.0), 0.0, through)
        parts = [codes, rows]
    return graph.add("Concat", *parts, through, axis=1)


def _add_gelu(graph: Graph, rows: str) -> str:
    scaled = graph.add("Mul", rows, np.sqrt(0.5))
    # Runtimes have the error function in single precision only.
    single = graph.add("Cast", scaled, to=graph.onnx.TensorProto.FLOAT)
    erf = graph.add("Erf", single)
    erf = graph.add("Cast", erf, to=graph.onnx.TensorProto.DOUBLE)
    return graph.add("Mul", graph.add("Mul", rows, 0.5), graph.add("Add", erf, 1.0))


_ACTIVATIONS: dict[type[nn.Module], Callable[[Graph, str], str]] = {
    nn.ReLU: lambda graph, rows: graph.add("Relu", rows),
    nn.Tanh: lambda graph, rows: graph.add("Tanh", rows),
    nn.Sigmoid: lambda graph, rows: graph.add("Sigmoid", rows),
    nn.SiLU: lambda graph, rows: graph.add("Mul", rows, graph.add("Sigmoid", rows)),
    nn.GELU: _add_gelu,
    # These do nothing at prediction time.
    nn.Dropout: lambda graph, rows: rows,
    nn.Identity: lambda graph, rows: rows,
}


def _unknown(module: nn.Module) -> ExportError:
    return ExportError(
        f"{type(module).__name__} has no counterpart in the graph: modules of linear "
        "layers and activations in a row have. torch.onnx.export(model.net_.module_, "
        "...) exports the module alone, which takes the rows that "
        "model.encoder_.transform(X) gives."
    )


_DESCRIPTION = (
    "A column of the table is an input of shape (n_samples, 1): numbers and booleans "
    "as doubles, NaN where they are missing; strings and categories as text, the empty "
    "text where they are missing."
)


def to_onnx(
    model: Any, path: str | PathLike[str] | None = None, *, return_std: bool = False
) -> Any:
    """Turn a fitted model, with its encoding, into one ONNX graph.

    A column of the table is an input, by its name and of shape (n_samples, 1): numbers
    and booleans as doubles, with NaN where they are missing; strings and categories as
    text, empty where they are missing. A model that was fitted on an array of numbers
    has one input, ``X``.

    A classifier's outputs are ``label``, of shape (n_samples,), and
    ``probabilities``, of shape (n_samples, n_classes); a regressor's is ``variable``,
    of shape (n_samples, n_targets).

    Parameters
    ----------
    model : LLMAttributionClassifier or LLMAttributionRegressor
        A fitted model.
    path : path-like or None, default=None
        Where to write the graph, if anywhere.
    return_std : bool, default=False
        Have a regressor's graph return standard deviations of the outcome too, as its
        second output: ``std``, of shape (n_samples, n_targets).

    Returns
    -------
    onnx.ModelProto
        The graph. It computes in double precision, and needs opset 17.

    Raises
    ------
    ExportError
        If the model is none of llmreg's, or its module, its scaler, its imputer, trees
        on top, the name of a column or a level have no counterpart in the graph; or a
        classifier's graph is to have standard deviations.
    NoPosteriorError
        With `return_std`, if the model has no `posterior_`.
    MissingDependencyError
        If onnx is not installed.

    See Also
    --------
    to_sklearn : A linear model as a pipeline of scikit-learn's own parts.

    Notes
    -----
    Infinite numbers, and gaps where `imputer` is None, are errors in `predict`; the
    graph makes predictions of them that are not numbers.

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
    check_exportable(model)
    if return_std and model._loss_name() != "regression":
        raise ExportError(
            "return_std=True is for regressors of the squared error. Probabilities and "
            "counts have intervals instead, which predict_proba_interval and "
            "predict_interval give and no graph does."
        )
    graph = Graph()
    rows = add_encoding(graph, model)
    outputs = add_module(graph, model.net_.module_, rows)
    if is_classifier(model):
        _add_classes(graph, outputs, model.classes_)
    else:
        _add_targets(graph, outputs, model)
    if return_std:
        _add_std(graph, model, rows)
    made = _make_model(graph, type(model).__name__)
    if path is not None:
        write_bytes(path, made.SerializeToString())
    return made


def _make_model(graph: Graph, name: str) -> Any:
    """Make an onnx.ModelProto, and check it."""
    helper = graph.onnx.helper
    parts = graph.nodes, name, graph.inputs, graph.outputs, graph.constants
    made = helper.make_model(
        helper.make_graph(*parts),
        opset_imports=[helper.make_opsetid(*opset) for opset in OPSETS.items()],
        ir_version=_IR_VERSION,
        producer_name="llmreg",
        producer_version=llmreg.__version__,
        doc_string=_DESCRIPTION,
    )
    graph.onnx.checker.check_model(made)
    return made


def _add_classes(graph: Graph, logits: str, classes: np.ndarray) -> None:
    labels = _labels(classes)
    if len(classes) == 2:
        sides = [graph.add("Neg", logits), logits]
        shares = [graph.add("Sigmoid", side) for side in sides]
        probabilities = graph.add("Concat", *shares, axis=1)
        # Of the logit, as in `predict`: two small ones share a probability.
        is_second = graph.add("Greater", logits, 0.0)
        place = graph.add("Cast", is_second, to=graph.onnx.TensorProto.INT64)
        place = graph.add("Squeeze", place, np.array([1]))
    else:
        probabilities = graph.add("Softmax", logits, axis=1)
        place = graph.add("ArgMax", logits, axis=1, keepdims=0)
    label = graph.add("Gather", labels, place, axis=0)
    graph.output("label", label, labels.dtype)
    graph.output("probabilities", probabilities, float, len(classes))


def _labels(classes: np.ndarray) -> np.ndarray:
    """Give class labels as a graph can hold them."""
    kinds: dict[str, Any] = {"b": bool, "i": np.int64, "u": np.int64, "f": np.float64}
    if classes.dtype.kind in kinds:
        labels = classes.astype(kinds[classes.dtype.kind])
        if (labels == classes).all():
            return labels
    elif all(isinstance(label, str) for label in classes):
        return classes.astype(object)
    raise ExportError(
        "Class labels must be text, booleans, or numbers of at most 64 bits with a "
        f"sign to be outputs of a graph; got {classes.tolist()}."
    )


def _add_targets(graph: Graph, outputs: str, model: Any) -> None:
    scaler = model.target_scaler_
    outputs = graph.add("Mul", outputs, scaler.scale_[None])
    outputs = graph.add("Add", outputs, scaler.mean_[None])
    if model._loss_name() == "poisson":
        outputs = graph.add("Exp", outputs)
    graph.output("variable", outputs, float, len(scaler.mean_))


def _add_std(graph: Graph, model: Any, rows: str) -> None:
    """Add what `predict` returns as the standard deviation."""
    posterior, module = model._need_posterior(), linear_part(model.net_.module_)
    width = module.weight.shape[1]
    places = np.arange(width)
    if isinstance(module, AdditiveModel):
        rows = _open(graph, module, rows)
        n_codes, n_segments = len(module.basis.codes), len(module.basis.low)
        # Where the segments, codes and columns of the posterior are in the graph.
        order = np.roll(np.arange(n_codes + width + n_segments), n_segments)
        is_plain = np.append(np.ones(n_segments + n_codes), array_of(module.is_plain))
        places, width = order[is_plain > 0], len(order)
    found = []
    for gaussian, noise in zip(posterior.weights, posterior.noise, strict=True):
        factor = gaussian.factor(np.eye(len(posterior.centre) + 1))
        weight = np.zeros((width, factor.shape[1]))
        weight[places] = factor[:-1]
        constant = factor[-1] - posterior.centre @ factor[:-1]
        parts = graph.add("Gemm", rows, weight, constant)
        squares = graph.add("Mul", parts, parts)
        variance = graph.add("ReduceSum", squares, np.array([1]))
        variance = graph.add("Add", variance, noise.variance)
        found.append(graph.add("Sqrt", variance))
    std = graph.add("Concat", *found, axis=1)
    std = graph.add("Mul", std, model.target_scaler_.scale_[None])
    graph.output("std", std, float, len(found))
