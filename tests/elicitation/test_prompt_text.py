import pytest

from llmreg.elicitation._prompt import clean_text, read_json
from llmreg.exceptions import ProviderResponseError


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


@pytest.mark.parametrize("text", ["", "{", "NaN}", '{"a": 1, "a": 2}', "[" * 99_999])
def test_what_is_no_json_is_our_error(text):
    with pytest.raises(ProviderResponseError, match="not valid JSON"):
        read_json(text)
