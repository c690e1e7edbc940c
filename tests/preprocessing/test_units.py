"""Whether rows are in the units that a prior speaks of."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from llmreg import (
    FeaturePrior,
    LLMAttributionClassifier,
    LLMAttributionRegressor,
    TypicalRange,
)
from llmreg.exceptions import PriorMismatchError, PriorUnitsWarning
from llmreg.preprocessing._units import compare

GLUCOSE = TypicalRange(80, 117, 181)
GLUCOSES = np.array([78, 85, 92, 99, 104, 117, 123, 131, 140, 155, 168, 197.0])
CURVES = {"glucose": [(70, -6), (126, 3), (200, 9)], "age": [(20, -2), (60, 4)]}
FIELDS = {
    "ranges": {"glucose": GLUCOSE[:3], "age": (21, 29, 58)},
    "units": {"glucose": "mg/dL"},
}
PRIOR = FeaturePrior.from_dict(CURVES, **FIELDS)


def people(n=12):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"glucose": GLUCOSES[:n], "age": rng.integers(21, 60, n) + 0.5}
    ), np.arange(n) % 2


@pytest.mark.parametrize(
    ("name", "said", "factor", "named"),
    [
        ("glucose", GLUCOSE, 1 / 18.02, 0.05549),
        ("glucose", GLUCOSE, 1000, 1000),
        ("Cholesterol", (150, 200, 280), 1 / 38.67, 0.02586),
        ("body_weight", (50, 70, 100), 2.2046, 2.2046),
        ("HeightCm", (150, 165, 185), 1 / 2.54, 0.3937),
        ("rainfall", (2, 20, 60), 25.4, 25.4),
        ("income", (15_000, 40_000, 110_000), 1 / 1000, 0.001),
        ("age", (21, 29, 58), 12, 12),
        ("age", (21, 29, 58), 365.25, 365.25),
        ("completion rate", (0.4, 0.6, 0.9), 100, 100),
    ],
)
@pytest.mark.parametrize("n", [12, 1_000])
def test_the_likely_factor_is_named(name, said, factor, named, n):
    rng = np.random.default_rng(n)
    level = np.interp(
        rng.random(n), [0, 0.05, 0.5, 0.95, 1], [said[0], *said[:3], said[2]]
    )
    said = TypicalRange(*said[:3])
    assert compare(name, level, said) is None
    found = compare(name, factor * level, said)
    assert found.change == pytest.approx(named)


@pytest.mark.parametrize(
    ("name", "said", "change", "looks"),
    [
        ("temp", (5, 15, 28), (1.8, 32), "in Fahrenheit"),
        ("body temperature", (97, 98.6, 101), (1 / 1.8, -32 / 1.8), "in Celsius"),
        ("temp", (5, 15, 28), (1, 273.15), "in Kelvin"),
        ("model year", (70, 76, 82), (1, 1900), "years in full"),
    ],
)
def test_offsets_are_named_too(name, said, change, looks):
    x = np.linspace(said[0], said[2], 20)
    said = TypicalRange(*map(float, said))
    assert compare(name, x, said) is None
    found = compare(name, change[0] * x + change[1], said)
    assert found.change == pytest.approx(change) and looks in str(found)


@pytest.mark.parametrize("n", [2, 4, 9, 12])
@pytest.mark.parametrize("scaler", [StandardScaler(), RobustScaler(), MinMaxScaler()])
@pytest.mark.parametrize("said", [(21, 29, 58), (0, 3, 10), (-4, 10, 30)])
def test_a_scaler_before_is_seen_at_any_number_of_rows(scaler, said, n):
    x = np.linspace(max(said[0], 0.5), said[2], n) ** 1.1
    scaled = scaler.fit_transform(x[:, None])[:, 0]
    found = compare("x", scaled, TypicalRange(*map(float, said)))
    if isinstance(scaler, MinMaxScaler) and n == 2 and said[0] < 21:
        assert found is None  # 0 and 1 are counts, for all one can tell.
    else:
        assert "standardised" in found.looks or n == 2


def test_a_scaler_that_saw_other_rows_is_seen():
    x = np.random.default_rng(0).normal(0.1, 0.9, 30)
    assert "standardised" in compare("x", x, TypicalRange(0, 3, 10)).looks


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param([0, 1, 1, 0] * 5, (0, 0, 1), id="flag"),
        pytest.param([0.0] * 20, (0, 0, 1), id="flag that is never up"),
        pytest.param([0] * 18 + [7_000, 15_000], (0, 0, 5_000), id="heavy tail"),
        pytest.param([0] * 12 + list(GLUCOSES), GLUCOSE, id="zero: not measured"),
        pytest.param([-1] * 15 + [90, 100], (90, 100, 110), id="a code, as told"),
        pytest.param([1, 2, 3, 4, 5] * 3, (1, 3, 5), id="codes of an answer"),
        pytest.param([5, 5, 5, 5, 6, 4] * 3, (5, 5, 5), id="a range of one value"),
        pytest.param(np.geomspace(1, 1e6, 40), (3, 1e3, 3e5), id="orders of magnitude"),
        pytest.param([250, 260, 300], GLUCOSE, id="a few high ones"),
        pytest.param([np.nan] * 12, GLUCOSE, id="nothing"),
        pytest.param([], GLUCOSE, id="no rows"),
        pytest.param(
            np.random.default_rng(0).normal(size=40), (-1.7, 0, 1.7), id="a z-score"
        ),
    ],
)
def test_rows_in_their_own_units_are_left_alone(values, said):
    said = TypicalRange(*map(float, said[:3]))
    values = np.array(values, dtype=float)
    assert compare("x", values, said, codes=[-1.0]) is None


def test_a_change_that_is_not_known_is_told_as_a_ratio():
    found = compare("x", 8 * GLUCOSES, GLUCOSE)
    assert found.change is None and "about 8.1 times the range" in str(found)


def test_of_a_few_rows_all_must_be_far_off():
    for factor in (1.7, 1 / 1.7):
        assert compare("x", factor * GLUCOSES[:4], GLUCOSE) is None
    for factor in (18.02, 1 / 18.02, 1000):
        assert compare("glucose", factor * GLUCOSES[:4], GLUCOSE) is not None
        mixed = np.r_[factor * GLUCOSES[:3], GLUCOSES[3]]
        assert compare("glucose", mixed, GLUCOSE) is None


def test_half_of_the_rows_must_lie_outside():
    rows = np.r_[GLUCOSES, GLUCOSES / 18]
    assert compare("glucose", rows, GLUCOSE) is not None
    assert compare("glucose", rows[:-1], GLUCOSE) is None


@pytest.mark.filterwarnings("error")
def test_rows_in_the_units_of_the_prior_keep_their_curves():
    model = LLMAttributionClassifier(PRIOR).fit(*people())
    assert set(model.prior_.curves) == set(model.prior_.ranges) == {"glucose", "age"}


@pytest.mark.parametrize("n", [2, 4, 12])
def test_only_the_direction_of_a_curve_is_left(n):
    X, y = people(n)
    X["glucose"] /= 18.02
    model = LLMAttributionClassifier(PRIOR)
    with pytest.warns(PriorUnitsWarning) as told:
        model.fit(X, y)
    assert len(told) == 1
    text = str(told[0].message)
    assert "'glucose' (said 80 to 181 mg/dL, rows 4." in text and "'age'" not in text
    if n > 2:  # Of two rows a range is no more than a guess.
        assert "convert_units({'glucose': 0.05549})" in text
    assert list(model.prior_.curves) == list(model.prior_.ranges) == ["age"]
    np.testing.assert_array_equal(model.prior_.scores[0, :2], PRIOR.scores[0, :2])


def test_what_the_warning_proposes_mends_it():
    X, y = people()
    X["glucose"] /= 18.02
    model = LLMAttributionClassifier(PRIOR)
    with warnings.catch_warnings(action="error"):
        # Asking for the prior tells what it is, and drops nothing.
        prior = model.elicit_prior(X, y)
        assert set(prior.curves) == {"glucose", "age"}
        model.set_params(prior=prior.convert_units({"glucose": 0.05549})).fit(X, y)
    assert set(model.prior_.curves) == {"glucose", "age"}


@pytest.mark.parametrize("n", [4, 12])
def test_a_pipeline_that_scales_is_told(n):
    X, y = people(n)
    model = make_pipeline(
        StandardScaler().set_output(transform="pandas"),
        LLMAttributionClassifier(PRIOR),
    )
    with pytest.warns(PriorUnitsWarning, match="without a scaler before"):
        model.fit(X, y)
    assert not model[-1].prior_.curves


def test_an_error_or_nothing_where_it_is_wanted():
    X, y = people()
    X["age"] *= 365.25
    model = LLMAttributionClassifier(PRIOR, on_unit_mismatch="raise")
    with pytest.raises(PriorMismatchError, match=r"'age': 365\.25"):
        model.fit(X, y)
    with warnings.catch_warnings(action="error"):
        model.set_params(on_unit_mismatch="keep").fit(X, y)
    assert "age" in model.prior_.curves


def test_a_curve_without_a_range_is_held_against_its_knots():
    X, y = people()
    prior = FeaturePrior.from_dict(CURVES)
    with pytest.warns(PriorUnitsWarning, match="said 70 to 200, rows"):
        LLMAttributionClassifier(prior).fit(X * 1000, y)


def test_levels_and_prefixes_are_no_obstacle():
    X, y = people()
    X = X.rename(columns={"glucose": "num__glucose"}).assign(sex=list("mf") * 6)
    X["num__glucose"] /= 18.02
    prior = FeaturePrior.from_dict({**CURVES, "sex=m": 1, "sex=f": -1}, **FIELDS)
    with pytest.warns(PriorUnitsWarning, match=r"\{'num__glucose': 0.05549\}"):
        model = LLMAttributionClassifier(prior).fit(X, y)
    assert list(model.prior_.curves) == ["age"]


def test_rows_of_weight_zero_and_gaps_do_not_count():
    X, y = people()
    X["glucose"] = np.r_[np.nan, GLUCOSES[1:10], 1e6, 1e6]
    weight = np.r_[np.ones(10), 0, 0]
    with warnings.catch_warnings(action="error"):
        model = LLMAttributionClassifier(PRIOR).fit(X, y, weight)
    assert "glucose" in model.prior_.curves


def test_the_first_piece_decides():
    X, y = people()
    model = LLMAttributionClassifier(PRIOR, gamma=1.0)
    with pytest.warns(PriorUnitsWarning):
        model.partial_fit(X * [1 / 18.02, 1], y)
    with warnings.catch_warnings(action="error"):
        model.partial_fit(X * [1 / 18.02, 1], y)
    assert list(model.prior_.curves) == ["age"]


def test_many_columns_make_one_short_warning():
    names = [f"x{k}" for k in range(30)]
    prior = FeaturePrior.from_dict({name: [(100, 1), (200, 2)] for name in names})
    X = pd.DataFrame(np.random.default_rng(0).random((12, 30)), columns=names)
    with pytest.warns(PriorUnitsWarning, match="and 22 more") as told:
        LLMAttributionClassifier(prior).fit(X, np.arange(12) % 2)
    assert len(told) == 1


def test_targets_are_compared_too():
    X, _ = people()
    price = np.linspace(150_000, 600_000, 12)
    prior = FeaturePrior.from_dict(
        {"age": 2, "glucose": 1}, target_ranges={"target": (120_000, 300_000, 700_000)}
    )
    with warnings.catch_warnings(action="error"):
        model = LLMAttributionRegressor(prior).fit(X, price)
    assert list(model.prior_.target_ranges) == ["target"]
    with pytest.warns(PriorUnitsWarning, match="'target' .*divided by 1000"):
        model.fit(X, price / 1000)
    assert not model.prior_.target_ranges


def test_several_targets_are_compared_one_by_one():
    X, _ = people()
    y = pd.DataFrame(
        {"height": np.linspace(150, 190, 12), "mass": np.linspace(50, 99, 12)}
    )
    ranges = {"height": (155, 168, 186), "mass": (50, 70, 100)}
    scores = {"age": 2, "glucose": 1}
    prior = FeaturePrior.from_dict(
        {"height": scores, "mass": scores}, target_ranges=ranges
    )
    with pytest.warns(PriorUnitsWarning, match=r"'mass' .*2\.2046 times"):
        model = LLMAttributionRegressor(prior).fit(X, y * [1, 2.2046])
    assert list(model.prior_.target_ranges) == ["height"]
