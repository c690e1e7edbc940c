"""A prediction task in words: all that a provider is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from llmreg._utils._text import repeated
from llmreg.exceptions import FeatureNamesError

Kind = Literal["classification", "regression"]


@dataclass(frozen=True)
class Feature:
    """One input of the model: a column, or one level of a categorical column.

    Parameters
    ----------
    name : str
        Name of the column.
    description : str, default=""
        What the column measures.
    level : str or None, default=None
        The level that the input stands for; None for a numeric column.
    level_description : str, default=""
        What the level means.
    unit : str, default=""
        Unit of the values of the column.
    order : int or None, default=None
        Place of the level, from 1, in the natural order of its category, such as
        that of an ordered category of pandas; None where there is none.

    Examples
    --------
    >>> from llmreg import Feature
    >>> Feature("age", "age in years").key
    'age'
    >>> Feature("sex", level="female").key
    'sex=female'
    """

    name: str
    description: str = ""
    level: str | None = None
    level_description: str = ""
    unit: str = ""
    order: int | None = None

    @property
    def key(self) -> str:
        """The name that a prior uses for this input: ``name`` or ``name=level``."""
        return self.name if self.level is None else f"{self.name}={self.level}"


@dataclass(frozen=True)
class Task:
    """A prediction task in words: never a row, a statistic or a label of the data.

    Parameters
    ----------
    features : tuple of Feature
        The inputs to be scored, each with a key of its own.
    target : str
        Name of what is predicted.
    outputs : tuple of str
        What the scores refer to: the positive class of two, every class of
        more than two, or the target or targets of a regression.
    kind : {"classification", "regression"}
        The kind of the prediction.
    classes : tuple of str, default=()
        All classes, the positive one included; empty in a regression.
    description : str, default=""
        The task in a sentence or two.

    Raises
    ------
    FeatureNamesError
        If two features have the same key.
    ValueError
        If `kind` is unknown, or `outputs` is empty or has duplicates.

    Examples
    --------
    >>> from llmreg import Feature, Task
    >>> task = Task(
    ...     features=(Feature("age"), Feature("sex", level="female")),
    ...     target="survived",
    ...     outputs=("yes",),
    ...     kind="classification",
    ...     classes=("no", "yes"),
    ... )
    >>> task.keys
    ('age', 'sex=female')
    >>> Task.from_dict(task.to_dict()) == task
    True
    """

    features: tuple[Feature, ...]
    target: str
    outputs: tuple[str, ...]
    kind: Kind
    classes: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        """Turn sequences into tuples, and check the names."""
        for name in ("features", "outputs", "classes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"kind must be one of {', '.join(get_args(Kind))}; got {self.kind!r}."
            )
        if not self.outputs or len(set(self.outputs)) < len(self.outputs):
            raise ValueError(
                f"outputs must name each scored output once; got {self.outputs!r}."
            )
        if twice := repeated(self.keys):
            raise FeatureNamesError(
                f"Every feature of a task needs a name of its own; got {twice!r} "
                "more than once. Rename the columns."
            )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the features, in order."""
        return tuple(feature.key for feature in self.features)

    def to_dict(self) -> dict[str, Any]:
        """Give the task as plain lists, dicts and strings, in a fixed order.

        Ready for `json.dumps`; equal tasks give equal text.
        """
        pairs = asdict(self).items()
        fields = {n: list(v) if isinstance(v, tuple) else v for n, v in pairs}
        for feature in fields["features"]:
            # Without an order a task has the text, and so the keys, of version 0.1.
            if feature["order"] is None:
                del feature["order"]
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Task:
        """Build a task from what `to_dict` gives."""
        features = tuple(Feature(**feature) for feature in fields["features"])
        return cls(**{**fields, "features": features})
