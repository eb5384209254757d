from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.seeds import generator_for
from isocenter.datasets.image_sets.brain_labels import (
    Head,
    read_brain_labels,
    read_heads,
    simulated_image,
)
from isocenter.datasets.image_sets.head_slices import (
    PLANES,
    Slab,
    bent_slab,
    slice_of,
    smooth_field,
)
from isocenter.datasets.image_sets.simulated_mr import (
    CONTRASTS,
    GRADIENT_ECHO,
    draw_protocol,
    signal_table,
    simulated,
)
from isocenter.physics.phantom.head_tissues import (
    GUIDE,
    GUIDE_OF,
    NUM_TISSUES,
    TISSUE_NAMES,
    TISSUE_OF,
    number_of,
)


@pytest.fixture(scope="module")
def heads(head_data: Path) -> list[Head]:
    return read_heads(head_data)


def test_an_image_is_the_same_whatever_the_others(heads: list[Head], head_data: Path) -> None:
    image, guide, labels = simulated_image(heads, 7, 2)
    whole = read_brain_labels(head_data, number=3, seed=7)
    assert np.array_equal(whole.stored[2], image)
    assert whole.guides is not None
    assert np.array_equal(whole.guides[2], guide)
    assert whole.labels[2] == labels
    assert not np.array_equal(simulated_image(heads, 8, 2)[0], image)


def test_labels_say_how_an_image_was_made(heads: list[Head]) -> None:
    seen = [simulated_image(heads, 1, place)[2] for place in range(6)]
    for place, one in enumerate(seen):
        assert one.categories["contrast"] in CONTRASTS
        assert one.categories["plane"] in PLANES
        assert 0 < one.numbers["te_ms"] < one.numbers["tr_ms"]
        assert ("ti_ms" in one.numbers) == (one.categories["contrast"] == "FLAIR")
        assert one.patient == f"training_seg_0{place % 2 + 1}"


def test_a_guide_holds_the_tissues_that_the_image_shows(heads: list[Head]) -> None:
    image, guide, _ = simulated_image(heads, 3, 0)
    assert guide.shape == image.shape == (256, 256)
    assert guide.max() <= len(GUIDE)
    outside = guide == 0
    assert outside.mean() > 0.3
    assert image[outside].mean() < image[~outside].mean() / 3


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_gray_values_follow_the_contrast(contrast: str, heads: list[Head]) -> None:
    rng = generator_for(5, contrast)
    slab = bent_slab(heads[0].tissues, "axial", 36, thickness_mm=1, rng=rng)
    image = simulated(slab, draw_protocol(contrast, rng), rng)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    white, gray, fluid = (
        float(np.median(image[slab.middle == number_of(name)]))
        for name in ("white matter", "cortex", "ventricle")
    )
    order = {
        "T1": (fluid, gray, white),
        "T1c": (fluid, gray, white),
        "T2": (white, gray, fluid),
        "FLAIR": (fluid, white, gray),
        "PD": (white, gray),
    }[contrast]
    assert list(order) == sorted(order)


def test_contrast_agent_makes_blood_bright() -> None:
    rng = generator_for(2)
    protocol = next(
        one
        for one in (draw_protocol("T1c", rng) for _ in range(50))
        if one.sequence == GRADIENT_ECHO
    )
    table = signal_table(protocol, rng)
    assert table.shape[0] == NUM_TISSUES + 2
    middle = table[:, table.shape[1] // 2]
    assert middle[number_of("vein")] > 1.5 * middle[number_of("white matter")]
    assert middle[number_of("air")] == 0


def test_every_protocol_has_times_in_order() -> None:
    for contrast in CONTRASTS:
        for place in range(20):
            protocol = draw_protocol(contrast, generator_for(place, contrast))
            assert 0 < protocol.te_ms < protocol.tr_ms
            assert protocol.ti_ms < protocol.tr_ms
            assert protocol.thickness_mm >= 1
    with pytest.raises(ValueError, match="contrast is one of"):
        draw_protocol("DWI", generator_for(0))


def test_a_slab_without_deformation_of_chance_keeps_volumes(heads: list[Head]) -> None:
    whole = slice_of(heads[0].tissues, "coronal", 43)
    area = (whole > 0).sum()
    for seed in range(4):
        slab = bent_slab(
            heads[0].tissues, "coronal", 43, thickness_mm=3, rng=np.random.default_rng(seed)
        )
        assert slab.layers.shape == (3, 512, 512)
        assert (slab.middle > 0).sum() == pytest.approx(area, rel=0.25)


def test_the_head_is_up_in_coronal_and_sagittal_slices() -> None:
    tissues = np.zeros((10, 12, 14), np.uint8)
    tissues[9] = 1  # the highest slice
    for plane in ("coronal", "sagittal"):
        assert slice_of(tissues, plane, 5)[0].all()
    tissues = np.zeros((10, 12, 14), np.uint8)
    tissues[:, 0] = 1  # the front
    assert slice_of(tissues, "axial", 5)[0].all()
    assert slice_of(tissues, "sagittal", 5)[:, 0].all()


def test_a_smooth_field_has_unit_deviation_and_few_waves() -> None:
    field = smooth_field(np.random.default_rng(1), 6)
    assert field.shape == (512, 512)
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(field, axis=0)).max() < 0.1


def test_every_tissue_but_air_has_a_place_in_the_guide() -> None:
    assert GUIDE_OF[0] == 0
    assert (GUIDE_OF[1:] > 0).all()
    assert len(GUIDE_OF) == NUM_TISSUES == len(set(TISSUE_NAMES))
    assert len(TISSUE_OF) == len(set(TISSUE_OF))


def test_an_empty_slab_stays_empty_but_for_noise() -> None:
    tissues = np.full((1, 512, 512), number_of("white matter"), np.uint8)
    tissues[:, :, :256] = 0
    slab = Slab(layers=tissues, middle=tissues[0, ::2, ::2], plane="axial")
    rng = generator_for(1)
    image = simulated(slab, draw_protocol("T2", rng), rng)
    assert image[:, :120].mean() < 0.1 < image[:, 136:].mean()


def test_heads_that_cannot_be_read_are_refused(tmp_path: Path, head_data: Path) -> None:
    with pytest.raises(UnreadableInput, match="no label maps"):
        read_heads(tmp_path)
    shutil.copytree(head_data, tmp_path, dirs_exist_ok=True)
    names = tmp_path / "mri" / "synthseg_label_maps" / "lut.json"
    names.write_text(json.dumps({"index_to_label": [0, 2]}))
    with pytest.raises(UnreadableInput, match="does not name"):
        read_heads(tmp_path)
    names.write_text(json.dumps({"index_to_label": [0, 9999]}))
    with pytest.raises(UnreadableInput, match="label that is not known"):
        read_heads(tmp_path)


def test_no_image_is_refused(head_data: Path) -> None:
    with pytest.raises(InputRefused, match="at least 1"):
        read_brain_labels(head_data, number=0)


def test_a_head_without_brain_is_refused() -> None:
    head = Head(name="skin", tissues=np.full((8, 8, 8), number_of("skin"), np.uint8), part="train")
    with pytest.raises(InputRefused, match="next to no brain"):
        simulated_image([head], 0, 0)
