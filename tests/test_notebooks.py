"""The notebooks run as they stand in the docs, and show what they say they show."""

from __future__ import annotations

import asyncio
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
    """All that its cells print."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.get("text", "") for output in outputs)


async def run(place: Path) -> dict[str, str | BaseException]:
    """Run all notebooks side by side; what each prints, or why it stopped."""
    notebooks = [stored(name) for name in NAMES]
    where = {"metadata": {"path": str(place)}}
    clients = [NotebookClient(each, timeout=200, resources=where) for each in notebooks]
    ends = await asyncio.gather(
        *(client.async_execute() for client in clients), return_exceptions=True
    )
    return {
        name: end if isinstance(end, BaseException) else printed(notebook)
        for name, notebook, end in zip(NAMES, notebooks, ends, strict=True)
    }


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | BaseException]:
    return asyncio.run(run(tmp_path_factory.mktemp("notebooks")))


@pytest.fixture
def texts(ends: dict[str, str | BaseException]) -> dict[str, str]:
    """What the notebooks that ran to their end print."""
    return {name: end for name, end in ends.items() if isinstance(end, str)}


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs(name: str, ends: dict[str, str | BaseException]) -> None:
    end = ends[name]
    if isinstance(end, BaseException):
        raise end


def figure(text: str, words: str) -> float:
    """The number that stands behind these words."""
    found = re.search(rf"{re.escape(words)}:? +(-?\d+(\.\d+)?)", text)
    assert found, f"the notebook prints no {words!r}:\n{text}"
    return float(found[1])


def test_enhancing_removes_noise_and_no_anatomy(texts: dict[str, str]) -> None:
    text = texts["enhance"]
    low_dose = figure(text, "low dose: PSNR")
    assert figure(text, "mean: PSNR") > low_dose + 2
    assert low_dose < figure(text, "sample: PSNR") < figure(text, "mean: PSNR")
    assert 80 < figure(text, "share of the body inside the interval") < 99
    assert figure(text, "change, blurred") < 0.25 * figure(text, "change")
    assert 0 < figure(text, "difference between samples, blurred") < 6
    assert "enhanced/IM0001.dcm" in text
    assert "result/report.html" in text
    assert figure(text, "largest difference from the array's mean") < 3


def test_the_model_is_judged_beside_a_filter_and_a_blur(texts: dict[str, str]) -> None:
    text = texts["judge"]
    psnr = {name: figure(text, f"{name}: PSNR") for name in ("median", "blur", "ours")}
    assert psnr["ours"] > max(psnr["median"], psnr["blur"]) + 3
    assert figure(text, "blur: f50 ratio") < 0.6 < figure(text, "ours: f50 ratio") < 1.2
    assert figure(text, "blur: noise") < figure(text, "median: noise")
    for name in psnr:
        assert 0.6 < figure(text, f"{name}: d' over the low dose's") < 1.2
    assert "Noise power, mean frequency" in text


def test_a_denoiser_that_cannot_be_judged_is_refused_in_words(texts: dict[str, str]) -> None:
    text = texts["judge"]
    assert re.search(r"ModelRefused: .*another unit", text)
    assert re.search(r"ModelRefused: .*\(4, 160, 160\)", text)


def test_training_on_a_folder_gives_a_model_that_loads(texts: dict[str, str]) -> None:
    text = texts["train"]
    assert re.findall(r"exit code: (\d)", text) == ["0", "2"]
    assert "trained/index.json" in text
    assert "trained/model/mean/diffusion_pytorch_model.safetensors" in text
    assert figure(text, "mean: step 12 of 12, mean squared") > 0
    assert "model: ct-enhance-own" in text
    assert "finite: True" in text
    assert "there is no such setting; the nearest is mean.steps" in text


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_stored_with_what_they_show(name: str) -> None:
    """`make notebooks` stores it, and the site shows it."""
    notebook = stored(name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert printed(notebook)
    assert not re.search(r"/tmp/", printed(notebook))
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < MOST_BYTES
