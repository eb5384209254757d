"""A simulated examination: readable, marked, true, and the same again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from isocenter.core.acquisition import MrAcquisition
from isocenter.core.errors import InputRefused, OutputRefused, SettingRefused
from isocenter.dicom.marking import is_enhanced
from isocenter.dicom.reading.open import open_series
from isocenter.image.volume_files import read_volume_file
from isocenter.tasks.simulate.settings import SimulateSettings
from isocenter.tasks.simulate.simulate import SimulateResult, simulate_brain

SMALL = SimulateSettings(
    size=72, pixel=1.4, slice=10.0, flaws=0, lesion="infarct", artery="MCA", age_hours=20.0, seed=5
)


@pytest.fixture(scope="module")
def study(label_map: Path, tmp_path_factory: pytest.TempPathFactory) -> SimulateResult:
    folder = tmp_path_factory.mktemp("simulated") / "study"
    return simulate_brain(folder, label_map=label_map, settings=SMALL)


def test_every_contrast_is_a_series_that_can_be_read(study: SimulateResult) -> None:
    assert list(study.images) == list(SMALL.names)
    frames = set()
    for name, files in study.images.items():
        series = open_series(files[0].parent, modality="MR")
        assert len(series) == len(files) == SMALL.num_slices
        assert series.values(0).shape == (72, 72)
        header = series.header(0)
        frames.add((header.StudyInstanceUID, header.FrameOfReferenceUID, header.PatientID))
        assert header.SyntheticData == "YES"
        assert not is_enhanced(header)
        assert name in header.SeriesDescription
    assert len(frames) == 1


def test_headers_tell_a_recognizer_what_was_acquired(study: SimulateResult) -> None:
    said: dict[str, MrAcquisition] = {}
    for name, files in study.images.items():
        acquisition = open_series(files[0].parent, modality="MR").acquisition
        assert isinstance(acquisition, MrAcquisition)
        said[name] = acquisition
    assert said["b0"].b_value_s_per_mm2 == 0
    assert said["b1000"].b_value_s_per_mm2 == 1000
    assert said["T2"].b_value_s_per_mm2 is None
    inversion, echo = said["FLAIR"].inversion_time_ms, said["T2"].echo_time_ms
    assert inversion is not None
    assert inversion > 1500
    assert echo is not None
    assert echo > 80
    assert all(one.field_strength_t == 3 for one in said.values())
    given = pydicom.dcmread(study.images["T1c"][0])
    assert given.ContrastBolusAgent
    adc = pydicom.dcmread(study.images["ADC"][0])
    assert adc.ImageType[2] == "DIFFUSION MAP"
    unit = adc.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0]
    assert unit.CodeValue == "um2/s"


def test_the_mask_lies_where_diffusion_is_low(study: SimulateResult) -> None:
    (path,) = study.masks["infarct"]
    mask = pydicom.dcmread(path)
    adc = open_series(study.images["ADC"][0].parent, modality="MR")
    places = [
        float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        for group in mask.PerFrameFunctionalGroupsSequence
    ]
    frames = np.atleast_3d(mask.pixel_array).reshape(-1, 72, 72)
    inside: list[float] = []
    for height, frame in zip(places, frames, strict=True):
        index = round((height - adc.geometry.origin_mm[2]) / adc.geometry.spacing_mm[0])
        inside += list(adc.values(index)[frame > 0])
    assert len(inside) > 5
    assert np.median(inside) < 700
    algorithm = mask.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeMeaning == "Simulation"
    assert "AI" not in mask.SeriesDescription.split()


def test_objects_pass_an_independent_judge(
    study: SimulateResult, dciodvfy_errors: Callable[[Path], list[str]]
) -> None:
    first = [files[0] for files in (*study.images.values(), *study.masks.values())]
    assert [dciodvfy_errors(path) for path in first] == [[]] * len(first)


def test_the_truth_lies_beside(study: SimulateResult) -> None:
    labels = read_volume_file(study.labels)
    assert labels.geometry.shape == (SMALL.num_slices, 72, 72)
    names = json.loads((study.folder / "labels.json").read_text())
    assert names["1"] == "white matter"
    assert study.head["artery"] == "MCA"
    record = json.loads((study.folder / "record.json").read_text())
    assert record["lesions"][0]["name"] == "infarct"
    assert record["sequences"]["FLAIR"]["ti_ms"] > 0
    assert study.overview.read_bytes().startswith(b"\x89PNG")
    assert "synthetic" in (study.folder / "SYNTHETIC.txt").read_text()


def test_a_second_run_finds_the_result_and_another_makes_the_same(
    study: SimulateResult, label_map: Path, tmp_path: Path
) -> None:
    again = simulate_brain(study.folder, label_map=label_map, settings=SMALL)
    assert again.already_there
    other = simulate_brain(tmp_path / "other", label_map=label_map, settings=SMALL)
    for name in ("T1", "ADC"):
        one, two = (pydicom.dcmread(result.images[name][3]) for result in (study, other))
        assert one.SOPInstanceUID == two.SOPInstanceUID
        assert one.PixelData == two.PixelData
    with pytest.raises(OutputRefused, match="another scan"):
        simulate_brain(study.folder, label_map=label_map, settings=SMALL, seed=3)


def test_nifti_holds_what_dicom_holds(
    study: SimulateResult, label_map: Path, tmp_path: Path
) -> None:
    result = simulate_brain(tmp_path / "n", label_map=label_map, settings=SMALL, format="nifti")
    for name in ("T2", "ADC"):
        volume = read_volume_file(result.images[name][0])
        series = open_series(study.images[name][0].parent, modality="MR")
        np.testing.assert_array_equal(volume.array[4], series.values(4))
        np.testing.assert_allclose(
            volume.geometry.position_mm(4, 3, 2), series.geometry.position_mm(4, 3, 2), atol=1e-3
        )
    assert read_volume_file(result.masks["infarct"][0]).array.max() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contrasts": "T1,SWI"}, "contrasts are any of"),
        ({"contrasts": "T1,T1"}, "named twice"),
        ({"lesion": "abscess"}, "lesion must be one of"),
        ({"field": 7.0}, "field must be from 1.5 to 3"),
        ({"lesion": "none", "artery": "MCA"}, "artery is of infarct"),
        ({"lesion": "infarct", "artery": "ICA"}, "artery must be one of"),
        ({"plaques": 3}, "plaques is of plaques"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingRefused, match=words):
        SimulateSettings(**changes)


def test_what_is_no_label_map_is_refused(label_map: Path, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no such label map"):
        simulate_brain(tmp_path / "a", label_map=tmp_path / "none.nii")
    text = tmp_path / "map.txt"
    text.write_text("labels")
    with pytest.raises(InputRefused, match="convert it first"):
        simulate_brain(tmp_path / "a", label_map=text)
    assert not (tmp_path / "a").exists()
