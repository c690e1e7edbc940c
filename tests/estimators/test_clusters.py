"""The same search on every backend: one result, one elicitation, no key on a worker.

dask is part of the suite. ray and spark bring servers of their own: ``make
test-clusters`` installs them, and sets a variable that makes their absence a failure.
"""

import os
import pickle
import pickletools
import sys
import tempfile
from contextlib import contextmanager

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from llmreg import FeaturePrior, LLMAttributionClassifier
from llmreg.providers import AnthropicProvider
from tests.frameworks import framework
from tests.loopback import MessagesServer, answer

pytestmark = pytest.mark.processes

DEMANDED = "LLMREG_TEST_CLUSTERS"
KEY = "sk-ant-of-the-parent-alone"
KEY_VARIABLE = "ANTHROPIC_API_KEY"
N_ESTIMATES = 2
GRID = {"model__gamma": ["auto", 10.0], "model__alpha": [0.3, 1.0]}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "age": rng.normal(50, 9, 60),
            "fare": rng.normal(0, 1, 60),
            "port": pd.Categorical(rng.choice(["s", "q"], 60), categories=["s", "q"]),
        }
    )
    return X, np.where(X["age"] + rng.normal(0, 9, 60) > 50, "yes", "no")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("answers-of-the-parent")


@pytest.fixture(scope="module")
def server():
    with MessagesServer(answer) as running:
        yield running


@pytest.fixture(scope="module")
def prior(rows, cache, server):
    """Asked for in the parent, the only place where the key ever is."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("NO_PROXY", "*")
        patch.setenv(KEY_VARIABLE, KEY)
        provider = AnthropicProvider(
            ask="all", base_url=server.url, n_estimates=N_ESTIMATES, cache=cache
        )
        found = LLMAttributionClassifier(provider).elicit_prior(*rows)
    assert len(server.requests) == N_ESTIMATES
    assert all(request.carried(KEY) for request in server.requests)
    return found


def make_search(prior, **settings):
    columns = ColumnTransformer(
        [
            ("num", StandardScaler(), ["age", "fare"]),
            ("cat", OneHotEncoder(sparse_output=False), ["port"]),
        ]
    ).set_output(transform="pandas")
    model = LLMAttributionClassifier(prior, random_state=0, device="cpu")
    pipeline = Pipeline([("columns", columns), ("model", model)])
    scoring = "neg_log_loss"
    return GridSearchCV(pipeline, GRID, cv=3, scoring=scoring, **settings)


@pytest.fixture(scope="module")
def expected(prior, rows):
    return make_search(prior).fit(*rows)


@contextmanager
def dask(folder):
    distributed = framework("distributed", DEMANDED)
    with (
        distributed.LocalCluster(
            n_workers=1,  # since each loads torch
            threads_per_worker=2,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=str(folder),
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield "dask"


@contextmanager
def ray(folder):
    ray = framework("ray", DEMANDED)
    from ray.util.joblib import register_ray

    register_ray()
    # The paths of its sockets may not be longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as short:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=short,
        )
        try:
            yield "ray"
        finally:
            ray.shutdown()


@contextmanager
def spark_session(folder):
    pyspark = framework("pyspark.sql", DEMANDED)
    builder = pyspark.SparkSession.builder.master("local[2]").appName("llmreg")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(folder),
    }.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch:
        # Workers run whatever "python3" is, unless they are told otherwise.
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        try:
            yield session
        finally:
            session.stop()


@contextmanager
def spark(folder):
    joblibspark = framework("joblibspark", DEMANDED)
    with spark_session(folder):
        joblibspark.register_spark()
        yield "spark"


@contextmanager
def joblibs_own(name):
    yield name


BACKENDS = {
    "loky": lambda folder: joblibs_own("loky"),
    "threading": lambda folder: joblibs_own("threading"),
    "dask": dask,
    "ray": ray,
    "spark": spark,
}
# What Spark warns of is for it to mend; dask and ray need nothing of the kind.
of_spark = pytest.mark.filterwarnings(
    "ignore:`apply_async` is deprecated:DeprecationWarning",
    "ignore:Spark local mode doesn't support stage-level:UserWarning",
    "ignore:Spark session is not provided:UserWarning",
    "ignore:PySpark does not yet fully support pandas:FutureWarning",
    "ignore:The copy keyword is deprecated:DeprecationWarning",
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=of_spark if n == "spark" else ()) for n in BACKENDS],
)
def test_the_same_search(name, rows, prior, expected, server, tmp_path, monkeypatch):
    # Processes that are started now have only what the parent has.
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # or it leaves a token at home
    monkeypatch.setenv("LLMREG_CACHE_DIR", str(tmp_path / "nothing-in-here"))
    with BACKENDS[name](tmp_path) as backend:
        search = make_search(prior, n_jobs=2)
        with joblib.parallel_config(backend, n_jobs=2):
            search.fit(*rows)
            keys = joblib.Parallel()(
                joblib.delayed(os.getenv)(KEY_VARIABLE) for _ in range(4)
            )
    assert KEY not in keys
    assert search.best_params_ == expected.best_params_
    assert search.best_score_ == expected.best_score_
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(
        search.predict_proba(rows[0]), expected.predict_proba(rows[0])
    )
    # All that was ever asked was asked for by the parent.
    assert len(server.requests) == N_ESTIMATES
    assert not (tmp_path / "nothing-in-here").exists()


@of_spark
def test_spark_scores_a_table_in_parts(rows, prior, tmp_path):
    X, y = rows
    fitted = LLMAttributionClassifier(prior, device="cpu").fit(X, y)
    few = 7

    def score_all(tables):
        for part in tables:
            assert len(part) <= few
            yield pd.DataFrame({"chance": fitted.predict_proba(part)[:, 1]})

    with spark_session(tmp_path) as spark:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(few))
        table = spark.createDataFrame(X.astype({"port": str})).coalesce(1)
        scored = table.mapInPandas(score_all, "chance double").toPandas()
    # The files of a table come in any order.
    np.testing.assert_allclose(
        np.sort(scored["chance"]), np.sort(fitted.predict_proba(X)[:, 1])
    )


def test_what_is_shipped_holds_no_key_no_provider_and_no_cache(prior, cache, server):
    shipped = pickle.dumps(make_search(prior, n_jobs=2))
    for secret in (KEY, str(cache), cache.name):
        assert secret.encode() not in shipped
    # Who was asked is told by the prior, and by nothing else.
    assert prior.provenance["address"] == server.url
    assert shipped.count(server.url.encode()) == 1
    names = [
        argument
        for opcode, argument, _ in pickletools.genops(shipped)
        if isinstance(argument, str) and opcode.name != "BINUNICODE"
    ]
    # Modules and classes are short strings of the pickle; the card's provenance, which
    # tells who was asked, is text like any other.
    assert "llmreg.prior._feature_prior" in names and "llmreg.providers" not in names
    model = pickle.loads(shipped).estimator["model"]
    assert type(model.prior) is FeaturePrior
    np.testing.assert_array_equal(model.prior.scores, prior.scores)
