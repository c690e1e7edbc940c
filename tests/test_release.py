"""What a release consists of, without building one: `make test-release` does that."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import llmreg

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = re.compile(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?")


def test_the_version_is_a_semantic_one():
    assert VERSION.fullmatch(llmreg.__version__)


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {llmreg.__version__}\n" in text
    assert f"\nlicense: {PROJECT['project']['license']}\n" in text


def test_the_changelog_has_this_version_or_what_is_to_be_it():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.search(r"^## (.*)$", text, re.MULTILINE).group(1)
    assert first == "Unreleased" or first.startswith(llmreg.__version__)


def test_every_package_of_the_tree_is_in_the_wheel():
    found = PROJECT["tool"]["setuptools"]["packages"]["find"]
    assert found == {"include": ["llmreg*"]}
    # Without this file a folder is no package to what finds them.
    folders = {path.parent for path in (ROOT / "llmreg").rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_type_hints_are_shipped():
    assert (ROOT / "llmreg" / "py.typed").exists()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["llmreg"]


def test_the_floors_are_pinned_for_their_own_tests():
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints-minimum.txt").read_text().splitlines()
        if "==" in line
    )
    for requirement in PROJECT["project"]["dependencies"]:
        name, floor = re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()
        # torch has no build without CUDA of that age: see CONTRIBUTING.md.
        if name != "torch":
            assert pins[name].removesuffix(".0").startswith(floor.removesuffix(".0"))


def test_the_extras_that_errors_speak_of_exist():
    extras = set(PROJECT["project"]["optional-dependencies"])
    sources = (ROOT / "llmreg").rglob("*.py")
    asked = {
        extra
        for path in sources
        for extra in re.findall(r"llmreg\[(\w+)\]", path.read_text(encoding="utf-8"))
    }
    assert asked
    assert asked <= extras


def test_the_installed_metadata_are_those_of_the_tree():
    found = metadata("llmreg")
    assert found["License-Expression"] == "BSD-3-Clause"
    assert found["Requires-Python"] == PROJECT["project"]["requires-python"]
