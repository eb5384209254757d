"""From a scan on disk to results on disk: kept numbers, refusals, repeats and interruptions."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from isocenter.core.errors import OutputRefused, UnsuitableScan
from isocenter.dicom.reading.open import ImageSeries, read_volume
from isocenter.dicom.writing.parametric_map import ParametricMapWriter
from isocenter.image.volume_files import read_volume_file, write_volume_file
from isocenter.tasks import run as run_module
from isocenter.tasks.ct_enhance.enhance import enhance

Make = Callable[..., Any]
Trunk = Callable[..., Path]


def stored_by_position(folder: Path) -> NDArray:
    """Stored integers of a series, (slice, row, column), ordered along the table."""
    slices = []
    for path in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array.astype(np.int64)
        if pixels.ndim == 2:
            slices.append((float(dataset.ImagePositionPatient[2]), pixels))
            continue
        for frame, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
            position = groups.PlanePositionSequence[0].ImagePositionPatient
            slices.append((float(position[2]), frame))
    return np.stack([pixels for _, pixels in sorted(slices, key=lambda pair: pair[0])])


def uids_and_pixels(folder: Path) -> dict[str, bytes]:
    """SOP Instance UID and pixel bytes of every object of a result."""
    objects = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
    return {
        each.SOPInstanceUID: each[
            "FloatPixelData" if "FloatPixelData" in each else "PixelData"
        ].value
        for each in objects
    }


@pytest.fixture
def empty_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, where the report is not what is tested."""
    monkeypatch.setattr("isocenter.tasks.report.page.write_report", lambda _, path: path.touch())


# The quantity contract


@settings(
    max_examples=8,
    phases=[Phase.generate],  # a smaller example says no more and takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(
    slope=st.sampled_from([1.0, 0.5, 2.0, 0.001, 1.00001, 0.3333333]),
    intercept=st.sampled_from([-1024.0, 0.0, -8192.5, 17.25]),
    bits=st.sampled_from([(16, 12), (16, 16), (16, 10), (8, 8)]),
    signed=st.booleans(),
    enhanced=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_an_identity_model_returns_every_stored_value(
    tmp_path_factory: pytest.TempPathFactory,
    empty_report: None,
    write_classic_ct: Make,
    write_enhanced_ct: Make,
    doubles: Any,
    slope: float,
    intercept: float,
    bits: tuple[int, int],
    signed: bool,
    enhanced: bool,
    seed: int,
) -> None:
    allocated, stored_bits = bits if not enhanced else (16, max(bits[1], 12))
    folder = tmp_path_factory.mktemp("scan")
    low = -(2 ** (stored_bits - 1)) if signed else 0
    stored = np.random.default_rng(seed).integers(low, low + 2**stored_bits, (3, 20, 18))
    write = write_enhanced_ct if enhanced else write_classic_ct
    written = write(
        folder=folder / "in",
        stored=stored,
        slope=slope,
        intercept=intercept,
        bits_allocated=allocated,
        bits_stored=stored_bits,
        signed=signed,
        seed=seed,
    )
    result = enhance(
        written.folder, folder / "out", strength=0.7, model=doubles.IdentityEnhancer(), force=True
    )
    np.testing.assert_array_equal(stored_by_position(result.series_folder), stored)


def test_padding_stays_as_it_is(trunk_on_disk: Trunk, doubles: Any, tmp_path: Path) -> None:
    def outside_circle(dataset: Any, index: int) -> None:
        pixels = np.frombuffer(dataset.PixelData, "<i2").reshape(96, 96).copy()
        pixels[:5] = -2000
        dataset.PixelData = pixels.tobytes()

    scan = trunk_on_disk(tmp_path / "in", padding=-2000, edit=outside_circle)
    result = enhance(scan, tmp_path / "out", strength=1.0, model=doubles.ModelDouble())
    pixels = stored_by_position(result.series_folder)
    assert (pixels[:, :5] == -2000).all()
    assert (pixels[:, 5:] != -2000).all()
    content = json.loads((result.folder / "record.json").read_text())
    assert content["observations"]["num_unmeasured"] == 6 * 5 * 96


# Results


def test_results_lie_where_the_docs_say(trunk_on_disk: Trunk, doubles: Any, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    result = enhance(
        trunk_on_disk(tmp_path / "in"),
        tmp_path / "out",
        model=doubles.ModelDouble(),
        progress=lambda done, total: calls.append((done, total)),
    )
    assert result.folder == tmp_path / "out"
    assert sorted(path.name for path in result.folder.iterdir()) == [
        "enhanced",
        "record.json",
        "report.html",
        "uncertainty",
    ]
    assert [path.name for path in sorted(result.series_folder.iterdir())] == [
        f"IM{number:04d}.dcm" for number in range(1, 7)
    ]
    assert result.uncertainty_files
    assert all(path.exists() for path in (*result.uncertainty_files, result.report))
    assert calls == [(done, 6) for done in range(7)]
    assert not result.already_there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_the_uncertainty_is_half_of_the_interval_in_hu(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    result = enhance(trunk_on_disk(tmp_path / "in"), tmp_path / "out", model=doubles.ModelDouble())
    (path,) = result.uncertainty_files
    dataset = pydicom.dcmread(path)
    values = np.frombuffer(dataset.FloatPixelData, "<f4")
    np.testing.assert_allclose(values, 10.0, atol=1e-4)
    assert dataset.NumberOfFrames == 6


def test_the_report_and_record_name_no_patient(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    scan = trunk_on_disk(tmp_path / "Doe_Jane", seed=4321)
    result = enhance(scan, tmp_path / "out", model=doubles.ModelDouble())
    source = pydicom.dcmread(next(scan.glob("*.dcm")))
    for path in (result.report, result.folder / "record.json"):
        text = path.read_text()
        for secret in ("Phantom", "SEED4321", "Doe_Jane", source.StudyInstanceUID):
            assert secret not in text


def test_a_scan_outside_the_range_leaves_nothing(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    model = doubles.ModelDouble(accepted=doubles.Accepted(pixel_spacing_mm=(0.5, 1.0)))
    with pytest.raises(UnsuitableScan) as refusal:
        enhance(trunk_on_disk(tmp_path / "in"), tmp_path / "out", model=model)
    assert refusal.value.reason == "pixel_spacing"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_what_the_header_tells_is_refused_before_a_pixel_is_decoded(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    whole = ImageSeries.stored

    def watched(series: ImageSeries, index: int) -> NDArray:
        decoded.append(index)
        return whole(series, index)

    monkeypatch.setattr(ImageSeries, "stored", watched)
    scan = trunk_on_disk(tmp_path / "scan")
    narrow = doubles.Accepted(pixel_spacing_mm=(0.5, 1.0))
    with pytest.raises(UnsuitableScan, match=r"measured 3\.500 mm") as info:
        enhance(scan, tmp_path / "out", model=doubles.ModelDouble(accepted=narrow))
    assert info.value.can_be_forced
    assert not decoded
    quiet = doubles.Accepted(noise_hu=(500.0, 900.0))
    with pytest.raises(UnsuitableScan, match="Noise in the quietest"):
        enhance(scan, tmp_path / "out", model=doubles.ModelDouble(accepted=quiet))
    assert decoded


def test_force_writes_the_warning_everywhere(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    model = doubles.ModelDouble(accepted=doubles.Accepted(pixel_spacing_mm=(0.5, 1.0)))
    result = enhance(trunk_on_disk(tmp_path / "in"), tmp_path / "out", model=model, force=True)
    (warning,) = result.warnings
    assert "3.500 mm" in warning
    assert "3.500 mm" in result.report.read_text()
    assert warning in json.loads((result.folder / "record.json").read_text())["record"]["warnings"]
    for path in result.folder.rglob("*.dcm"):
        assert "3.500 mm" in str(pydicom.dcmread(path)), path.name


# Files of other kinds


def test_a_nifti_file_gives_nifti_files_of_the_same_values(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    scan = trunk_on_disk(tmp_path / "in")
    write_volume_file(read_volume(scan), tmp_path / "scan.nii.gz")
    from_dicom, from_file = (
        enhance(place, tmp_path / name, model=doubles.ModelDouble(), dose_fraction=0.25)
        for place, name in ((scan, "a"), (tmp_path / "scan.nii.gz", "b"))
    )
    assert [path.name for path in from_file.uncertainty_files] == ["uncertainty.nii.gz"]
    made = read_volume_file(from_file.series_folder / "enhanced.nii.gz")
    assert made.unit == "HU"
    stored = stored_by_position(from_dicom.series_folder) - 1024.0
    assert abs(made.array - stored).max() < 0.501
    assert "no DICOM header" in from_file.notes[-1]


def test_a_nifti_file_gives_dicom_where_it_is_asked_for(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    volume = read_volume(trunk_on_disk(tmp_path / "in"))
    result = enhance(volume, tmp_path / "out", model=doubles.ModelDouble(), dicom=True)
    made = read_volume(result.series_folder)
    assert made.geometry.shape == volume.geometry.shape
    first = pydicom.dcmread(next(result.series_folder.iterdir()))
    assert first.Modality == "CT"
    assert first.SyntheticData == "YES"
    assert len(result.uncertainty_files) == 1


# Again


def test_the_same_run_again_returns_what_is_there(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    scan, model = trunk_on_disk(tmp_path / "in"), doubles.ModelDouble()
    first = enhance(scan, tmp_path / "out", model=model, seed=1)
    times = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    again = enhance(scan, tmp_path / "out", model=model, seed=1)
    assert again.already_there
    assert again.record == first.record
    assert again.uncertainty_files == first.uncertainty_files
    assert times == {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}


def test_another_setting_does_not_overwrite(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    scan, model = trunk_on_disk(tmp_path / "in"), doubles.ModelDouble()
    enhance(scan, tmp_path / "out", model=model, seed=1)
    with pytest.raises(OutputRefused, match="another scan, model or setting"):
        enhance(scan, tmp_path / "out", model=model, seed=2)


def test_a_folder_in_use_is_refused(trunk_on_disk: Trunk, doubles: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputRefused, match="new or an empty folder"):
        enhance(trunk_on_disk(tmp_path / "in"), tmp_path / "out", model=doubles.ModelDouble())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_another_place_gets_the_same_uids_and_pixels(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    scan, model = trunk_on_disk(tmp_path / "in"), doubles.ModelDouble()
    here, there, other = (
        uids_and_pixels(enhance(scan, tmp_path / name, model=model, strength=1, seed=seed).folder)
        for name, seed in (("here", 1), ("there", 1), ("other", 2))
    )
    assert here == there
    assert here.keys().isdisjoint(other.keys())


# Interruptions

PROGRAM = Path(__file__).parents[1] / "model_double.py"


def start(scan: Path, output: Path, *moments: str) -> subprocess.Popen[bytes]:
    """Enhance elsewhere, in one process a moment that kills itself there."""
    return subprocess.Popen(
        [sys.executable, PROGRAM, scan, output, *moments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def same_as_undisturbed(scan: Path, output: Path, model: Any) -> bool:
    """Run again for ``output``, and elsewhere; are UIDs and pixels the same?"""
    again, whole = (
        enhance(scan, place, strength=0.5, seed=3, model=model)
        for place in (output, output.with_name("whole"))
    )
    return uids_and_pixels(again.folder) == uids_and_pixels(whole.folder)


def test_killed_at_any_moment_it_leaves_no_result_and_the_next_run_completes(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    scan, output = trunk_on_disk(tmp_path / "in"), tmp_path / "out"
    assert start(scan, output, "3", "rename").wait() == 0
    assert not output.exists()
    assert len([path for path in tmp_path.glob(".out.partial-*") if path.is_dir()]) == 1
    assert same_as_undisturbed(scan, output, doubles.ModelDouble())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "whole"]


@pytest.mark.slow
def test_killed_at_random_moments_there_is_all_or_nothing(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    scan = trunk_on_disk(tmp_path / "in")
    began = time.monotonic()
    assert start(scan, tmp_path / "undisturbed").wait() == 0
    needed = time.monotonic() - began
    moments = np.random.default_rng(0).uniform(0.3, 1.1, 12) * needed
    for number, moment in enumerate(moments):
        output = tmp_path / f"out{number}"
        process = start(scan, output)
        time.sleep(moment)
        process.kill()
        process.wait()
        assert not output.exists() or len(list(output.rglob("*.dcm"))) == 7
    assert same_as_undisturbed(scan, tmp_path / "out0", doubles.ModelDouble())


def test_an_error_halfway_leaves_nothing(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhance(
            trunk_on_disk(tmp_path / "in"),
            tmp_path / "out",
            model=doubles.ModelDouble(),
            progress=stop,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_full_disk_is_said_in_words(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_module, "write_record", full)
    with pytest.raises(OutputRefused, match="the disk is full"):
        enhance(trunk_on_disk(tmp_path / "in"), tmp_path / "out", model=doubles.ModelDouble())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


# Memory


def collect(done: int, total: int) -> None:
    """As progress: what is not needed any more does not count."""
    gc.collect()


def peak_bytes(scan: Path, output: Path, model: Any) -> int:
    """Most memory held at once; garbage of earlier tests, or not yet collected, does not count."""
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        enhance(scan, output, model=model, progress=collect)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def test_memory_does_not_grow_with_the_series(
    trunk_on_disk: Trunk,
    doubles: Any,
    tmp_path: Path,
    empty_report: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Both series are longer than everything that is held back on purpose.
    monkeypatch.setattr("isocenter.tasks.ct_enhance.observations.MOST_OBSERVED_SLICES", 4)
    assert ParametricMapWriter.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(ParametricMapWriter.__init__.__kwdefaults__, "chunk", 4)
    model = doubles.IdentityEnhancer()
    short, long = (
        trunk_on_disk(tmp_path / f"in{count}", shape=(count, 96, 96), seed=count)
        for count in (8, 24)
    )
    enhance(short, tmp_path / "warm-up", model=model)
    growth = peak_bytes(long, tmp_path / "long", model) - peak_bytes(
        short, tmp_path / "short", model
    )
    # What is known of each slice grows; one kept image a slice would double this.
    assert growth < 16 * 96 * 96 * 4


def test_a_dose_that_is_not_known_is_guessed_once_from_the_whole_series(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    """And the record holds the guess, so that a run with it as a setting is the same run."""
    scan = trunk_on_disk(tmp_path / "in")
    model = doubles.ModelDouble()
    result = enhance(scan, tmp_path / "out", model=model)
    assert len(model.guessed_from) == 1
    noise_hu, thickness_mm = model.guessed_from[0]
    assert noise_hu > 0
    assert thickness_mm is not None
    assert set(model.dose_fractions) == {0.31}
    assert result.record.settings["dose_fraction"] == 0.31
    page = result.report.read_text()
    assert "12 to 58 % of a standard dose" in page
    assert "31 % was taken" in page
    assert "--dose-fraction 0.31" in page
    told = enhance(scan, tmp_path / "out", model=model, dose_fraction=0.31)
    assert told.already_there


def test_the_record_holds_the_share_of_the_lesions_contrast(
    trunk_on_disk: Trunk, doubles: Any, tmp_path: Path
) -> None:
    scan = trunk_on_disk(tmp_path / "in")
    plain = enhance(scan, tmp_path / "plain", model=doubles.ModelDouble())
    assert plain.record.settings["lesion_contrast"] == 0.5
    told = enhance(scan, tmp_path / "told", model=doubles.ModelDouble(), lesion_contrast=0.25)
    assert told.record.settings["lesion_contrast"] == 0.25
