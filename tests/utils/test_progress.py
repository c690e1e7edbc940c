"""The callbacks of scikit-learn: what a fit tells them, alone and in a search."""

import builtins
import importlib
import pickle
import sys

import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg._utils import _progress as stages
from llmreg.providers import EnsembleProvider
from tests.fakes import FakeProvider, small_module
from tests.providers.test_base import Scripted

callback = pytest.importorskip("sklearn.callback")


class Diary:
    """Writes down what it is told; may ask to stop after a pass."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.begun, self.ended, self.fitted = [], [], []
        self.stop_after = stop_after
        self.open = 0

    def setup(self, estimator, context):
        self.open += 1

    def teardown(self, estimator, context):
        self.open -= 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, fitted_estimator=None
    ):
        self.ended.append(context.task_name)
        if hasattr(fitted_estimator, "score"):
            self.fitted.append(fitted_estimator.score(X, y))
        return self.ended.count("epoch") == self.stop_after


def make(prior, **settings):
    return LLMAttributionClassifier(prior, random_state=0, device="cpu", **settings)


def told(model, X, y, stop_after=None):
    diary = Diary(stop_after)
    model.set_callbacks(diary).fit(X, y)
    assert not diary.open
    return diary


class TestAlone:
    def test_the_stages_of_a_fit(self, table, illness, prior):
        diary = told(make(prior, gamma=1.0), table, illness)
        assert diary.begun == ["fit", "encode", "ask", "train"]
        assert diary.ended == ["encode", "ask", "train", "fit"]
        assert len(diary.fitted) == 1

    def test_the_prior_grid_of_auto(self, table, illness, prior):
        diary = told(make(prior), table, illness)
        assert diary.begun.count("prior grid") == 2
        assert diary.begun.count("group") == diary.ended.count("group") >= 4

    @pytest.mark.parametrize(
        "settings",
        [
            {"hidden_layer_sizes": (4,)},
            {"hidden_layer_sizes": (4,), "gamma": 1.0},
            {"hidden_layer_sizes": (4,), "net__lr": 0.1},
            {"module": small_module, "gamma": 1.0},
            {"solver": "adam", "early_stopping": True, "gamma": 1.0},
        ],
        ids=["auto", "fixed", "loop", "module", "early-stopping"],
    )
    def test_the_passes_of_a_network(self, table, illness, prior, settings):
        diary = told(make(prior, max_iter=3, **settings), table, illness)
        assert diary.begun.count("epoch") == diary.ended.count("epoch") == 3
        assert diary.begun.count("epochs") == 1

    def test_in_the_loop_every_pass_can_be_scored(self, table, illness, prior):
        model = make(prior, gamma=1.0, module=small_module, max_iter=3)
        diary = told(model, table, illness)
        # Three passes, their loop, the stage and the fit.
        assert len(diary.fitted) == 6
        assert diary.fitted[-1] == model.score(table, illness)

    @pytest.mark.parametrize("module", [None, small_module])
    def test_a_callback_may_stop_the_training(self, table, illness, prior, module):
        model = make(prior, gamma=1.0, hidden_layer_sizes=(4,), module=module)
        diary = told(model, table, illness, stop_after=2)
        assert diary.ended.count("epoch") == 2 == model.n_iter_
        assert diary.ended[-2:] == ["train", "fit"]

    def test_callbacks_change_no_model(self, table, illness, prior):
        model = make(prior, hidden_layer_sizes=(4,), max_iter=3)
        expected = clone(model).fit(table, illness).predict_proba(table)
        told(model, table, illness)
        assert (model.predict_proba(table) == expected).all()

    def test_regression(self, table, risk, prior):
        diary = told(LLMAttributionRegressor(prior, device="cpu"), table, risk)
        assert diary.ended[-1] == "fit" and len(diary.fitted) == 1

    def test_a_fit_that_fails_tears_down(self, table, illness):
        diary = Diary()
        with pytest.raises(Exception, match="no score for any column"):
            make({"unknown": 3}).set_callbacks(diary).fit(table, illness)
        assert diary.begun[-1] == "ask" and not diary.open
        assert stages.following() is None

    def test_partial_fit_tells_its_stages(self, table, illness, prior):
        diary = Diary()
        model = make(prior).set_callbacks(diary)
        model.partial_fit(table, illness).partial_fit(table, illness)
        assert diary.begun.count("ask") == 1 and diary.begun.count("train") == 2

    def test_a_fit_inside_of_another_is_not_its_concern(self, table, illness):
        class Fitting(FakeProvider):
            def elicit(self, task):
                make(None).fit(table, illness)
                return super().elicit(task)

        diary = told(make(Fitting()), table, illness)
        assert diary.begun.count("encode") == 1

    def test_answers_one_by_one(self, table, illness, tmp_path):
        settings = {"n_estimates": 4, "max_parallel": 3, "cache": tmp_path}
        one, other, third = (Scripted([1] * 4, name, **settings) for name in "abc")
        for prior, n in (one, 1), (EnsembleProvider([one, other, third]), 2):
            diary = told(make(prior), table, illness)
            for names in diary.begun, diary.ended:
                assert (names.count("answers"), names.count("answer")) == (n, 4 * n)
            ask = diary.ended.index("ask")
            assert set(diary.ended[ask - 5 * n : ask]) == {"answers", "answer"}
        # What is in the cache is not asked for again.
        assert "answers" not in told(make(one), table, illness).begun

    def test_the_progress_bar(self, capsys, table, illness, prior):
        pytest.importorskip("rich")
        model = make(prior, hidden_layer_sizes=(4,), max_iter=3)
        model.set_callbacks(callback.ProgressBar()).fit(table, illness)
        out = capsys.readouterr().out
        assert "LLMAttributionClassifier - train" in out and "epochs" in out


class TestInSearches:
    @pytest.mark.parametrize(
        "n_jobs", [1, pytest.param(2, marks=pytest.mark.processes)]
    )
    def test_the_progress_bar(self, capsys, table, illness, prior, n_jobs):
        pytest.importorskip("rich")
        search = GridSearchCV(make(prior), {"gamma": [0.1, 1.0]}, cv=2, n_jobs=n_jobs)
        search.set_callbacks(callback.ProgressBar()).fit(table, illness)
        out = capsys.readouterr().out
        assert "GridSearchCV - fit" in out
        # Long names are cut where the terminal is narrow: those of the fits are.
        assert out.count("LLMAttributionClassifier - train") >= 5

    def test_in_a_pipeline_of_a_search(self, table, illness, prior):
        numbers = table[["age", "smoker"]].astype(float)
        scaler = StandardScaler().set_output(transform="pandas")
        pipeline = make_pipeline(scaler, make({"age": 6}))
        grid = {"llmattributionclassifier__gamma": [0.1, 1.0]}
        diary = told(GridSearchCV(pipeline, grid, cv=2), numbers, illness)
        # Four fits and the last one, with the best parameters.
        assert diary.begun.count("encode") == diary.begun.count("ask") == 5

    def test_callbacks_are_no_parameters(self, prior):
        model = make(prior).set_callbacks(Diary())
        assert not [name for name in model.get_params() if "callback" in name]
        assert clone(model)._skl_callbacks is model._skl_callbacks
        assert pickle.loads(pickle.dumps(model))._skl_callbacks[0].begun == []
        assert not hasattr(model.set_callbacks(), "_skl_callbacks")


def test_nothing_is_told_without_callbacks(table, illness, prior, monkeypatch):
    monkeypatch.setattr(stages, "Follower", None)
    make(prior).fit(table, illness)
    items = [1, 2]
    assert stages.steps(items, "folds", "fold", 2) is items


def test_without_the_api_there_is_no_set_callbacks(monkeypatch):
    """As with scikit-learn 1.6 to 1.8."""
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("sklearn.callback"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    spec = importlib.util.spec_from_file_location("older_stages", stages.__file__)
    older = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "older_stages", older)
    monkeypatch.setattr(builtins, "__import__", absent)
    spec.loader.exec_module(older)
    assert not hasattr(older.CallbackSupportMixin, "set_callbacks")
    with older.follow(object(), None, None, None, 3), older.stage("encode"):
        assert older.following() is None
