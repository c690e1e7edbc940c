"""A prior with all that a card can hold, and names that mean harm."""

from __future__ import annotations

import numpy as np
import pytest

from llmreg.prior import BaseRate, FeaturePrior, TypicalRange

HOSTILE = '</script><img src=x onerror="alert(1)">\u202e'


@pytest.fixture
def prior():
    return FeaturePrior.from_estimates(
        [
            {
                "yes": {
                    "glucose": [(70, -6), (100, -3), (126, 3), (200, 9)],
                    "sex=f": 2,
                    "sex=m": -2,
                    "bmi": -1,
                    HOSTILE: 3,
                }
            },
            {
                "yes": {
                    "glucose": [(70, -4), (100, -3), (126, 1), (200, 9)],
                    "sex=f": 1,
                    "bmi": 0,
                }
            },
        ],
        ranges={"glucose": TypicalRange(80, 117, 181, (1, 2, 3)), "bmi": (20, 27, 38)},
        units={"glucose": "mg/dL"},
        base_rates={"yes": BaseRate(0.35, 0.02), "no": 0.65},
        rationale={"glucose": "defines the illness", "bmi": HOSTILE},
        task=HOSTILE,
        target="diabetes",
        provenance={"model": "example"},
        usage={"requests": 2},
    )


@pytest.fixture
def rows(rng):
    return {"glucose": rng.normal(120, 30, 200), "bmi": rng.normal(30, 5, 200)}


@pytest.fixture
def plain():
    """A prior of the first version, of two classes of three, and no opinion."""
    return FeaturePrior(
        ("age", "sex=f"), np.array([[3, np.nan], [-1, 2]]), ("early", "late")
    )
