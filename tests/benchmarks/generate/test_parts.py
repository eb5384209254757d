"""Every part of the benchmark of generators runs and says what its page needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.generate.autoencoder import DIAMETERS_MM, OURS, _nodules, covered, from_which
from benchmarks.generate.drawn import FOLDER, drawn_by_default
from benchmarks.generate.other_autoencoder import KEPT, read_autoencoder, shape_of
from benchmarks.generate.parts import PARTS
from benchmarks.generate.study import Study
from tests.benchmarks.generate.tiny_study import CHEST, tiny_study

from benchmarks.generate import likeness, publish, speed
from isocenter.datasets.splits import TEST
from isocenter.networks.autoencoder import Autoencoder
from isocenter.training.checkpoint import save_state

CARD = f"<!-- {publish.TABLE}: begin -->\n<!-- {publish.TABLE}: end -->\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return tiny_study(tmp_path_factory.mktemp("bench"))


def run(study: Study, name: str) -> dict[str, Any]:
    """The figures of a part as they are read back, once its page could be written."""
    study.write(name, PARTS[name].measure(study))
    content = json.loads((study.output / f"{name}.json").read_text())
    assert content["weights_sha256"] == study.model.weights_sha256
    assert PARTS[name].markdown(content["figures"])
    figures = content["figures"]
    assert isinstance(figures, dict)
    return figures


def test_what_latents_hold_stands_beside_a_transform_of_as_many_numbers(study: Study) -> None:
    figures = run(study, "autoencoder")
    ways = figures["fidelity"]["brain_t1c"]["ways"]
    assert next(iter(ways)) == OURS
    # A new autoencoder is the transform and little besides.
    transform = ways["cosine transform, f4, 2 channels"]
    assert transform["psnr_db"]["mean"] == pytest.approx(ways[OURS]["psnr_db"]["mean"], abs=2)
    assert transform["ssim"]["low"] <= transform["ssim"]["mean"] <= transform["ssim"]["high"]
    assert "inside the body" in figures["fidelity"]["chest_ct"]["protocol"]
    kept = figures["nodules"]["chest_ct"]["ways"]["bicubic by 4"]["kept"]
    assert kept[0] < kept[-1] < 0.8


def test_what_changes_nothing_keeps_all_of_a_nodule(study: Study) -> None:
    found = _nodules(study, CHEST, study.part("chest_ct", TEST), {"nothing": lambda image: image})
    assert found["ways"]["nothing"]["kept"] == pytest.approx([1.0] * len(DIAMETERS_MM), abs=0.01)
    assert found["ways"]["nothing"]["kept_enough"]
    assert found["discs"] >= found["patients"] == 3


def test_likeness_has_a_floor_and_every_setting(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likeness, "MANY_STEPS", 9)
    one = run(study, "likeness")["families"]["brain_t1c"]
    assert one["unit"] == "patient"
    assert {"generated", "8 steps", "9 steps", "no guidance", "training images"} <= set(one["arms"])
    assert (
        one["arms"]["training images"]["frechet"]["value"]
        < (one["arms"]["generated"]["frechet"]["value"])
    )
    assert one["floor"]["mean"] > 0
    assert one["few_against_many_steps"] > 0


def test_obedience_has_its_judges_own_accuracy_beside_it(study: Study) -> None:
    families = run(study, "obedience")["families"]
    brain, chest = families["brain_t1c"], families["chest_ct"]
    assert set(brain["real test images"]) == {"class", "plane", "tumor"}
    for arm in brain["arms"].values():
        assert set(arm["found"]) == {"class", "plane", "tumor"}
        assert arm["found"]["class"]["num_units"] == arm["images"]
    assert 0.3 < brain["commonest"]["class"] <= 1
    assert set(brain["words"]["class"]) == {"english", "chinese", "alike"}
    assert chest["guide"]["real"]["mean"] > 0.9
    assert chest["guide"]["measure"] == "Dice of the lungs"


def test_usefulness_holds_generated_against_real(study: Study) -> None:
    (task,) = run(study, "usefulness")["tasks"].values()
    names = [arm["name"] for arm in task["arms"]]
    assert names[:2] == ["real", "generated"]
    assert "5 % of real + generated" in names
    assert task["seeds"] == 1


def test_privacy_tries_the_guard_on_copies_and_on_other_patients(study: Study) -> None:
    one = run(study, "privacy")["families"]["brain_t1c"]
    assert one["copies"]["generated"] == study.effort.number
    assert 0 <= one["copies"]["planted_caught"] <= 1
    assert set(one["attacks"]) == {"loss", "step error", "reconstruction"}
    assert 0 <= one["attacks"]["loss"]["image"]["auc"] <= 1


def test_speed_is_measured_for_each_number_of_steps(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "STEPS", (1, 2))
    one = run(study, "speed")["families"]["brain_t1c"]
    assert set(one["seconds"]) == {str(steps) for steps in speed.STEPS}
    assert one["decode_seconds"] > 0
    assert one["peak_memory_gb"] is None


def test_sheets_are_written(study: Study) -> None:
    found = run(study, "sheets")["families"]
    assert set(found["brain_t1c"]) == {
        "images", "asked", "prior", "interpolation", "edit", "words"
    }  # fmt: skip
    for name in found["brain_t1c"].values():
        assert (study.output / "sheets" / name).stat().st_size > 0


def test_an_image_is_drawn_once(study: Study) -> None:
    first = drawn_by_default(study, "brain_t1c")
    before = sorted((study.output / FOLDER).iterdir())
    assert np.array_equal(drawn_by_default(study, "brain_t1c"), first)
    assert sorted((study.output / FOLDER).iterdir()) == before


def test_figures_are_published_with_the_weights_that_they_are_of(
    study: Study, tmp_path: Path
) -> None:
    run(study, "autoencoder")
    model = tmp_path / "model"
    digest = study.model.save_pretrained(model, documents={"README.md": CARD})
    page = tmp_path / "page.md"
    page.write_text(CARD)
    for path in study.output.glob("*.json"):
        content = json.loads(path.read_text()) | {"weights_sha256": digest}
        (tmp_path / path.name).write_text(json.dumps(content))
    publish.publish(tmp_path, model, page=page)
    assert digest[:16] in page.read_text()
    assert "brain_t1c" in (model / "README.md").read_text()
    measured = json.loads((model / publish.MEASURED).read_text())
    assert measured["weights_sha256"] == digest
    assert set(measured["families"]) == {"brain_t1c", "chest_ct"}
    assert publish.verify(model) == digest
    with pytest.raises(SystemExit, match="other weights"):
        publish.read_results(study.output, weights_sha256=digest)


def test_memory_is_that_of_a_process_that_draws(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    class Cost:
        peak_memory_gb = 1.5

    def cost_of(command: list[str], **_: object) -> type[Cost]:
        asked.append(command)
        return Cost

    monkeypatch.setattr(speed, "cost_of", cost_of)
    assert speed.peak_memory_gb(Path("model"), "chest_ct") == 1.5
    assert asked[0][-2:] == ["model", "chest_ct"]


def test_an_autoencoder_of_a_training_run_is_read(tmp_path: Path) -> None:
    network = Autoencoder(channels=(16, 32, 48), blocks=2, latent_channels=3)
    save_state(tmp_path / KEPT, network.state_dict())
    found = read_autoencoder(tmp_path)
    assert found.config == network.config
    assert shape_of(network.state_dict())["blocks"] == 2


def test_a_disc_covers_its_area() -> None:
    cover = covered((40, 40), np.array([20, 19]), 12.0)
    assert cover.sum() == pytest.approx(np.pi * 36, rel=0.01)
    assert cover[20, 19] == 1
    assert covered((9, 9), np.array([4, 4]), 0.9)[4, 4] < 1


def test_a_line_is_read_between_two_sizes() -> None:
    sizes = (2.0, 4.0, 6.0)
    assert from_which(sizes, np.array([0.2, 0.6, 1.0]), 0.8) == pytest.approx(5.0)
    assert from_which(sizes, np.array([0.9, 0.9, 1.0]), 0.8) == 2.0
    assert from_which(sizes, np.array([0.9, 0.9, 0.7]), 0.8) is None
