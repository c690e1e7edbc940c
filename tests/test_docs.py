"""Every public name is on the site, with an example that runs; so is every command."""

import argparse
import doctest
import importlib
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path
from types import FunctionType

import pytest
from numpydoc.validate import validate

import llmreg
from llmreg import exceptions
from llmreg.cli import _parser

DOCS = Path(__file__).parents[1] / "docs"
API = DOCS / "api"
PROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
# Checks of numpydoc that are left out, with the reasons, in pyproject.toml.
NOT_ASKED = set(PROJECT["tool"]["numpydoc_validation"]["checks"]) - {"all"}

# AutoGluon has an environment of its own (`make test-automl`), so examples of what
# needs it are shown and not run.
NOT_RUN = {"llmreg.automl.autogluon_options", "llmreg.automl.named_levels"}
# Classes of errors have nothing to show one by one: docs/api/exceptions.md has an
# example of how they are caught, docs/howto/errors.md says what to do about each.
NO_EXAMPLE = "llmreg.exceptions"


def modules():
    for found in pkgutil.walk_packages(llmreg.__path__, "llmreg."):
        yield importlib.import_module(found.name)


def public_names():
    """List what the package calls public: what some `__all__` names."""
    for module in [llmreg, *modules()]:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value


def listed_names():
    """List what the pages of the reference show."""
    for page in sorted(API.glob("*.md")):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"\.\. (?:currentmodule|automodule):: (\S+)", line):
                module = match[1]
            elif match := re.fullmatch(
                r"(?: {3}|\.\. auto\w+:: )([A-Za-z_][\w.]*)", line
            ):
                yield f"{module}.{match[1]}"


def find(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


LISTED = {name: find(name) for name in listed_names()}


def test_reference_lists_every_public_name():
    shown = list(LISTED.values())
    missing = [name for name, value in public_names() if value not in shown]
    assert not missing, f"list these on a page of docs/api: {missing}"


def with_methods():
    """List what the pages show, and the methods of the classes among it."""
    for name, value in LISTED.items():
        yield name
        for attribute in dir(value) if inspect.isclass(value) else ():
            owner = next(c for c in value.__mro__ if attribute in vars(c))
            member = vars(owner)[attribute]
            is_ours = owner.__module__.startswith("llmreg")
            kinds = (FunctionType, classmethod, staticmethod, property)
            if is_ours and attribute[0] != "_" and isinstance(member, kinds):
                yield f"{name}.{attribute}"


@pytest.mark.parametrize("name", list(with_methods()))
def test_docstrings_are_numpydoc(name):
    errors = [error for error in validate(name)["errors"] if error[0] not in NOT_ASKED]
    assert not errors


@pytest.mark.parametrize("name", list(LISTED))
def test_every_listed_name_has_an_example(name):
    if name.startswith(NO_EXAMPLE):
        assert inspect.getdoc(LISTED[name])
        return
    value = LISTED[name]
    examples = doctest.DocTestFinder(recurse=False).find(value, name)[0].examples
    assert re.search(r"^Examples\n-{8}$", inspect.getdoc(value), re.MULTILINE)
    run = [e for e in examples if not e.options.get(doctest.SKIP)]
    calls = [e for e in run if not re.match(r"import |from ", e.source)]
    assert calls or name in NOT_RUN


def test_every_error_is_listed_and_told_what_to_do_about():
    defined = {
        name
        for name, value in vars(exceptions).items()
        if inspect.isclass(value) and value.__module__ == exceptions.__name__
    }
    listed = {n.rpartition(".")[2] for n in LISTED if n.startswith(NO_EXAMPLE)}
    advice = (DOCS / "howto" / "errors.md").read_text(encoding="utf-8")
    assert defined == listed
    assert all(name in advice for name in defined)


def leaves(parser, words=()):
    """List the commands that have no commands of their own."""
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield " ".join(words)
    for action in inner:
        for word, command in action.choices.items():
            yield from leaves(command, (*words, word))


@pytest.mark.parametrize("command", list(leaves(_parser())))
def test_every_command_is_shown(command):
    page = (API / "cli.md").read_text(encoding="utf-8")
    assert f"```{{cli-help}} {command}\n" in page
    assert re.search(rf"^llmreg {command}\b", page, re.MULTILINE)


def test_links_between_files_become_links_between_pages(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    repository = importlib.import_module("repository")
    rewrite, drop = repository.rewrite, repository.drop_unmatched
    link = "[so](../docs/reading.md#where-it-helps)"
    assert rewrite(link, "benchmarks/README.md") == "[so](/reading.md#where-it-helps)"
    assert rewrite("[b](../benchmarks/README.md)", "docs/a.md") == "[b](/benchmarks.md)"
    assert (
        rewrite("[n](2-b.ipynb)", "notebooks/1-a.ipynb") == "{doc}`n </notebooks/2-b>`"
    )
    assert rewrite("[r](results/a.md)", "benchmarks/README.md") == "[r](results/a.md)"
    tree = "```{toctree}\n:glob:\n\nstart\n[s]aving*\n```"
    assert drop(tree, "index", {"start"}) == tree.replace("[s]aving*\n", "")
    assert drop(tree, "index", {"start", "saving"}) == tree


def test_every_arrow_of_the_house_leads_down(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    house_map = importlib.import_module("house_map")
    root = tmp_path / "llmreg"
    files = {
        "__init__.py": "from .top import a",
        "top.py": "import numpy\nfrom llmreg.middle.one import b\nimport llmreg.low",
        "middle/__init__.py": "",
        "middle/one.py": "from llmreg import low\nfrom ..low import c",
        "low.py": "",
    }
    for name, code in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(code, encoding="utf-8")
    arrows = house_map.read_arrows(root)
    assert arrows == {
        "llmreg": {"top"},
        "top": {"middle", "low"},
        "middle": {"low"},
        "low": set(),
    }
    assert house_map.find_depths(arrows) == {
        "llmreg": 3,
        "top": 2,
        "middle": 1,
        "low": 0,
    }
    assert house_map.reduce(arrows)["top"] == {"middle"}
    assert house_map.draw(arrows).count("<rect") == 4
    circle = {"a": {"b", "c"}, "b": {"c"}, "c": {"b"}}
    assert house_map.reduce(circle) == circle


def test_pages_are_found_by_what_they_use(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    gallery = importlib.import_module("gallery")
    uses, pages = gallery.uses(), gallery.pages()
    assert "howto/prior-cards" in uses["PriorDisplay"]
    # Nobody imports these: they are what an attribute or a keyword is.
    assert "guide/trust" in uses["Trust"]
    assert "howto/no-rows" in uses["BaseRate"]
    assert not any(name.startswith("api/") for name in pages)
    notebooks = [name for name in pages if name.startswith("notebooks/")]
    assert all(title and images for title, _, images in map(pages.get, notebooks))
    monkeypatch.setitem(pages, "a", ("<i>", "", ["what is seen"]))
    shown = gallery.tile("a", "<b>", "../")
    assert "&lt;i&gt;" in shown and "&lt;b&gt;" in shown
    assert 'src="../_images/a-0-dark.svg"' in shown


def test_a_picture_is_drawn_for_light_and_for_dark_pages(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    # Drawing sets the folder of answers, and moves away and back.
    monkeypatch.setenv("LLMREG_CACHE_DIR", str(tmp_path))
    pictures = importlib.import_module("pictures")
    before = "import matplotlib.pyplot as plt; n = 0; open('kept', 'w').close()"
    last = "open('kept'); n += 1; plt.figure(figsize=(2, 1)).text(0, 0, 'ink')"
    shop = pictures.Workshop()
    assert pictures.draw([before, last], shop, "a-0", tmp_path) == 192
    assert shop.names["n"] == 2
    shop.folder.cleanup()
    texts = [(tmp_path / f"a-0-{kind}.svg").read_text() for kind in ("light", "dark")]
    assert texts[0] != texts[1]
    assert "#ffffff" in texts[1] and "#ffffff" not in texts[0]


def test_every_page_with_a_picture_has_code_that_draws_it():
    directive = re.compile(r"^```\{picture\} ?(.*)\n```$", re.MULTILINE)
    for page in DOCS.rglob("*.md"):
        if {"_build", "generated"} & set(page.parts):
            continue
        text = page.read_text(encoding="utf-8")
        for match in directive.finditer(text):
            assert match[1], f"{page.name} has a picture without words"
            assert "```python\n" in text[: match.start()], page.name
