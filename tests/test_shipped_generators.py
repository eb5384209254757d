"""The generators that come with the package: whole, small, guarded, and told what docs say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

import isocenter
from isocenter.core.errors import InputRefused, SettingRefused
from isocenter.modelpack.folder import shipped_folder, verify
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.modelpack.generator.wish import Wish
from isocenter.modelpack.registry import KINDS

FAMILIES = KINDS["ImageGenerator"].families
LARGEST_BYTES = 40e6
FEW_STEPS = 2


@pytest.fixture(scope="module")
def brain() -> ImageGenerator:
    generator: ImageGenerator = isocenter.load("brain_t1c")
    return generator


def drawn(generator: ImageGenerator, wish: Wish, seed: int = 1) -> NDArray:
    return next(generator.generate([wish], [seed], steps=FEW_STEPS)).values


def test_every_file_is_as_it_was_shipped_and_all_are_small(brain: ImageGenerator) -> None:
    folder = shipped_folder("brain_t1c")
    assert verify(folder) == brain.weights_sha256
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LARGEST_BYTES


def test_a_round_trip_makes_the_same_model(brain: ImageGenerator, tmp_path: Path) -> None:
    assert brain.save_pretrained(tmp_path / "again") == brain.weights_sha256


def test_the_card_says_what_a_user_must_know(brain: ImageGenerator) -> None:
    assert {"intended_use", "not_for", "limits", "data", "seed", "licence"} <= brain.card.keys()
    readme = (shipped_folder("brain_t1c") / "README.md").read_text()
    for needed in ("doi:", "seed", "Known limits", "Measured with weights", *FAMILIES):
        assert needed in readme


@pytest.mark.parametrize("name", FAMILIES)
def test_each_name_draws_its_own_images(brain: ImageGenerator, name: str) -> None:
    generator = brain.of(name)
    family = generator.family
    image = drawn(generator, Wish())
    assert image.shape == (family.rows, family.columns)
    assert family.low <= image.min() < image.max() <= family.high
    assert image.std() > 0.05 * (family.high - family.low)
    assert not generator.is_copy(image)
    assert generator.notes  # measured, and says how often it obeys


@pytest.mark.parametrize("text", ["an axial image of a glioma", "轴位图像，胶质瘤"])
def test_text_in_both_languages_acts(brain: ImageGenerator, text: str) -> None:
    assert not np.array_equal(drawn(brain, Wish(text=text)), drawn(brain, Wish()))
    with pytest.raises(InputRefused, match="xyzzy"):
        brain.check(Wish(text="a glioma with xyzzy"))


def test_a_mask_is_followed(brain: ImageGenerator) -> None:
    chest = brain.of("chest_ct")
    mask = np.zeros((256, 256), np.uint8)
    mask[60:200, 30:226] = 1
    mask[90:170, 60:110] = mask[90:170, 146:196] = 2
    image = drawn(chest, Wish(mask=mask))
    assert image[mask == 2].mean() < -500 < -300 < image[mask == 1].mean()
    assert image[mask == 0].mean() < -700


def test_the_readme_command_writes_marked_images(tmp_path: Path) -> None:
    result = isocenter.generate(
        "brain_t1c",
        tmp_path / "drawn",
        class_="glioma",
        plane="axial",
        box=(0.6, 0.4, 0.15, 0.1),
        steps=FEW_STEPS,
    )
    image = pydicom.dcmread(result.images[0])
    assert image["SyntheticData"].value == "YES"
    assert image.pixel_array.shape == (256, 256)
    assert "PatientName" not in image or not str(image.PatientName).strip()


def test_a_class_that_no_image_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingRefused, match="meningioma"):
        isocenter.generate("brain_t1c", tmp_path / "drawn", class_="lymphoma")
