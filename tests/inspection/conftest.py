"""Pictures need no screen, and no figure stays open."""

import matplotlib as mpl
import pytest

mpl.use("Agg")
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")
