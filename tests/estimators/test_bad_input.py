"""What cannot be fitted: one error each, typed, with a way out."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.utils._param_validation import InvalidParameterError

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import (
    DataError,
    DeviceError,
    FeatureNamesError,
    IncompleteReplyError,
    ModuleOutputError,
    PriorCardError,
    PriorDisabledWarning,
    PriorError,
    PriorMismatchError,
    PriorMismatchWarning,
    PriorScoreError,
    UnsupportedColumnError,
)
from tests.fakes import FakeProvider, ForgetfulProvider, flat_module, wide_module

ESTIMATORS = (LLMAttributionClassifier, LLMAttributionRegressor)


def fit(X, y, prior=None, **parameters):
    parameters = {"device": "cpu", "random_state": 0} | parameters
    return LLMAttributionClassifier(prior, **parameters).fit(X, y)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("as_frame", [True, False])
def test_no_rows(estimator, as_frame, table):
    X = table[:0] if as_frame else np.empty((0, 3))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        estimator(device="cpu").fit(X, [])


def test_no_columns(table, illness):
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        fit(table[[]], illness)


def test_one_class(table):
    with pytest.raises(DataError, match=r"at least 2 classes.*only: 'ill'"):
        fit(table, ["ill"] * len(table))


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, Decimal("sNaN")])
def test_missing_labels(table, illness, missing):
    y = illness.astype(object)
    y[3] = missing
    with pytest.raises(DataError, match="1 missing label"):
        fit(table, y)


def test_labels_without_an_order(table, illness):
    y = illness.astype(object)
    y[3] = True
    with pytest.raises(DataError, match=r"no order together: bool, str.*one type"):
        fit(table, y)


@pytest.mark.parametrize("kind", ["boolean", "Int64", "string", "category"])
def test_labels_of_nullable_types_are_what_they_are(table, illness, kind):
    plain = {"boolean": bool, "Int64": int}.get(kind, str)
    y = (illness == "ill").astype(plain)
    model = fit(table, y.astype(kind))
    assert model.classes_.tolist() == sorted(set(y))
    assert [type(label) for label in model.classes_.tolist()] == [plain, plain]
    np.testing.assert_array_equal(model.predict(table), fit(table, y).predict(table))
    assert model.score(table, y.astype(kind)) > 0.5


@pytest.mark.parametrize(
    "y",
    [
        [1.5, 2.5],
        pd.Series([0, 1], dtype=object),
        pd.Series(pd.PeriodIndex(["2020", "2021"], freq="Y")),
    ],
    ids=["broken numbers", "objects", "periods"],
)
def test_what_is_no_label(table, y):
    with pytest.raises(DataError, match=r"Unknown label type.*y.astype\(str\)"):
        fit(table[:2], y)


@pytest.mark.parametrize("kind", ["datetime64[ns]", "datetime64[ns, UTC]", "m8[s]"])
def test_dates_are_no_targets(table, kind):
    y = pd.Series(np.arange(len(table)) * 86_400, dtype="m8[s]")
    y = y if kind == "m8[s]" else (y + pd.Timestamp("2020-01-01")).astype("M8[ns]")
    y = y.dt.tz_localize("UTC") if "UTC" in kind else y
    for given in (y, y.to_numpy()) if "UTC" not in kind else (y,):
        with pytest.raises(DataError, match=r"dates or durations.*Timedelta"):
            LLMAttributionRegressor(device="cpu").fit(table, given)


@pytest.mark.parametrize("sizes", [(4.5,), [[4, 4]], (4, 0)])
def test_widths_that_are_none(table, illness, sizes):
    with pytest.raises(ValueError, match="whole widths of at least 1"):
        fit(table, illness, hidden_layer_sizes=sizes)


def test_missing_targets(table, risk):
    with pytest.raises(ValueError, match="Input y contains NaN"):
        LLMAttributionRegressor(device="cpu").fit(table, risk.where(risk.index > 3))


def test_unequal_lengths(table, illness):
    with pytest.raises(DataError, match="60 and 59"):
        fit(table, illness[:-1])


@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_infinite_values(table, risk, as_frame, estimator):
    X = table[["age", "bmi"]].fillna(0.0)
    X.iloc[2, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        estimator(device="cpu").fit(
            X if as_frame else X.to_numpy(), (risk > risk.mean()).astype(int)
        )


@pytest.mark.parametrize(
    "parameters",
    [
        {"gamma": -1.0},
        {"attribution": "saliency"},
        {"score_transform": "log"},
        {"penalty_on": "column"},
        {"solver": "newton"},
        {"activation": "step"},
        {"alpha": -0.1},
        {"max_iter": 0},
        {"batch_size": 0},
        {"module": 3},
        {"validation_fraction": 1.0},
        {"feature_descriptions": "age in years"},
    ],
)
def test_parameters_out_of_range(table, illness, parameters):
    [name] = parameters
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        fit(table, illness, **parameters)


def test_array_prior_of_the_wrong_width(table, illness, stage):
    X = table[["age", "bmi"]]
    with pytest.raises(PriorMismatchError, match=r"shape \(3,\).*\(1, 2\).*'age', 'b"):
        fit(X, illness, [1, 2, 3])
    with pytest.raises(PriorMismatchError, match=r"shape \(2,\).*\(3, 2\)"):
        fit(X, stage, [1, 2])


def test_dict_prior_with_unknown_names(table, illness):
    message = r"prior contains 2 unexpected feature names: 'agee', 'weight'.*'age'"
    with pytest.raises(PriorMismatchError, match=message):
        fit(table, illness, {"age": 1, "agee": 2, "weight": 3})


def test_dict_prior_with_unknown_names_only(table, illness):
    with pytest.raises(PriorMismatchError, match="no score for any column"):
        fit(table, illness, {"weight": 3})


def test_feature_prior_that_fits_in_part(table, illness):
    prior = FeaturePrior.from_dict({"age": 1, "bmi": 2, "weight": 3})
    message = r"no score for 'smoker', .*scores 'weight', which the table does not"
    with pytest.warns(PriorMismatchWarning, match=message):
        model = fit(table, illness, prior)
    assert model.prior_.unknown == ("weight",)
    assert "smoker" in model.prior_.missing


HOMES = pd.DataFrame(
    {
        "age": np.arange(20.0, 60.0),
        "sex": ["F", "M", "f", "male"] * 10,
        "garden": [True, False] * 20,
    }
)
OLD = np.arange(40) > 20


@pytest.mark.parametrize("make", [dict, FeaturePrior.from_dict])
@pytest.mark.parametrize(
    ("score", "told"),
    [
        ({"sex=Male": 2}, "sex=Male: the levels are F, M, f, male"),
        ({"sex=female": 2}, "sex=female: the levels are F, M, f, male"),
        ({"garden=yes": 2}, "garden=yes: the levels are False, True"),
        ({"age=30": 2}, "age=30: 'age' is a column of numbers.* feature_kinds={'age'"),
        ({"agee": 2}, "agee: the nearest names are 'age'"),
        ({"aeg": [(20, -3), (60, 4)]}, "aeg: the nearest names are 'age'"),
        ({"sx=F": 1}, "sx=F: the nearest names are 'sex=F', 'sex=f'"),
        ({"sex": 2}, "sex is a category: score its levels, as in {'sex=F': ..., 's"),
        ({"sex": [(0, 1), (1, 2)]}, "sex is a category"),
        ({"zip": 2}, "'zip'"),
    ],
)
def test_nothing_said_is_dropped_in_silence(make, score, told):
    # A key of a dict that is of no column is a mistake, that of a card may be none.
    [key] = score
    is_error = make is dict and key in ("agee", "aeg", "sx=F", "sex", "zip")
    with (
        pytest.raises(PriorMismatchError, match=told)
        if is_error
        else pytest.warns(PriorMismatchWarning, match=told)
    ):
        fit(HOMES, OLD, make({**score, "age": 1}))


def test_levels_of_one_hot_columns_are_told_as_well():
    X = pd.get_dummies(HOMES)
    with pytest.warns(PriorMismatchWarning, match="sex=Male: the levels are F, M, f"):
        fit(X, OLD, {"age": 1, "sex=Male": 2})
    with pytest.raises(PriorMismatchError, match="sex is a category"):
        fit(X, OLD, {"sex": 1})


def test_level_that_rows_to_come_may_have_is_nothing_to_tell_of():
    scores = {"sex=F": 1, "sex=f": 1, "sex=M": -1, "sex=male": -1, "sex=other": 3}
    prior = fit(HOMES, OLD, scores).prior_
    assert prior.scores[0, prior.features.index("sex=other")] == 3
    with pytest.warns(PriorMismatchWarning, match="sex=male"):
        fit(HOMES[HOMES["sex"] != "male"], OLD[HOMES["sex"] != "male"], {"sex=male": 1})
    declared = HOMES.astype({"sex": pd.CategoricalDtype(["F", "M", "f", "male", "x"])})
    fit(declared, OLD, {"sex=x": 1})
    fit(HOMES, OLD, {"age": 1, "sex=missing": 1})


def test_prior_says_for_which_class_a_dict_without_one_speaks():
    y = np.where(OLD, "old", "young")
    note = fit(HOMES, y, {"age": 1}).prior_.provenance["class"]
    assert note == "the scores name no class; they speak for 'young'"
    assert "class" not in fit(HOMES, y, {"young": {"age": 1}}).prior_.provenance


def test_scores_out_of_range(table, illness):
    with pytest.raises(PriorScoreError, match=r"'age' has 11.*'bmi' has -50"):
        fit(table, illness, {"age": 11, "bmi": -50})


def test_scores_for_other_classes(table, stage):
    with pytest.raises(PriorMismatchError, match=r"'early', 'late', 'middle'"):
        fit(table, stage, {"age": 3})


@pytest.mark.parametrize("prior", [0.0, {"age": 0, "bmi": 0}])
def test_all_zero_prior_switches_the_penalty_off(table, illness, prior):
    with pytest.warns(PriorDisabledWarning, match="has no effect"):
        model = fit(table, illness, prior, gamma=1e6)
    np.testing.assert_array_equal(
        model.predict_proba(table), fit(table, illness).predict_proba(table)
    )


def test_provider_that_forgets_a_feature(table, illness):
    message = r"left 1 of 9 features without a score: 'region=west'"
    with pytest.raises(IncompleteReplyError, match=message) as caught:
        fit(table, illness, ForgetfulProvider())
    assert "No model was trained" in str(caught.value)


@pytest.mark.parametrize("prior", ["no such card.json", "prior"])
def test_no_such_card(table, illness, prior):
    with pytest.raises(PriorCardError, match=r"no such|prior"):
        fit(table, illness, prior)


@pytest.mark.parametrize("prior", [object(), FakeProvider, {"age"}, [["x"]]])
def test_no_prior_at_all(table, illness, prior):
    with pytest.raises(PriorError, match="prior must be a provider"):
        fit(table, illness, prior)


@pytest.mark.parametrize("prior", [FakeProvider(), {"age": 3}])
def test_nameless_columns(table, illness, prior):
    X = table[["age", "bmi"]].fillna(0.0).to_numpy()
    message = r"set_output\(transform=\"pandas\"\).*feature_names="
    with pytest.raises(FeatureNamesError, match=message):
        fit(X, illness, prior)
    fit(X, illness, prior, feature_names=["age", "bmi"])


def test_duplicate_names_are_ambiguous_only_with_a_prior(table, illness):
    X = table[["age", "bmi"]].set_axis(["age", "age"], axis=1)
    assert fit(X, illness).predict(X).shape == (len(X),)
    assert fit(X, illness, [1.0, 2.0]) is not None
    for prior in ({"age": 3}, FakeProvider()):
        with pytest.raises(FeatureNamesError, match=r"'age'.*Rename"):
            fit(X, illness, prior)


def test_names_that_are_numbers(table, illness):
    X = table[["age", "bmi"]].set_axis([0, 1], axis=1)
    model = fit(X, illness, {0: 3, 1: -2})
    assert model.prior_.scores.tolist() == [[3, -2]]
    assert not hasattr(model, "feature_names_in_")
    with pytest.raises(FeatureNamesError, match="feature_names="):
        fit(X, illness, FakeProvider())


def test_descriptions_of_unknown_columns(table, illness):
    with pytest.raises(FeatureNamesError, match=r"1 unexpected feature names: \['x'\]"):
        fit(table, illness, FakeProvider(), feature_descriptions={"x": "?"})


def test_too_few_feature_names(table, illness):
    with pytest.raises(FeatureNamesError, match="has 1 names, but X has 2 columns"):
        fit(table[["age", "bmi"]], illness, feature_names=["age"])


@pytest.mark.parametrize("module", [flat_module, wide_module])
def test_module_of_the_wrong_width(table, illness, module):
    with pytest.raises(ModuleOutputError, match=r"\(n_samples, 1\)"):
        fit(table, illness, module=module)


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "abacus"])
def test_device_that_is_not_there(table, illness, device):
    with pytest.raises(DeviceError, match=f"device='{device}' is not available"):
        fit(table, illness, device=device)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.date_range("2020-01-01", periods=60), "seen"),
        ([f"patient says that it hurts a lot {i}" for i in range(60)], "seen"),
    ],
)
def test_dates_and_free_text(table, illness, column, message):
    with pytest.raises(UnsupportedColumnError, match=message):
        fit(table.assign(seen=column), illness)


def test_nothing_is_asked_before_the_rows_are_checked(table):
    before = FakeProvider.n_calls
    with pytest.raises(DataError):
        fit(table, ["ill"] * len(table), FakeProvider())
    assert FakeProvider.n_calls == before
