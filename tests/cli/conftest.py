"""What the commands need: a loopback model, a key, a table, a cache of their own."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.providers.conftest import clean_environ, key, server, vendor

__all__ = ["clean_environ", "key", "server", "vendor"]

SECRETS = ["271828", "314159"]


@pytest.fixture
def passengers(tmp_path):
    """A CSV file whose rows hold numbers that must not leave it."""
    table = pd.DataFrame(
        {
            "age": [22, 38, None, 35, 271828, 54] * 2,
            "fare": [7.25, 71.28, 7.92, 53.1, 314159, 51.86] * 2,
            "sex": ["male", "female", "female", "female", "male", "male"] * 2,
            "ticket_id": range(12),
            "survived": ["no", "yes", "yes", "yes", "no", "no"] * 2,
        }
    )
    path = tmp_path / "passengers.csv"
    table.to_csv(path, index=False)
    return path
