"""The notebooks as they are committed; `notebooks/run.py` runs them."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.data.knowledge import recorded_knowledge
from llmreg import FeaturePrior

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NAMES = (
    "01-first-fit",
    "02-expert-prior",
    "03-pipelines-and-searches",
    "04-biased-data",
    "05-regression-and-classes",
    "06-own-module",
    "07-automl",
    "08-cluster",
    "09-messy-table",
)
CARDS = sorted(path.name for path in (FOLDER / "priors").iterdir())
LARGEST = 400_000
# A folder of somebody's machine, as outputs and tracebacks show it.
MACHINE = re.compile(r"(?<![\w.])/(work|root|home|tmp|Users|usr|var|opt)/|[A-Z]:\\\\")
# An object that has no text of its own, or a widget.
BARE = re.compile(r"<[\w.]+ (object )?at 0x[0-9a-f]+>|widget-view")


@pytest.fixture(params=NAMES)
def path(request):
    return FOLDER / f"{request.param}.ipynb"


@pytest.fixture
def notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


def text(cell):
    return "".join(cell["source"])


def outputs(notebook):
    return [output for cell in notebook["cells"] for output in cell.get("outputs", ())]


def test_there_are_no_others():
    assert tuple(p.stem for p in sorted(FOLDER.glob("*.ipynb"))) == NAMES
    listed = re.findall(
        r"\[(\d\d-[\w-]+)\]\(\1\.ipynb\)", (FOLDER / "README.md").read_text()
    )
    assert tuple(listed) == NAMES


def test_it_is_small_and_has_no_machine_in_it(path):
    content = path.read_text(encoding="utf-8")
    assert len(content.encode()) < LARGEST
    assert not MACHINE.search(content)


def test_it_has_a_title_and_headings_in_order(notebook):
    first = notebook["cells"][0]
    assert first["cell_type"] == "markdown"
    assert re.match(r"# \S.*\n\n\S", text(first))
    levels = [
        len(marks)
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
        for marks in re.findall(
            r"^(#+) ", re.sub(r"```.*?```", "", text(cell), flags=re.S), re.M
        )
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_its_text_has_no_html(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            assert not re.search(r"</?[a-z]+[^>]*>", text(cell))


def test_it_was_run_from_top_to_bottom(notebook):
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == list(range(1, len(code) + 1))
    assert outputs(notebook)


def test_its_outputs_are_tidy(notebook):
    for output in outputs(notebook):
        assert output["output_type"] in ("execute_result", "display_data", "stream")
        assert output.get("name") != "stderr"
        shown = json.dumps(output.get("data", {}).get("text/plain", ""))
        if "image/png" not in output.get("data", {}):
            assert not BARE.search(shown)


def test_it_shows_a_picture(notebook):
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))


def test_its_metadata_are_those_of_every_machine(notebook):
    assert notebook["metadata"] == {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    assert not any("execution" in cell["metadata"] for cell in notebook["cells"])


def test_its_links_lead_somewhere(path, notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)#:]+)\)", text(cell)):
                assert (path.parent / target).exists(), target


@pytest.mark.parametrize(
    "path", sorted((FOLDER / "priors").glob("*.json")), ids=lambda p: p.stem
)
def test_a_card_holds_what_was_recorded(path):
    card = FeaturePrior.read(path)
    if card.curves:
        recorded = recorded_knowledge(path.stem)
        assert card.base_rates == recorded.base_rates
        for name, curve in recorded.curves.items():
            # A card rounds what is averaged.
            effects = card.curves[name].effects
            np.testing.assert_allclose(effects, curve.effects, atol=0.001)
    else:
        recorded = FeaturePrior.read(
            ROOT / "benchmarks" / "data" / "priors" / path.name
        )
    places = [recorded.features.index(feature) for feature in card.features]
    np.testing.assert_array_equal(card.estimates, recorded.estimates[:, :, places])
    np.testing.assert_allclose(card.scores, recorded.scores[:, places])
    assert card.provenance["source"] == recorded.provenance["source"]
    assert card.descriptions
