from __future__ import annotations

import re
from pathlib import Path

import pytest

from isocenter.datasets.sentences.grammar import words_known

PAGE = Path(__file__).parents[3] / "docs" / "text.md"


@pytest.mark.parametrize(("language", "heading"), [("en", "English"), ("zh", "Chinese")])
def test_the_page_lists_all_words(language: str, heading: str) -> None:
    found = re.search(rf"^{heading}: (.*?)\.$", PAGE.read_text(), re.M | re.S)
    assert found
    assert re.split(r"[,\s]+", found.group(1)) == words_known(language)
