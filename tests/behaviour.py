"""Record what the package does, and compare a change of its code with the record.

``python -m tests.behaviour record FILE`` fits some hundred small models, asks providers
that need no network, and writes every number and text that comes out to FILE, with a
few pickles, a cache and a prior card beside it. ``python -m tests.behaviour compare
FILE`` does all of it again and lists what differs, and reads what the record left
behind: old pickles, cards and answers. pytest does not collect this file.

Only public paths are imported, so that the code behind them can move.
"""

from __future__ import annotations

import os

# Before torch and BLAS start: the number of threads may change the last bits.
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import matplotlib
import numpy as np
import onnxruntime
import pandas as pd
import torch
from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from llmreg import FeaturePrior
from llmreg.criterion import AttributionAlignedLoss
from llmreg.display import AlignmentDisplay, PriorCurveDisplay, PriorDisplay
from llmreg.exceptions import LLMRegWarning
from llmreg.export import to_onnx, to_sklearn
from llmreg.nn._net import LinearModel
from llmreg.providers import (
    AnthropicProvider,
    CachedProvider,
    EnsembleProvider,
    PriorCache,
    StaticPrior,
)
from tests import behaviour_cases as cases

matplotlib.use("Agg")

Values = Iterator[tuple[str, Any]]
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|[+-]\d\d:\d\d)?")


# What is recorded of a thing


@contextmanager
def listened() -> Iterator[list[str]]:
    """Collect the kinds of the package's warnings; ignore those of names and others."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
    kinds = (w.category for w in caught)
    told += sorted(kind.__name__ for kind in kinds if issubclass(kind, LLMRegWarning))


MODEL = "classes_ n_features_in_ gamma_ attributions_ alignment_ n_iter_"
TRUST = "gammas weights signs transforms agreement survival gamma n_samples "
TRUST += "believed reversed ignored"
DOUBT = "feature output score weight probability"
PRIOR = "features outputs scores spread estimates missing unknown rationale usage"


def read(thing: Any, names: str, start: str) -> Values:
    """Give attributes by name; one that is not there is told of too."""
    for name in names.split():
        yield f"{start}/{name}", getattr(thing, name, "absent")


def of_prior(prior: FeaturePrior | None, start: str) -> Values:
    """Give what a prior says, and where it comes from but for the date."""
    yield from read(prior, PRIOR, start)
    provenance = dict(getattr(prior, "provenance", {}))
    yield f"{start}/provenance", DATE.sub("DATE", json.dumps(provenance))


def of_model(model: Any, new: Any, start: str) -> Values:
    """Give what a fitted estimator has learnt and what it predicts."""
    for method in ("predict", "predict_proba", "decision_function"):
        if hasattr(model, method):
            yield f"{start}/{method}", getattr(model, method)(new)
    yield f"{start}/predict one", model.predict(new[:1])
    yield from read(model, MODEL, start)
    yield from of_weights(model, start)
    yield f"{start}/columns", model.encoder_.get_feature_names_out()
    yield from of_prior(model.prior_, f"{start}/prior_")
    trust = getattr(model, "trust_", None)
    trusts = trust if isinstance(trust, tuple) else (trust,)
    for i, each in enumerate(trusts):
        yield from read(each, TRUST, f"{start}/trust_ {i}")
        for j, doubt in enumerate(getattr(each, "contradictions", ())):
            yield from read(doubt, DOUBT, f"{start}/trust_ {i}/contradiction {j}")


def of_weights(model: Any, start: str) -> Values:
    """Give the weights of the encoded columns, which `coef_` held in 0.1."""
    is_linear = isinstance(model.net_.module_, LinearModel)
    weights = model._encoded_weights() if is_linear else ("absent", "absent")
    yield from zip((f"{start}/coef_", f"{start}/intercept_"), weights, strict=True)


def of_export(model: Any, new: Any, start: str) -> Values:
    """Give what the exported model predicts."""
    method = "predict_proba" if is_classifier(model) else "predict"
    if isinstance(model.net_.module_, LinearModel):
        yield f"{start}/sklearn", getattr(to_sklearn(model), method)(new)
    graph = to_onnx(model).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    named = isinstance(new, pd.DataFrame)
    fed: dict[str, Any] = {} if named else {"X": np.asarray(new, dtype=np.float64)}
    for column in session.get_inputs() if named else ():
        values = new[column.name]
        if column.type == "tensor(string)":
            values = values.astype(object).where(values.notna(), "").astype(str)
        else:
            values = values.astype(np.float64)
        fed[column.name] = values.to_numpy().reshape(-1, 1)
    yield f"{start}/onnx", session.run(None, fed)[-1]


def attempt(values: Values, start: str) -> Values:
    """Go over values; an error is one, by the name of its class."""
    with listened() as told:
        try:
            yield from values
        except Exception as error:
            yield f"{start}/raised", type(error).__name__
    if told:
        yield f"{start}/warned", told


# What is done


def of_case(
    table: cases.Table, params: Mapping[str, Any], at: str, folder: Path
) -> Values:
    """Fit a model; export and pickle some."""
    model = cases.model_of(table, params).fit(table.X, table.y)
    yield from of_model(model, table.new, at)
    if at.rpartition("/")[2] in cases.EXPORTED:
        yield from attempt(of_export(model, table.new, f"{at}/export"), at)
    if at in cases.PICKLED:
        joblib.dump(model, folder / f"{at.replace('/', ' ')}.joblib")


def of_pieces(table: cases.Table, start: str) -> Values:
    """Train in pieces, further, and with weights of the rows."""
    X, y, new = table.X, table.y, table.new
    weights = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    for name, params in {
        "auto": {},
        "gamma 1": {"gamma": 1},
        "mlp": cases.LOOP,
    }.items():
        model = cases.model_of(table, params)
        yield from of_model(model.fit(X, y, weights), new, f"{start}/weights {name}")
        model = cases.model_of(table, {**params, "warm_start": True, "max_iter": 5})
        model.fit(X, y).fit(X[5:], y[5:])
        yield from of_model(model, new, f"{start}/warm {name}")
        model = cases.model_of(table, params)
        known = {"classes": np.unique(y)} if is_classifier(model) else {}
        for i in range(0, 40, 10):
            rows = slice(i, i + 10)
            model.partial_fit(
                X[rows], y[rows], sample_weight=weights[rows] + 1, **known
            )
        yield from of_model(model, new, f"{start}/pieces {name}")


def of_pipeline(start: str) -> Values:
    """Train behind other transformers, and in a search."""
    table = cases.tables()["titanic"]
    onehot = OneHotEncoder(sparse_output=False)
    steps = [
        ("num", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
        ("cat", onehot, ["sex", "passengerClass"]),
    ]
    encode = ColumnTransformer(steps).set_output(transform="pandas")
    pipeline = make_pipeline(encode, cases.model_of(table, {"scaler": None}))
    pipeline.fit(table.X, table.y)
    yield from of_model(pipeline[-1], encode.transform(table.new), f"{start}/pipeline")
    for name in ("cancer", "diabetes"):
        table = cases.tables()[name]
        grid = {"gamma": [0, 1, 30, "auto"], "alpha": [0.1, 1.0]}
        search = GridSearchCV(cases.model_of(table, {}), grid, cv=3).fit(
            table.X, table.y
        )
        yield f"{start}/search {name}", search.cv_results_["mean_test_score"]
        yield f"{start}/best {name}", repr(search.best_params_)


def of_loss(start: str) -> Values:
    """Compute the aligned loss and its gradient by hand."""
    torch.manual_seed(0)
    rows = torch.rand(20, 4, dtype=torch.float64)
    scores = np.array([[3.0, -2.0, np.nan, 8.0], [0.0, 1.0, -4.0, 9.0]])
    for task, n_outputs in {"binary": 1, "multiclass": 2, "regression": 2}.items():
        module = cases.small_module(4, n_outputs).double()
        target = torch.arange(20) % 2
        target = target if task == "multiclass" else target.double()
        if task == "regression":
            target = torch.stack([target, 1 - target], dim=1)
        for attribution in ("gradient", "input_x_gradient", "integrated_gradients"):
            options = {"attribution": attribution, "score_transform": "exp"}
            for on in ("mean", "row"):
                X = rows.clone().requires_grad_()
                loss = AttributionAlignedLoss(
                    scores[:n_outputs], task=task, gamma=7.0, penalty_on=on, **options
                ).double()
                value = loss(module(X), target, X=X, module=module)
                slopes = torch.autograd.grad(value, [*module.parameters()])
                found = torch.cat([value.reshape(1), *(s.flatten() for s in slopes)])
                yield f"{start}/{task} {attribution} {on}", found.tolist()


def of_pictures(start: str) -> Values:
    """Read the numbers off the pictures."""
    table = cases.tables()["diabetes"]
    model = cases.model_of(table, {}).fit(table.X, table.y)
    shown = {
        "prior": PriorDisplay.from_prior(model.prior_),
        "alignment": AlignmentDisplay.from_estimator(model),
    }
    for name, display in shown.items():
        bars = [bar.get_width() for ax in display.figure_.axes for bar in ax.patches]
        yield f"{start}/{name}", bars
    curves = PriorCurveDisplay.from_estimator(
        model, table.X, table.y, train_sizes=[5, 20], n_repeats=2, random_state=0
    )
    yield f"{start}/curve", [curves.scores.tolist(), curves.scores_without.tolist()]


def of_mistakes(start: str) -> Values:
    """Tell which error each mistake ends in."""
    for name, (table, params, change) in cases.BAD.items():
        found = cases.tables()[table]
        try:
            cases.model_of(found, params).fit(*change(found))
            yield f"{start}/{name}", "nothing"
        except Exception as error:
            yield f"{start}/{name}", type(error).__name__


# Providers without a network
def of_elicited(provider: Any, task: cases.Task, start: str) -> Values:
    """Ask for a prior."""
    prior = provider.elicit(task)
    yield from of_prior(prior, start)
    yield f"{start}/card", DATE.sub("DATE", prior.to_json())
    yield f"{start}/cached", provider.has_cached(task)


def of_ways(folder: Path, name: str, start: str) -> Values:
    """Show a question, ask it, and find the answer again, by every way of asking."""
    task = cases.tasks()[name]
    for way, params in cases.WAYS.items():
        if name == "genes" and way in {"each", "halves"}:
            continue
        at, oracle = f"{start}/{name} {way}", cases.Oracle(cache=folder / way, **params)
        yield f"{at}/identity", json.dumps(oracle.identity())
        yield f"{at}/preview", json.dumps(oracle.preview(task))
        yield f"{at}/cost", vars(oracle.estimate_cost(task))
        yield from attempt(of_elicited(oracle, task, at), at)
        yield from attempt(of_elicited(oracle, task, f"{at} again"), at)
    inner = folder / "members"
    yield f"{start}/{name} drafts", json.dumps(cases.Oracle(cache=inner).describe(task))
    members = [cases.Oracle(cache=inner), cases.Oracle("other", "rank", 1, cache=inner)]
    ensemble = CachedProvider(EnsembleProvider(members), folder / "cached")
    at = f"{start}/{name} ensemble"
    yield from attempt(of_elicited(ensemble, task, at), at)


def of_vendors(folder: Path, name: str, start: str) -> Values:
    """Show what the vendors are sent, byte for byte, and keep answers of theirs."""
    task = cases.tasks()[name]
    for vendor, kind in cases.VENDORS.items():
        at = f"{start}/{name} {vendor}"
        for ask in ("all", "each", "rank"):
            provider = kind(ask=ask, cache=folder / "nothing")
            yield f"{at} {ask}/preview", json.dumps(provider.preview(task))
            yield f"{at} {ask}/identity", json.dumps(provider.identity())
        made = cases.canned(kind, cache=folder / vendor, n_estimates=1)
        yield from attempt(of_elicited(made, task, at), at)


def of_providers(start: str) -> Values:
    """Ask for priors of every kind of task; list what the caches hold then."""
    folder = Path(tempfile.mkdtemp(dir=cases.SCRATCH))
    for name in cases.tasks():
        yield from of_ways(folder, name, start)
        yield from of_vendors(folder, name, start)
    static = CachedProvider(StaticPrior({"age": 3, "fare": -1}), folder / "cached")
    yield from of_elicited(static, cases.tasks()["person"], f"{start}/static")
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(each.glob("*.json")):
            text = DATE.sub("DATE", path.read_text("utf-8"))
            yield f"{start}/cache {each.name}/{path.name}", text
        kinds = sorted(f"{e.key} {e.kind}" for e in PriorCache(each).entries())
        yield f"{start}/cache {each.name}/entries", kinds
    table = cases.tables()["titanic"]
    model = cases.model_of(
        table, {"prior": AnthropicProvider(ask="all", cache=folder), "task": "Who?"}
    )
    shown = model.preview_prompt(table.X, table.y)
    yield f"{start}/preview_prompt", json.dumps(shown)


# What an earlier version left behind


def askers(cache: Path, kinds: Callable[..., Any]) -> dict[str, Any]:
    """Make providers that keep their answers in one cache."""
    asked = {name: kinds(kind, cache=cache) for name, kind in cases.VENDORS.items()}
    asked |= {
        "all": cases.Oracle(cache=cache),
        "halves": cases.Oracle(cache=cache, most=1),
    }
    static = StaticPrior({"age": 3, "fare": -1})
    return asked | {"static": CachedProvider(static, cache)}


def leave(folder: Path) -> None:
    """Write a card and a cache, for later versions to read."""
    for provider in askers(folder / "cache", cases.canned).values():
        provider.elicit(cases.tasks()["person"])
    cases.estimates(cases.TITANIC).write(folder / "card.json")


def of_left(folder: Path, start: str) -> Values:
    """Read what was left; nothing may be asked for again."""
    cache = Path(tempfile.mkdtemp(dir=cases.SCRATCH)) / "cache"
    shutil.copytree(folder / "cache", cache)
    task, before = cases.tasks()["person"], cases.ASKED.total()
    # The vendors' own classes this time: they would open a connection, and fail.
    # Of scores, which 0.1 asked for by default.
    found = askers(cache, lambda kind, **p: kind(**{"ask": "all", **p}))
    for name, provider in found.items():
        yield f"{start}/{name}/at hand", provider.has_cached(task)
        yield from attempt(of_elicited(provider, task, f"{start}/{name}"), start)
    yield f"{start}/requests", cases.ASKED.total() - before
    card, table = folder / "card.json", cases.tables()["titanic"]
    yield from of_prior(FeaturePrior.read(card), f"{start}/card")
    model = cases.model_of(table, {"prior": str(card)}).fit(table.X, table.y)
    yield from of_model(model, table.new, f"{start}/card model")


def of_pickles(folder: Path) -> Values:
    """Load the pickled models, predict with them, show them and fit them again."""
    for start in cases.PICKLED:
        table, at = cases.tables()[start.split("/")[0]], f"pickle/{start}"
        try:
            model = joblib.load(folder / f"{start.replace('/', ' ')}.joblib")
            method = "predict_proba" if is_classifier(model) else "predict"
            yield at, getattr(model, method)(table.new)
            repr(clone(model).fit(table.X, table.y))
        except Exception as error:
            yield at, f"{type(error).__name__}: {error}"


def collect(folder: Path) -> Values:
    """Do everything, and give what comes out by name; models are pickled on the way."""
    for name, table in cases.tables().items():
        for case, params in cases.SETTINGS.get(name, cases.STRENGTHS).items():
            at = f"{name}/{case}"
            yield from attempt(of_case(table, params, at, folder), at)
    for name in ("cancer", "iris", "titanic levels", "diabetes", "two targets"):
        at = f"{name}/in parts"
        yield from attempt(of_pieces(cases.tables()[name], at), at)
    for more in (of_pipeline, of_loss, of_pictures, of_mistakes, of_providers):
        yield from attempt(more(more.__name__), more.__name__)


# The record


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold, without the loss of a bit."""
    if isinstance(value, Mapping):
        return [[str(key), str(item)] for key, item in value.items()]
    return value.tolist() if hasattr(value, "tolist") else value


def numbers(value: Any) -> np.ndarray | None:
    """Give a value as an array of numbers, or None where it is no number."""
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return array.astype(float) if array.dtype.kind in "fiub" else None


def difference(old: Any, new: Any) -> tuple[bool, float, str]:
    """Tell whether two values are the same bits, how far apart, and in words."""
    texts = json.dumps(old), json.dumps(new)
    if texts[0] == texts[1]:
        return True, 0.0, ""
    a, b = numbers(old), numbers(new)
    if a is not None and b is not None and a.shape == b.shape and a.size:
        gaps = np.where(np.isnan(a) & np.isnan(b) | (a == b), 0.0, np.abs(a - b))
        if not np.isnan(gaps).any():
            return False, float(gaps.max()), f"largest difference {gaps.max():.3g}"
    at = next((i for i, (x, y) in enumerate(zip(*texts, strict=False)) if x != y), 0)
    parts = [text[max(0, at - 60) : at + 100] for text in texts]
    return False, np.inf, f"\n    was {parts[0]}\n    is  {parts[1]}"


def compare(old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float) -> int:
    """List what differs, and count it."""
    n_bits = n_within = n_beyond = 0
    for name in [*old, *(name for name in new if name not in old)]:
        same, gap, told = difference(old.get(name, "absent"), new.get(name, "absent"))
        n_bits += same
        n_within += not same and gap <= tolerance
        if gap > tolerance:
            n_beyond += 1
            say(f"{name}: {told}")
    say(f"{len(old)} values: {n_bits} the same bit for bit,")
    say(f"{n_within} within {tolerance:g}, {n_beyond} different")
    return n_beyond


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> int:
    """Record or compare, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-10)
    parser.add_argument("--pickles", action="store_true", help="count pickles too")
    options = parser.parse_args()
    began, folder = time.perf_counter(), options.file.parent
    # No setting of the machine, and no key, reaches a provider.
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "OPENAI_", "LLMREG_")):
            del os.environ[name]
    is_new, n_beyond = options.what == "record", 0
    if is_new:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        leave(folder)
        cases.ASKED.clear()
    made = folder if is_new else Path(tempfile.mkdtemp(dir=cases.SCRATCH))
    found = {name: plain(value) for name, value in collect(made)}
    left = attempt(of_left(folder, "left"), "left")
    found |= {name: plain(value) for name, value in left}
    pickles = {name: plain(value) for name, value in of_pickles(folder)}
    if is_new:
        options.file.write_text(json.dumps({"values": found, "pickles": pickles}))
        sizes = [1 if (a := numbers(v)) is None else a.size for v in found.values()]
        say(f"{len(found)} values recorded, {sum(sizes)} numbers and texts")
        say("\n".join(f"{n}: {v}" for n, v in found.items() if n.endswith("/raised")))
    else:
        record = json.loads(options.file.read_text())
        n_beyond = compare(record["values"], found, options.tolerance)
        say("Pickles of the record:")
        n_pickles = compare(record["pickles"], pickles, options.tolerance)
        n_beyond += n_pickles if options.pickles else 0
    shutil.rmtree(cases.SCRATCH)
    say(f"{time.perf_counter() - began:.0f} s")
    return int(n_beyond > 0)


if __name__ == "__main__":
    sys.exit(main())
