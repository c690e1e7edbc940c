"""The encoding of a table as nodes of an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmreg.exceptions import ExportError
from llmreg.export.graph import Graph
from llmreg.export.plan import Plan, Scaling, fills_of, scaling_of, spellings
from llmreg.values import MISSING

#: Names that the outputs have, and columns may not.
OUTPUTS = ("label", "probabilities", "variable")
#: Name of the one input of a model that was fitted on an array of numbers.
MATRIX = "X"


def add_encoding(graph: Graph, plan: Plan, encoder: Any) -> str:
    """Add inputs and encoding.

    Parameters
    ----------
    graph : Graph
        The graph.
    plan : Plan
        The columns.
    encoder : TableEncoder
        The fitted encoder.

    Returns
    -------
    str
        Name of the encoded rows, of shape (n_samples, n_columns).

    Raises
    ------
    ExportError
        If columns cannot be inputs by their names, or a transformer is the user's.
    """
    scaling, fills = (
        (scaling_of(encoder), fills_of(encoder)) if plan.numeric else (None, None)
    )
    numbers, texts = _add_inputs(graph, plan)
    parts = []
    if numbers is not None:
        parts.append(_add_numbers(graph, numbers, fills, scaling))
    parts += [
        _add_levels(graph, text, levels)
        for text, levels in zip(texts, plan.levels, strict=True)
    ]
    rows = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    if (plan.order == np.arange(len(plan.order))).all():
        return rows
    return graph.add("Gather", rows, graph.constant(plan.order), axis=1)


def _add_inputs(graph: Graph, plan: Plan) -> tuple[str | None, list[str]]:
    """Declare the inputs; returns the numeric ones as one, and those of text."""
    if not plan.is_named and not plan.categorical:
        return graph.input(MATRIX, "DOUBLE", len(plan.names)), []
    _check_names(plan.names)
    for place, name in enumerate(plan.names):
        graph.input(name, "STRING" if place in plan.categorical else "DOUBLE", 1)
    numeric = [plan.names[place] for place in plan.numeric]
    texts = [plan.names[place] for place in plan.categorical]
    return (graph.add("Concat", *numeric, axis=1) if numeric else None), texts


def _check_names(names: tuple[str, ...]) -> None:
    bad = sorted({n for n in names if names.count(n) > 1 or n in ("", *OUTPUTS)})
    if bad:
        raise ExportError(
            f"Every column becomes an input by its name, which {bad} cannot: names "
            f"must differ, be no empty text, and not be one of {list(OUTPUTS)}. Rename "
            "the columns and fit again."
        )


def _add_numbers(
    graph: Graph, numbers: str, fills: np.ndarray | None, scaling: Scaling | None
) -> str:
    if fills is not None:
        gaps = graph.add("IsNaN", numbers)
        numbers = graph.add("Where", gaps, graph.constant(fills[None]), numbers)
    if scaling is None:
        return numbers
    numbers = graph.add("Sub", numbers, graph.constant(scaling.offset[None]))
    numbers = graph.add("Mul", numbers, graph.constant(scaling.factor[None]))
    return _add_bend(graph, numbers) if scaling.bounded else numbers


def _add_bend(graph: Graph, scaled: str) -> str:
    """Level off as `llmreg.ranges.bend` does."""
    zero, one = graph.constant(0.0), graph.constant(1.0)
    inside = graph.add("Clip", scaled, zero, one)
    beyond = graph.add("Sub", scaled, inside)
    width = graph.add("Add", one, graph.add("Abs", beyond))
    return graph.add("Add", inside, graph.add("Div", beyond, width))


def _add_levels(graph: Graph, text: str, levels: tuple[str, ...]) -> str:
    """Open a column for every level; one that is not known finds a row of zeros."""
    places = {level: place for place, level in enumerate(levels)}
    places |= spellings(levels)
    if MISSING in places:
        # Text has no gaps: an empty one stands for them, unless it is a level.
        places.setdefault("", places[MISSING])
    found = graph.add(
        "LabelEncoder",
        text,
        domain="ai.onnx.ml",
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=len(levels),
    )
    rows = graph.constant(np.eye(len(levels) + 1, len(levels)))
    return graph.add("Flatten", graph.add("Gather", rows, found, axis=0), axis=1)
