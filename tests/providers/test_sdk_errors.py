"""What is taken out of the texts of servers, beside what every vendor promises."""

from __future__ import annotations

import json

import pytest

from llmreg.providers._sdk_errors import hide

KEY = "sk-planted/1f0e9d8c"


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        KEY.replace("/", "\\/"),
        KEY.replace("s", "\\u0073").replace("/", "\\u002F"),
        "\u200b\u2060".join(KEY),
        json.dumps("\u200b \n".join(KEY))[1:-1],
        f"{KEY[:4]}\\u0020{KEY[4:]}",
    ],
)
def test_a_secret_is_seen_however_it_is_written(written):
    other = "another secret"
    assert hide(f"1 {written} 2", (other, KEY)) == "1 *** 2"
    assert hide(written + written, (KEY,)) == "***" * 2
    assert hide(written + KEY[:-1], (KEY,)) == "***" + KEY[:-1]


def test_other_texts_stay_as_they_are():
    text = 'A "reason"\\n of \\u00e9 \\ größer\\x: ' + KEY[:-1]
    assert hide(text, (KEY, "", " " * 9)) == text
    # What is short is no more than a word: only as it is.
    assert hide("n one, none", ("none",)) == "n one, ***"
