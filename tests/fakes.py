"""Providers and modules that several tests use; importable by worker processes."""

import zlib
from dataclasses import replace

import torch
from torch import nn

from llmreg import FeaturePrior
from llmreg.exceptions import ProviderUnavailableError
from llmreg.providers._base import PriorProvider


class FakeProvider(PriorProvider):
    """Answers at once, and counts how often it was asked.

    A score depends on the names of feature and output; where names are not required,
    on the place of the feature instead.
    """

    n_calls = 0

    def __init__(self, requires_names=True, scale=1.0):
        self.requires_names = requires_names
        self.scale = scale

    @property
    def requires_feature_names(self):
        return self.requires_names

    def elicit(self, task):
        type(self).n_calls += 1
        scores = {
            output: {
                key: self.scale * score(f"{output}/{key if self.requires_names else i}")
                for i, key in enumerate(task.keys)
            }
            for output in task.outputs
        }
        return FeaturePrior.from_dict(scores)


def score(text):
    return zlib.crc32(text.encode()) % 21 - 10


class ForgetfulProvider(FakeProvider):
    def elicit(self, task):
        full = super().elicit(task)
        return FeaturePrior.from_array(
            full.scores[:, :-1], full.features[:-1], full.outputs
        )


class FailingProvider(FakeProvider):
    """Never gets an answer."""

    def elicit(self, task):
        type(self).n_calls += 1
        raise ProviderUnavailableError("The provider failed 8 times: HTTP 529.")


class DropoutNet(nn.Module):
    def __init__(self, n_features, n_outputs, width=8, p=0.5):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_features, width), nn.Tanh(), nn.Dropout(p)
        )
        self.head = nn.Linear(width, n_outputs)

    def forward(self, X):
        return self.head(self.body(X))


def flat_module(n_features, n_outputs):
    """Make a module whose output lacks an axis."""

    class Flat(nn.Linear):
        def forward(self, X):
            return super().forward(X)[:, 0]

    return Flat(n_features, n_outputs)


def wide_module(n_features, n_outputs):
    return nn.Linear(n_features, n_outputs + 1)


def lazy_module(n_features, n_outputs):
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(n_outputs))


def small_module(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 6), nn.Tanh(), nn.Linear(6, n_outputs))


class SmallModule(nn.Sequential):
    """The same as a class, whose name has no address: names of tests may have none."""

    def __init__(self, n_features, n_outputs):
        super().__init__(*small_module(n_features, n_outputs))


def sign_of(scores):
    return torch.sign(scores)


def curved_prior(*outputs):
    """What somebody says of the table of all tests in curves, with a code of one."""
    curves = {"age": [(20, -4), (45, -5), (80, 6)], "bmi": [(18, -3), (30, 2), (45, 8)]}
    rest = {
        "smoker": 8,
        "sex=male": 1,
        "region=west": -2,
        "constant": [(0, -3), (9, 5)],
    }
    prior = FeaturePrior.from_dict(dict.fromkeys(outputs, curves | rest))
    code = replace(prior.curves["bmi"], special={0.0: [5.0] * len(outputs)})
    return replace(prior, curves=prior.curves | {"bmi": code})
