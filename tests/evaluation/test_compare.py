from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.acquisition import Acquisition
from isocenter.core.errors import InputRefused, UnsuitableScan
from isocenter.core.volume import Geometry, Volume
from isocenter.evaluation.blur_control import blurred
from isocenter.evaluation.compare import COLUMNS, Comparison, evaluate
from isocenter.evaluation.ct.windows import HU_RANGE
from isocenter.evaluation.fidelity import stated_range
from isocenter.evaluation.lesions.lesions import LESION_KINDS, insert_lesions, plan_lesions
from isocenter.image.volume_files import write_volume_file

SPACING_MM = (2.5, 0.8, 0.8)
SIZE = 224


def chest() -> NDArray:
    """Fat around soft tissue around two lungs, with a little vessel, all blurred a little."""
    row, column = np.indices((SIZE, SIZE)) - SIZE / 2 + 0.5
    image = np.full((SIZE, SIZE), -1000.0)
    image[(row / 80) ** 2 + (column / 100) ** 2 < 1] = -100
    image[(row / 66) ** 2 + (column / 86) ** 2 < 1] = 50
    for side in (-1, 1):
        image[(((row + 18) / 30) ** 2 + ((column - side * 46) / 26) ** 2) < 1] = -850
    image[(row - 40) ** 2 + (column - 30) ** 2 < 12**2] = 180
    return ndimage.gaussian_filter(image, 0.8)


@pytest.fixture(scope="module")
def reference() -> Volume:
    rng = np.random.default_rng(0)
    array = np.repeat(chest()[None], 4, axis=0) + rng.normal(0, 10, (4, SIZE, SIZE))
    geometry = Geometry(shape=array.shape, spacing_mm=SPACING_MM, origin_mm=(-90.0, -90.0, 10.0))
    return Volume(array=array.astype(np.float32), geometry=geometry, unit="HU")


def changed(volume: Volume, array: NDArray) -> Volume:
    return replace(volume, array=array.astype(np.float32))


@pytest.fixture(scope="module")
def noisier(reference: Volume) -> Volume:
    noise = np.random.default_rng(1).normal(0, 20, reference.array.shape)
    return changed(reference, reference.array + noise + 3)


@pytest.fixture(scope="module")
def comparison(reference: Volume, noisier: Volume) -> Comparison:
    return evaluate(reference, noisier)


def test_planted_noise_and_offset_are_found(comparison: Comparison) -> None:
    assert comparison.fidelity[0].rmse == pytest.approx(np.hypot(20, 3), rel=0.03)
    for tissue in ("lung", "fat", "muscle"):
        assert comparison.hu_bias[tissue].bias_hu == pytest.approx(3, abs=0.5)
    assert comparison.noise is not None
    assert comparison.noise.reference.noise_hu == pytest.approx(10, rel=0.1)
    assert comparison.noise.test.noise_hu == pytest.approx(np.hypot(10, 20), rel=0.1)
    assert comparison.noise.difference.noise_hu == pytest.approx(20, rel=0.1)
    assert comparison.continuity is not None
    assert comparison.continuity.ratio == pytest.approx(np.hypot(1, 2), rel=0.05)
    assert comparison.sharpness["air or lung to soft tissue"].f50_ratio == pytest.approx(
        1, abs=0.03
    )


def test_a_blur_shows_as_lost_sharpness_and_coarser_noise(reference: Volume) -> None:
    blurred = changed(reference, ndimage.gaussian_filter(reference.array, (0, 1.2, 1.2)))
    found = evaluate(reference, blurred)
    assert found.noise is not None
    assert found.sharpness["air or lung to soft tissue"].f50_ratio < 0.7
    assert (
        found.noise.test.mean_frequency_per_mm < 0.5 * found.noise.reference.mean_frequency_per_mm
    )


def test_a_score_that_smoothing_raises_stands_beside_the_blurred_test(
    reference: Volume, noisier: Volume, comparison: Comparison
) -> None:
    score, control = comparison.fidelity[0], comparison.blurred_fidelity[0]
    assert control.ssim > score.ssim + 0.03  # a blur scores better
    assert control.psnr_db < score.psnr_db  # but for edges as sharp as these
    by_hand = evaluate(reference, changed(reference, blurred(noisier.array, SPACING_MM[1:])))
    assert control == by_hand.fidelity[0]
    rows = [row for row in comparison.rows() if row.measure.startswith(("PSNR", "SSIM", "RMSE"))]
    assert len(rows) == 9
    assert all("(test blurred: " in row.against_reference for row in rows)
    stored = comparison.as_dict()["fidelity"][0]["test_blurred"]
    assert stored["psnr_db"] == pytest.approx(control.psnr_db, abs=1e-3)


def test_without_lesions_the_table_says_that_nobody_looked(comparison: Comparison) -> None:
    assert "isocenter.judge" in comparison.rows()[-1].against_reference


def test_nothing_predicts_what_an_observer_would_see(comparison: Comparison) -> None:
    assert "redicted" not in json.dumps(comparison.as_dict())
    assert not any("redicted" in row.measure for row in comparison.rows())


def test_identical_series_are_identical(reference: Volume) -> None:
    found = evaluate(reference, reference)
    assert found.fidelity[0].rmse == 0
    assert all(bias.bias_hu == 0 for bias in found.hu_bias.values())
    assert found.continuity is not None
    assert found.continuity.ratio == 1
    assert found.as_dict()["fidelity"][0]["psnr_db"] is None
    assert found.as_dict()["fidelity"][0]["identical"]
    assert any("identical" in row.against_reference for row in found.rows())


def test_json_states_range_mask_and_counts(comparison: Comparison, tmp_path: Path) -> None:
    stored = json.loads(comparison.save_json(tmp_path / "c.json").read_text())
    by_name = {each["protocol"]: each for each in stored["fidelity"]}
    assert by_name["HU range"]["data_range"] == 2000
    assert by_name["abdomen window 400/40"]["clipped_to"] == [-160, 240]
    assert all(each["mask"] == "inside the body" for each in stored["fidelity"])
    assert "above -500 HU" in stored["settings"]["masks"]["inside the body"]
    assert stored["noise"]["num_regions"] > 0
    assert len(stored["fidelity"][0]["each_slice"]) == 4
    assert stored["slices"]["compared_all"]


def test_rows_fill_the_columns(comparison: Comparison) -> None:
    rows = comparison.rows()
    assert all(len(row) == len(COLUMNS) for row in rows)
    text = "\n".join(" ".join(row) for row in rows)
    for word in ("PSNR", "SSIM", "RMSE", "HU of lung", "mean frequency", "f50", "neighbouring"):
        assert word in text


def test_a_part_of_the_series_is_compared_and_stated(reference: Volume, noisier: Volume) -> None:
    x, y, z = (float(value) for value in reference.geometry.position_mm(1))
    geometry = replace(reference.geometry, shape=(2, SIZE, SIZE), origin_mm=(x, y, z))
    part = Volume(array=noisier.array[1:3], geometry=geometry, unit="HU")
    found = evaluate(reference, part)
    assert found.pairs == ((1, 0), (2, 1))
    assert found.as_dict()["slices"]["compared_all"] is False
    assert found.rows()[0].against_reference == "2 compared"


def test_padding_counts_nowhere(reference: Volume) -> None:
    valid = np.ones(reference.array.shape, bool)
    valid[:, :100] = False
    padded = replace(reference, valid=valid)
    spoiled = changed(reference, np.where(valid, reference.array + 4, -3000))
    whole = stated_range(-1000, 1000, unit="HU")
    found = evaluate(padded, spoiled, protocols=(HU_RANGE, whole))
    assert found.fidelity[0].rmse == pytest.approx(4, rel=1e-3)
    assert found.fidelity[1].num_voxels == valid.sum()


def test_picture_is_drawn_and_leaves_matplotlib_as_it_was(
    comparison: Comparison, tmp_path: Path
) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    written = comparison.save_picture(tmp_path / "picture.png", dpi=40)
    assert written.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert dict(mpl.rcParams) == before


def test_a_scan_without_anything_to_measure_is_still_drawn(tmp_path: Path) -> None:
    air = Volume(
        array=np.full((1, 32, 32), -1000, np.float32),
        geometry=Geometry(shape=(1, 32, 32), spacing_mm=SPACING_MM),
        unit="HU",
    )
    found = evaluate(air, air)
    assert found.noise is None
    assert (found.sharpness, found.hu_bias, found.continuity) == ({}, {}, None)
    json.dumps(found.as_dict(), allow_nan=False)
    found.save_picture(tmp_path / "air.png", dpi=40)


def test_another_unit_gives_the_generic_part_and_says_what_is_missing(
    reference: Volume, noisier: Volume, tmp_path: Path
) -> None:
    first, second = (
        replace(volume, array=volume.array[:, 80:144, 80:144] + 1000, unit="", geometry=small)
        for small in [Geometry(shape=(4, 64, 64), spacing_mm=SPACING_MM)]
        for volume in (reference, noisier)
    )
    found = evaluate(first, second, protocols=[stated_range(0, 2000, unit="")])
    assert found.fidelity[0].rmse == pytest.approx(np.hypot(20, 3), rel=0.05)
    assert found.continuity is not None
    assert (found.noise, found.sharpness, found.hu_bias) == (None, {}, {})
    assert "noise power" in found.left_out[0]
    assert not any("HU" in "".join(row) for row in found.rows()[:-1])
    json.dumps(found.as_dict(), allow_nan=False)
    assert found.save_picture(tmp_path / "page.png", dpi=40).stat().st_size > 1000


def test_volume_files_are_opened_by_their_paths(reference: Volume, tmp_path: Path) -> None:
    cut = replace(
        reference,
        array=np.rint(reference.array[:2, 60:124, 60:124]),
        geometry=Geometry(shape=(2, 64, 64), spacing_mm=SPACING_MM),
    )
    noisy = changed(cut, cut.array + 3)
    first = write_volume_file(cut, tmp_path / "a.nii.gz")
    second = write_volume_file(noisy, tmp_path / "b.mha")
    found = evaluate(str(first), second)
    assert found.fidelity[0].rmse == pytest.approx(3, rel=0.01)
    with pytest.raises(InputRefused, match="the file says that it is in 'HU'"):
        evaluate(first, second, unit="Bq/mL")


def test_units_and_ranges_that_do_not_fit_are_refused(reference: Volume) -> None:
    other = replace(reference, unit="Bq/mL")
    with pytest.raises(UnsuitableScan, match="reference is in HU, the test in Bq/mL"):
        evaluate(reference, other)
    with pytest.raises(UnsuitableScan, match="no range was stated"):
        evaluate(other, other)
    with pytest.raises(UnsuitableScan, match="in the unit of the series"):
        evaluate(other, other, protocols=[HU_RANGE])
    with pytest.raises(UnsuitableScan, match="at least one"):
        evaluate(reference, reference, protocols=[])


def test_values_that_are_not_finite_are_refused(reference: Volume) -> None:
    broken = reference.array.copy()
    broken[1, 5, 5] = np.nan
    with pytest.raises(UnsuitableScan, match="not finite"):
        evaluate(reference, changed(reference, broken))


def test_recorded_lesions_are_seen_less_in_more_noise() -> None:
    kinds = [kind for kind in LESION_KINDS if kind.tissue == "soft"]
    array = np.full((1, 320, 320), 60, np.float32)
    array[:, :4] = -1000
    geometry = Geometry(shape=array.shape, spacing_mm=(5.0, 1.0, 1.0))
    clean = Volume(array=array, geometry=geometry, unit="HU")
    lesions = plan_lesions(clean, slice_index=0, kinds=kinds, seed=1)
    lesions = lesions[: len(lesions) // 2]
    scan = insert_lesions(clean, lesions)
    rng = np.random.default_rng(6)
    quiet, loud = (changed(scan, scan.array + rng.normal(0, s, array.shape)) for s in (12, 36))
    found = evaluate(quiet, loud, lesions=lesions, protocols=(HU_RANGE,))
    assert found.detectability is not None
    assert found.blurred_detectability is not None
    for row in found.detectability.rows:
        if row.processing == "test":
            assert 0.15 < row.ratio < 0.7
    assert sum("Observed d'" in row.measure for row in found.rows()) == len(kinds)
    assert not any("isocenter.judge" in row.against_reference for row in found.rows())


@dataclass(frozen=True)
class CountingSource:
    """A scan read slice by slice that counts how many slices were asked for at once."""

    volume: Volume
    asked: list[int]

    @property
    def geometry(self) -> Geometry:
        return self.volume.geometry

    @property
    def acquisition(self) -> Acquisition:
        return self.volume.acquisition

    @property
    def unit(self) -> str:
        return self.volume.unit

    def __len__(self) -> int:
        return len(self.volume.array)

    def values(self, index: int) -> NDArray:
        self.asked.append(index)
        return self.volume.array[index]

    def valid(self, index: int) -> NDArray:
        return np.ones(self.geometry.shape[1:], bool)


def test_a_source_of_slices_is_read_in_order_once(reference: Volume) -> None:
    source = CountingSource(reference, [])
    done: list[tuple[int, int]] = []
    evaluate(source, reference, progress=lambda number, total: done.append((number, total)))
    assert source.asked[:4] == [0, 1, 2, 3]
    assert len(source.asked) == 5  # one more for the picture
    assert done == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.real_data
def test_a_real_quarter_dose_scan_has_twice_the_noise_and_the_same_sharpness(
    data_folder: Path,
) -> None:
    scan = data_folder / "ct" / "real_low_dose" / "B30f_1mm"
    found = evaluate(scan / "full", scan / "quarter")
    assert found.noise is not None
    ratio = found.noise.test.noise_hu / found.noise.reference.noise_hu
    assert 1.8 < ratio < 2.6
    assert found.sharpness["air or lung to soft tissue"].f50_ratio == pytest.approx(1, abs=0.03)
