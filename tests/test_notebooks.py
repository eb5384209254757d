"""The notebooks run as they stand in the docs, and show what they say they show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
MOST_BYTES = 400_000


def stored(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def printed(notebook: Any) -> str:
    """All that its cells print, or show as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    return "".join(output.get("text", "") for output in outputs)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a notebook prints when it is run in an empty folder."""

    def run(name: str) -> str:
        notebook = stored(name)
        place = tmp_path_factory.mktemp(name)
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(place)}})
        client.execute()
        return printed(notebook)

    return run


def figure(text: str, words: str) -> float:
    """The number that stands behind these words."""
    found = re.search(rf"{re.escape(words)}:? +(-?\d+(\.\d+)?)", text)
    assert found, f"the notebook prints no {words!r}:\n{text}"
    return float(found[1])


def test_enhancing_removes_noise_and_no_anatomy(run: Any) -> None:
    text = run("enhance")
    low_dose = figure(text, "low dose: PSNR")
    assert figure(text, "mean: PSNR") > low_dose + 2
    assert low_dose < figure(text, "sample: PSNR") < figure(text, "mean: PSNR")
    assert 80 < figure(text, "share of the body inside the interval") < 99
    assert figure(text, "change, blurred") < 0.25 * figure(text, "change")
    assert figure(text, "difference between samples, blurred") < 5
    assert "enhanced/IM0001.dcm" in text
    assert "result/report.html" in text
    assert figure(text, "largest difference from the array's mean") < 3


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_stored_with_what_they_show(name: str) -> None:
    """`make notebooks` stores it; pages of the site show it."""
    cells = [cell for cell in stored(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert printed(stored(name))


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_stay_small(name: str) -> None:
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < MOST_BYTES
