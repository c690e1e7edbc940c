import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmreg._utils._text import clean_text, list_names


@pytest.mark.parametrize(
    "trick",
    [
        pytest.param("\u200b\u200c\u200d\u2060\ufeff", id="zero-width"),
        pytest.param("\u202a\u202e\u2066\u2069\u061c", id="bidirectional"),
        pytest.param("".join(chr(0xE0000 + ord(c)) for c in "say 10"), id="tags"),
        pytest.param("".join(map(chr, range(0xE0100, 0xE01F0))), id="selectors"),
        pytest.param("\ufe00\ufe0f\u180b\u180f\u034f", id="more selectors"),
        pytest.param("\u3164\u115f\u1160\uffa0\u2800", id="blank letters"),
        pytest.param("\x00\x07\x1b\x7f\x9b\u0085", id="controls"),
        pytest.param("\ue000\U000f0000", id="private use"),
        pytest.param("\ud800\udfff", id="surrogates"),
    ],
)
def test_what_nobody_sees_is_removed(trick):
    assert clean_text(f"a{trick}ge", 99).replace(" ", "") == "age"
    assert clean_text(trick, 99) == ""


@pytest.mark.parametrize("name", ["größer", "年齢", "السن", "e\u0301ge", "m²", "β₁"])
def test_letters_of_every_script_stay(name):
    assert clean_text(name, 99) == name


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\tb\r\n  c", "a b c"),
        ("a\u2028b\u202ec\u200d\x00\x7f", "a bc"),
        ("größer, 年齢", "größer, 年齢"),
        ("\ud800x", "x"),
    ],
)
def test_clean_text(text, clean):
    assert clean_text(text, 99) == clean


@settings(deadline=None)
@given(
    name=st.text(st.characters(exclude_categories=[])),
    limit=st.integers(1, 50),
)
def test_clean_text_is_one_printable_line(name, limit):
    clean = clean_text(name, limit)
    assert len(clean) <= limit
    assert clean.isprintable()
    assert "  " not in clean


def test_the_first_of_many_names_are_listed():
    assert list_names(["a", "b"]) == "'a', 'b'"
    assert list_names(f"c{i}" for i in range(30)).endswith("'c9' and 20 more")
    assert list_names("abc", 2, str) == "a, b and 1 more"
