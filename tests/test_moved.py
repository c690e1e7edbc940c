"""The import paths of version 0.1 go on working."""

import importlib
import pickle

import pytest

from llmreg._utils._moved import MOVED

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
