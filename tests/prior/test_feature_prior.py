from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from llmreg.exceptions import (
    FeatureNamesError,
    PriorCardError,
    PriorMismatchError,
    PriorScoreError,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Feature


def columns(*names):
    return [Feature(name) for name in names]


@pytest.fixture
def prior():
    return FeaturePrior.from_estimates(
        [{"yes": {"age": 2, "bmi": 8}}, {"yes": {"age": 4, "bmi": 6}}],
        rationale={"age": "Risk grows with age."},
        descriptions={"bmi": "body mass index"},
        task="Who falls ill?",
        target="ill",
        provenance={"model": "some-model"},
        usage={"requests": 2},
    )


class TestMaking:
    def test_from_a_flat_dict(self):
        prior = FeaturePrior.from_dict({"age": 3, "sex=female": -2}, output="yes")
        assert prior.features == ("age", "sex=female")
        assert prior.outputs == ("yes",)
        assert prior.scores.tolist() == [[3, -2]]
        assert prior.estimates is None
        assert prior.spread is None

    def test_from_a_dict_by_output(self):
        prior = FeaturePrior.from_dict({"a": {"x": 1}, "b": {"y": 2, "x": 3}})
        assert prior.outputs == ("a", "b")
        assert prior.features == ("x", "y")
        np.testing.assert_array_equal(prior.scores, [[1, np.nan], [3, 2]])

    def test_from_an_empty_dict(self):
        prior = FeaturePrior.from_dict({})
        assert prior.scores.shape == (1, 0)
        assert prior.align(columns("age"), ["yes"]).missing == ("age",)

    def test_from_arrays(self):
        assert FeaturePrior.from_array([1, 2], ["a", "b"]).outputs == ("target",)
        two = FeaturePrior.from_array([[1, 2], [3, 4]], ["a", "b"], ["x", "y"])
        assert two.scores.tolist() == [[1, 2], [3, 4]]

    def test_rows_of_an_array_need_names(self):
        with pytest.raises(PriorMismatchError, match="needs outputs="):
            FeaturePrior.from_array([[1], [2]], ["a"])

    def test_width_of_an_array_must_fit(self):
        with pytest.raises(PriorMismatchError, match=r"2 features; got shape \(1, 3\)"):
            FeaturePrior.from_array([1, 2, 3], ["a", "b"])

    @pytest.mark.parametrize("kind", ["base_rates", "ranges", "units", "curves"])
    @pytest.mark.parametrize("told", [[0.1, 0.9], "x", 3])
    def test_what_is_told_by_name_is_a_dict(self, kind, told):
        with pytest.raises(PriorScoreError, match=f"{kind} .* must be a dict by name"):
            FeaturePrior.from_dict({"a": 2}, **{kind: told})

    def test_estimates_are_averaged_over_those_that_have_the_feature(self):
        prior = FeaturePrior.from_estimates([{"a": 2}, {"a": 4, "b": -6}])
        assert prior.scores.tolist() == [[3, -6]]
        assert prior.spread.tolist() == [[1, 0]]
        assert prior.estimates.shape == (2, 1, 2)

    def test_wrong_scores_are_named_all_at_once(self):
        with pytest.raises(PriorScoreError) as caught:
            FeaturePrior.from_dict({"age": 11, "bmi": "high", "sex": True, "ok": 1})
        assert all(name in str(caught.value) for name in ("'age'", "'bmi'", "'sex'"))
        assert "'ok'" not in str(caught.value)

    def test_a_feature_that_is_there_twice_is_named(self):
        with pytest.raises(FeatureNamesError, match="'a'"):
            FeaturePrior.from_array([1, 2], ["a", "a"])


class TestCopies:
    @pytest.mark.parametrize(
        "copy_of",
        [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))],
        ids=["copy", "deepcopy", "pickle"],
    )
    def test_are_equal_and_frozen(self, prior, copy_of):
        again = copy_of(prior)
        assert again.to_json() == prior.to_json()
        assert not again.scores.flags.writeable

    def test_clone_as_a_parameter(self, prior):
        assert clone(prior, safe=False).to_json() == prior.to_json()


class TestAlign:
    def test_goes_by_name(self, prior):
        found = prior.align(columns("bmi", "fare", "age"), ["yes"])
        assert found.features == ("bmi", "fare", "age")
        np.testing.assert_array_equal(found.scores, [[7, np.nan, 3]])
        np.testing.assert_array_equal(
            found.estimates[:, 0], [[8, np.nan, 2], [6, np.nan, 4]]
        )
        assert found.missing == ("fare",)
        assert found.unknown == ()

    def test_carries_the_remarks_over_to_the_names_of_the_table(self, prior):
        found = prior.align(columns("num__age", "num__bmi"), ["yes"])
        assert found.rationale == {"num__age": "Risk grows with age."}
        assert found.descriptions == {"num__bmi": "body mass index"}
        assert found.usage == prior.usage
        assert found.provenance == prior.provenance

    def test_reports_what_the_table_lacks(self, prior):
        found = prior.align(columns("age"), ["yes"])
        assert found.unknown == ("bmi",)

    def test_no_opinion_is_not_missing(self):
        prior = FeaturePrior.from_dict({"age": None, "bmi": 1})
        aligned = prior.align(columns("age", "bmi", "sex"), ["yes"])
        assert aligned.missing == ("sex",)
        assert np.isnan(aligned.scores).tolist() == [[True, False, True]]

    def test_two_columns_of_one_name_are_refused(self, prior):
        with pytest.raises(FeatureNamesError, match="'age'"):
            prior.align(columns("age", "age"), ["yes"])

    def test_the_negative_class_changes_the_sign(self):
        prior = FeaturePrior.from_estimates([{"no": {"age": 3}}, {"no": {"age": 5}}])
        found = prior.align(columns("age"), ["yes"], negative="no")
        assert found.scores.tolist() == [[-4]]
        assert found.estimates[:, 0, 0].tolist() == [-3, -5]
        assert found.spread.tolist() == [[1]]
        assert "'no'" in found.provenance["negated"]

    def test_the_positive_class_wins_over_the_negative_one(self):
        prior = FeaturePrior.from_dict({"no": {"age": -1}, "yes": {"age": 2}})
        found = prior.align(columns("age"), ["yes"], negative="no")
        assert found.scores.tolist() == [[2]]
        assert "negated" not in found.provenance

    def test_one_output_of_another_name_is_the_positive_class(self):
        prior = FeaturePrior.from_dict({"age": 2})
        found = prior.align(columns("age"), ["1"], negative="0")
        assert (found.outputs, found.scores.tolist()) == (("1",), [[2]])

    def test_several_outputs_go_by_name_and_others_are_left_out(self):
        prior = FeaturePrior.from_dict(
            {"cat": {"legs": 1}, "dog": {"legs": 2}, "bird": {"legs": 3}}
        )
        found = prior.align(columns("legs"), ["bird", "cat"])
        assert found.outputs == ("bird", "cat")
        assert found.scores.tolist() == [[3], [1]]

    @pytest.mark.parametrize("outputs", [["cat", "fish"], ["fish"]])
    def test_outputs_that_are_not_scored_are_an_error(self, outputs):
        prior = FeaturePrior.from_dict({"cat": {"legs": 1}, "dog": {"legs": 2}})
        with pytest.raises(PriorMismatchError) as caught:
            prior.align(columns("legs"), outputs)
        assert repr(outputs) in str(caught.value)
        assert "['cat', 'dog']" in str(caught.value)

    def test_thousands_of_features_are_no_matter(self):
        names = [f"gene_{i}" for i in range(5000)]
        prior = FeaturePrior.from_array(np.arange(5000) % 21 - 10.0, names)
        found = prior.align(columns(*reversed(names)), ["yes"])
        np.testing.assert_array_equal(found.scores[0], prior.scores[0, ::-1])


class TestFiles:
    def test_a_card_leads_back(self, prior, tmp_path):
        prior.write(tmp_path / "prior.json")
        again = FeaturePrior.read(tmp_path / "prior.json")
        assert again.to_json() == prior.to_json()
        assert again.rationale == prior.rationale
        np.testing.assert_array_equal(again.estimates, prior.estimates)

    def test_a_byte_order_mark_is_no_matter(self, prior, tmp_path):
        path = tmp_path / "prior.json"
        path.write_text(prior.to_json(), encoding="utf-8-sig")
        assert FeaturePrior.read(path).features == prior.features

    def test_a_card_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(PriorCardError, match=r"nowhere\.json"):
            FeaturePrior.read(tmp_path / "nowhere.json")

    def test_bytes_that_are_no_text_are_an_error(self, tmp_path):
        path = tmp_path / "prior.json"
        path.write_bytes(b"\xff\xfe\x00\xd8")
        with pytest.raises(PriorCardError, match="UTF-8"):
            FeaturePrior.read(path)


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "a" * 5000, "/", ""])
def test_a_path_that_cannot_be_is_an_error_of_the_card(path):
    with pytest.raises(PriorCardError, match="cannot be read"):
        FeaturePrior.read(path)
