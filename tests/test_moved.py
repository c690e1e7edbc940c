"""The import paths of version 0.1 go on working."""

import importlib
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg._utils._moved import MOVED
from llmreg.export import to_sklearn
from llmreg.providers import AnthropicProvider

SHOWN_IN_0_1 = """
llmreg.attribution.attribute
llmreg.automl.FlamlLearner
llmreg.criterion.AttributionAlignedLoss
llmreg.criterion.Sharpen
llmreg.display.AlignmentDisplay
llmreg.display.PriorCurveDisplay
llmreg.display.PriorDisplay
llmreg.display.TrustDisplay
llmreg.encoding.TableEncoder
llmreg.exceptions.LLMRegError
llmreg.export.to_onnx
llmreg.export.to_sklearn
llmreg.prior.FeaturePrior
llmreg.providers.anthropic_batch.BatchReport
llmreg.providers.anthropic_batch.collect_batch
llmreg.providers.anthropic_batch.count_lacking
llmreg.providers.anthropic_batch.submit_batch
llmreg.providers.cache_entries.CacheEntry
llmreg.providers.hosted.HostedProvider
llmreg.providers.interview.Completion
llmreg.providers.interview.Request
llmreg.providers.registry.make_provider
llmreg.providers.registry.provider_names
llmreg.providers.retry.TransientError
llmreg.report.format_report
llmreg.report.write_report
llmreg.task.Feature
llmreg.task.Task
llmreg.verdict.Trust
""".split()


@pytest.mark.parametrize("path", SHOWN_IN_0_1)
def test_what_the_pages_of_0_1_show_can_be_imported(path):
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name) is not None


@pytest.mark.parametrize("old", MOVED)
def test_an_old_module_is_the_new_package(old):
    assert importlib.import_module(old) is importlib.import_module(MOVED[old])


PICKLED_IN_0_1 = """
llmreg.automl.flaml.FlamlLearner
llmreg.automl.model.CodedModel
llmreg.classifier_net.AlignedClassifierNet
llmreg.classifier_net.class_probabilities
llmreg.corrected.CorrectedModel
llmreg.criterion.AttributionAlignedLoss
llmreg.encoding.TableEncoder
llmreg.folding.Ranges
llmreg.net.AlignedNet
llmreg.net.BatchIterator
llmreg.net.LinearModel
llmreg.net.MLP
llmreg.optimizers.Adam
llmreg.optimizers.LBFGS
llmreg.passes.PassReport
llmreg.prior.FeaturePrior
llmreg.ranges.BoundedScaler
llmreg.ranges.Summary
llmreg.task.Feature
llmreg.verdict.Contradiction
llmreg.verdict.Trust
""".split()


@pytest.mark.parametrize("path", PICKLED_IN_0_1)
def test_a_pickled_class_is_found_under_its_old_name(path):
    module, _, name = path.rpartition(".")
    assert callable(pickle.loads(f"c{module}\n{name}\n.".encode()))


LATER = {"trees", "loss", "feature_kinds", "on_unit_mismatch", "biased_features"}
LATER |= {"base_rate", "posterior_", "trees_", "_rates", "_numbering", "_is_clone"}
LATER |= {"_has_plain_labels", "_guessed", "_constant", "_gaps", "_unseen", "_decimal"}


def without(thing, later=LATER):
    for name in later & {*vars(thing)}:
        del vars(thing)[name]
    return thing


@pytest.mark.parametrize(
    ("kind", "y"),
    [(LLMAttributionClassifier, [0, 1] * 6), (LLMAttributionRegressor, [1.5, 4] * 6)],
)
def test_a_model_pickled_by_0_1_is_a_model_of_today(kind, y):
    X = pd.DataFrame({"age": np.arange(12.0), "sex": [*"mfmmfm"] * 2})
    today = kind({"age": 5, "sex=f": 1}, gamma=1, random_state=0).fit(X, y)
    old = clone(today).fit(X, y)
    without(old.encoder_)
    old = pickle_of(without(old))
    assert repr(old) == repr(today)
    assert clone(old).get_params() == today.get_params()
    np.testing.assert_array_equal(old.predict(X), today.predict(X))
    np.testing.assert_allclose(to_sklearn(old).predict(X), today.predict(X), 1e-6)
    assert old.trees_ is old.posterior_ is None
    further = [m.partial_fit(X, y).predict(X) for m in (old, pickle_of(today))]
    np.testing.assert_array_equal(*further)
    np.testing.assert_array_equal(old.fit(X, y).predict(X), today.predict(X))


def pickle_of(model):
    return pickle.loads(pickle.dumps(model))


def test_one_that_was_not_fitted_is_not_fitted_today():
    provider = without(AnthropicProvider(), {"ask"})
    old = pickle_of(without(LLMAttributionClassifier(provider)))
    assert not [name for name in vars(old) if name.endswith("_")]
    assert old.prior.ask == AnthropicProvider().ask
    assert old.trees == "auto"
