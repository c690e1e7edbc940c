"""Records of a fit: where they go, who sees them, what is never in them."""

import logging
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

import llmreg
from llmreg import LLMAttributionClassifier
from llmreg._utils._log import get_logger, showing
from tests.fakes import FailingProvider, FakeProvider, small_module

logger = get_logger("llmreg.toy")


def make(prior, **settings):
    return LLMAttributionClassifier(prior, random_state=0, device="cpu", **settings)


def names_of_settings():
    package = logging.getLogger("llmreg")
    return package.level, list(package.handlers), logging.root.level


class TestLogger:
    def test_the_package_has_a_handler_that_does_nothing(self):
        handlers = logging.getLogger("llmreg").handlers
        assert [type(h) for h in handlers] == [logging.NullHandler]

    def test_every_module_logs_under_the_package(self):
        for path in Path(llmreg.__file__).parent.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if path.name != "_log.py":
                assert "logging.getLogger" not in text, path
                assert "get_logger(" not in text or "get_logger(__name__)" in text

    def test_a_record_tells_who_logged_it(self, caplog):
        with caplog.at_level("INFO", "llmreg"):
            logger.info("%d of %d", 1, 2)
        (record,) = caplog.records
        assert record.name == "llmreg.toy" and record.getMessage() == "1 of 2"
        assert record.funcName == "test_a_record_tells_who_logged_it"

    def test_nothing_is_written_without_verbose(self, capsys, table, illness, prior):
        make(prior).fit(table, illness)
        logger.warning("unheard")
        assert capsys.readouterr() == ("", "")


class TestShowing:
    def test_one_line_a_record(self, capsys):
        with showing("Model", 1):
            logger.info("100%")
            logger.debug("not at this level")
        logger.info("too late")
        err = capsys.readouterr().err
        assert err.startswith("[Model ") and err.endswith(" s] 100%\n")
        assert err.count("\n") == 1

    def test_no_command_reaches_the_terminal(self, capsys):
        with showing("Model", 1):
            logger.info("column %s", "\x1b[2J\nage")
        assert capsys.readouterr().err.endswith(" s] column  [2J age\n")

    def test_debug_is_the_second_level(self, capsys):
        with showing("Model", 2):
            assert logger.isEnabledFor(logging.DEBUG)
            logger.debug("a pass")
        assert not logger.isEnabledFor(logging.DEBUG)
        assert "a pass" in capsys.readouterr().err

    def test_a_quiet_fit_inside_of_a_verbose_one_is_quiet(self, capsys):
        with showing("Model", 1), showing("Inner", 0):
            logger.info("inside")
        assert not capsys.readouterr().err

    def test_other_threads_are_not_shown(self, capsys):
        with showing("Model", 1):
            other = threading.Thread(target=logger.info, args=("of another fit",))
            other.start()
            other.join()
        assert not capsys.readouterr().err

    def test_not_twice_where_the_program_writes_it_itself(self, capsys):
        import sys

        handler = logging.StreamHandler(sys.stderr)
        plain = logging.getLogger("llmreg.toy")
        plain.addHandler(handler)
        plain.setLevel(logging.INFO)
        try:
            with showing("Model", 1):
                logger.info("once")
        finally:
            plain.removeHandler(handler)
            plain.setLevel(logging.NOTSET)
        assert capsys.readouterr().err == "once\n"


class TestFits:
    def test_verbose_tells_the_stages(self, capsys, table, illness):
        before = names_of_settings()
        make(FakeProvider(), verbose=1).fit(table, illness)
        out, err = capsys.readouterr()
        assert not out and names_of_settings() == before
        told = [line.partition(" s] ")[2] for line in err.splitlines()]
        assert told[0] == "60 rows of 5 columns, encoded in 9"
        assert told[1] == "asking FakeProvider about 9 features"
        assert told[2] == "the prior scores 9 of 9 columns"
        assert told[3].startswith("The 60 training rows")
        assert told[4].startswith("trained in ") and "gamma" in told[4]

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"gamma": 1.0},
            {"hidden_layer_sizes": (4,), "max_iter": 2},
            {"gamma": 1.0, "solver": "adam", "max_iter": 2},
            {"gamma": 1.0, "module": small_module, "max_iter": 2},
        ],
        ids=["auto", "fixed", "auto-mlp", "adam", "module"],
    )
    def test_verbose_trains_the_same_model(
        self, capsys, table, illness, prior, settings
    ):
        quiet = make(prior, **settings).fit(table, illness)
        told = make(prior, verbose=2, **settings).fit(table, illness)
        assert type(told.net_.module_) is type(quiet.net_.module_)
        np.testing.assert_array_equal(
            told.predict_proba(table), quiet.predict_proba(table)
        )
        assert "trained in" in capsys.readouterr().err

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_losses_of_every_pass(self, capsys, table, illness, prior, early_stopping):
        settings = {"solver": "adam", "max_iter": 3, "early_stopping": early_stopping}
        make(prior, gamma=1.0, verbose=2, **settings).fit(table, illness)
        out, err = capsys.readouterr()
        assert not out and err.count("loss train") == 3
        assert err.count(", valid ") == 3 * early_stopping

    def test_the_table_of_skorch_for_those_who_ask_for_it(
        self, capsys, table, illness, prior
    ):
        make(prior, net__verbose=1, max_iter=2).fit(table, illness)
        assert "train_loss" in capsys.readouterr().out

    def test_nobody_is_asked(self, capsys, table, illness):
        make(FakeProvider(), gamma=0, verbose=1).fit(table, illness)
        assert "the provider is not called" in capsys.readouterr().err
        make(None, verbose=1).fit(table, illness)
        assert "] no prior\n" in capsys.readouterr().err

    @pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorUnavailableWarning")
    def test_a_failure_is_told(self, capsys, table, illness):
        model = make(FailingProvider(), on_error="no_prior", verbose=1)
        model.fit(table, illness)
        assert "gave no prior" in capsys.readouterr().err

    def test_no_row_is_told(self, capsys, caplog, table, illness, prior):
        caplog.set_level("DEBUG")
        table.loc[0, "bmi"] = 271828.25
        make(prior, verbose=2, hidden_layer_sizes=(4,), max_iter=2).fit(table, illness)
        err = capsys.readouterr().err
        assert "trained in" in err and "trained in" in caplog.text
        assert "271828" not in err + caplog.text

    def test_a_verbose_model_is_saved_as_any_other(self, table, illness, prior):
        settings = {"solver": "adam", "max_iter": 2, "early_stopping": True}
        model = make(prior, gamma=1.0, verbose=1, **settings).fit(table, illness)
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(
            again.predict_proba(table), model.predict_proba(table)
        )
