"""The prior without the fit: asked once, where the key is, and shipped as data."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import FeatureNamesError, PriorUnavailableWarning
from tests.fakes import FailingProvider, FakeProvider


class Unclonable(FakeProvider):
    def __deepcopy__(self, memo):
        raise AssertionError("it holds a connection")


@pytest.mark.parametrize("gamma", ["auto", 1.0, 0])
def test_it_is_what_fit_trains_with(table, illness, gamma):
    model = LLMAttributionClassifier(FakeProvider(), gamma=gamma, device="cpu")
    before = FakeProvider.n_calls
    prior = model.elicit_prior(table, illness)
    assert FakeProvider.n_calls == before + 1
    assert not hasattr(model, "encoder_")
    direct = LLMAttributionClassifier(FakeProvider(), device="cpu").fit(table, illness)
    assert isinstance(prior, FeaturePrior)
    assert prior.features == direct.prior_.features
    np.testing.assert_array_equal(prior.scores, direct.prior_.scores)
    asked = FakeProvider.n_calls
    shipped = model.set_params(prior=prior, gamma="auto").fit(table, illness)
    assert FakeProvider.n_calls == asked
    np.testing.assert_array_equal(
        shipped.predict_proba(table), direct.predict_proba(table)
    )


def test_several_targets(table, risk):
    targets = pd.DataFrame({"risk": risk, "age": table["age"]})
    prior = LLMAttributionRegressor(FakeProvider()).elicit_prior(table, targets)
    assert prior.outputs == ("risk", "age")


def test_the_provider_itself_is_asked(table, illness):
    model = LLMAttributionClassifier(Unclonable())
    assert model.elicit_prior(table, illness) is not None


def test_without_a_prior_there_is_none(table, illness):
    assert LLMAttributionClassifier().elicit_prior(table, illness) is None


def test_names_are_needed(rng, illness):
    X = rng.normal(size=(len(illness), 2))
    with pytest.raises(FeatureNamesError, match="have none"):
        LLMAttributionClassifier(FakeProvider(), gamma=0).elicit_prior(X, illness)


def test_on_error(table, illness):
    model = LLMAttributionClassifier(FailingProvider(), on_error="no_prior")
    with pytest.warns(PriorUnavailableWarning):
        prior = model.elicit_prior(table, illness)
    assert np.isnan(prior.scores).all()


def test_the_table_as_it_is_before_a_pipeline(table, illness):
    """Columns that keep their names are found again, with or without a prefix."""
    columns = ColumnTransformer(
        [
            ("num", StandardScaler(), ["age"]),
            ("cat", OneHotEncoder(sparse_output=False), ["region"]),
        ]
    ).set_output(transform="pandas")
    model = LLMAttributionClassifier(FakeProvider(), device="cpu")
    X = table[["age", "region"]]
    prior = model.elicit_prior(X, illness)
    asked = FakeProvider.n_calls
    pipeline = make_pipeline(columns, model.set_params(prior=prior)).fit(X, illness)
    assert FakeProvider.n_calls == asked
    found = dict(
        zip(pipeline[-1].prior_.features, *pipeline[-1].prior_.scores, strict=True)
    )
    given = dict(zip(prior.features, *prior.scores, strict=True))
    assert found["num__age"] == given["age"]
    assert found["cat__region_north"] == given["region=north"]


def test_verbose_tells_of_it(capsys, table, illness):
    model = LLMAttributionClassifier(FakeProvider(), verbose=1)
    model.elicit_prior(table, illness)
    assert "asking FakeProvider" in capsys.readouterr().err
