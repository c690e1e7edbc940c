"""The code blocks of the pages run, one page after the other, top to bottom."""

import re
from pathlib import Path

import pytest

PAGES = ["README.md", "CONTRIBUTING.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_code_blocks_run(page, capsys):
    text = (Path(__file__).parents[1] / page).read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
