"""From a classic series that somebody converted to one object: a valid Enhanced CT."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from isocenter.core.outputs import HOUNSFIELD, Code, MapOutput, MaskOutput, SeriesOutput
from isocenter.core.record import RunRecord
from isocenter.dicom.marking import Provenance
from isocenter.dicom.reading.open import open_ct_series
from isocenter.dicom.writing.derived_series import DerivedSeriesWriter
from isocenter.dicom.writing.modules import keywords_of
from isocenter.dicom.writing.parametric_map import ParametricMapWriter
from isocenter.dicom.writing.segmentation import SegmentationWriter

Write = Callable[..., Any]
EVENTS = ["1.2.3.5", "1.2.3.6"]
ENHANCED = SeriesOutput(
    name="enhanced",
    label="Enhanced series",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLNR", "99ISOCENTER", "Deep learning noise reduction"),
)
MAP = MapOutput(
    name="m",
    label="Map",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLUQ", "99ISOCENTER", "Deep learning uncertainty estimation"),
    content_label="M",
    meaning="Something.",
    quantity=Code("PIHW90", "99ISOCENTER", "Half-width of 90 % prediction interval"),
)
MASK = MaskOutput(
    name="k",
    label="Mask",
    derivation=Code("DLUQ", "99ISOCENTER", "Deep learning uncertainty estimation"),
    category=Code("49755003", "SCT", "Morphologically Abnormal Structure"),
    kind=Code("52988006", "SCT", "Lesion"),
)
RECORD = RunRecord(
    task="t", product_version="1", model_name="m", model_version="1", weights_sha256="ab" * 32
)


def provenance() -> Provenance:
    return Provenance(
        record=RECORD, model_description="", clock=lambda: datetime(2026, 2, 3, tzinfo=UTC)
    )


def plain(dataset: Dataset, index: int) -> None:
    """A classic image as it comes."""


def with_events(dataset: Dataset, index: int) -> None:
    dataset.IrradiationEventUID = EVENTS[index % 2]


def with_localizer(dataset: Dataset, index: int) -> None:
    """References to a localizer without a purpose, no body part, and what Enhanced CT lacks."""
    localizer = Dataset()
    localizer.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    localizer.ReferencedSOPInstanceUID = "1.2.3.7"
    dataset.ReferencedImageSequence = [localizer]
    dataset.ContrastBolusAgent = "some"
    dataset.Laterality = ""
    del dataset.BodyPartExamined


@pytest.fixture(params=[plain, with_events, with_localizer], ids=lambda edit: edit.__name__)
def edit(request: pytest.FixtureRequest) -> Any:
    return request.param


def converted(folder: Path, classic: Path) -> Path:
    """The folder with one Legacy Converted Enhanced CT object of a classic series."""
    images = [pydicom.dcmread(path) for path in sorted(classic.glob("*.dcm"))]
    whole = hd.legacy.LegacyConvertedEnhancedCTImage(
        images,
        series_instance_uid=generate_uid(entropy_srcs=["converted", "series"]),
        series_number=5,
        sop_instance_uid=generate_uid(entropy_srcs=["converted", "object"]),
        instance_number=1,
    )
    folder.mkdir()
    whole.save_as(folder / "converted.dcm")
    return folder


def enhanced(source: Path, folder: Path) -> Path:
    folder.mkdir()
    series = open_ct_series(source)
    writer = DerivedSeriesWriter(series, folder, provenance=provenance(), output=ENHANCED)
    for index in range(len(series)):
        writer.write(index, series.values(index) + 1)
    (path,) = writer.finish()
    return path


def test_the_result_is_what_it_claims_to_be(
    write_classic_ct: Write, tmp_path: Path, edit: Any
) -> None:
    scan = write_classic_ct(shape=(4, 16, 16), edit=edit)
    path = enhanced(converted(tmp_path / "in", scan.folder), tmp_path / "out")
    result = pydicom.dcmread(path)
    assert result.SOPClassUID == EnhancedCTImageStorage
    assert {element.keyword for element in result} <= keywords_of(EnhancedCTImageStorage)
    assert "Laterality" not in result
    groups = (*result.SharedFunctionalGroupsSequence, *result.PerFrameFunctionalGroupsSequence)
    events = [
        event.IrradiationEventUID
        for group in groups
        for event in group.get("IrradiationEventIdentificationSequence", ())
    ]
    if edit is with_events:
        assert sorted(set(events)) == EVENTS
    else:
        (event,) = events
        assert event.startswith("2.25.")
    for group in groups:
        assert not [one.keyword for one in group if "Converted" in one.keyword]
        assert "ReferencedImageSequence" not in group
        for anatomy in group.get("FrameAnatomySequence", ()):
            assert anatomy.FrameLaterality == "U"
    np.testing.assert_array_equal(result.pixel_array, scan.stored + 1)


def test_a_second_run_names_the_same_irradiation_event(
    write_classic_ct: Write, tmp_path: Path
) -> None:
    source = converted(tmp_path / "in", write_classic_ct(shape=(3, 16, 16)).folder)
    first, second = (enhanced(source, tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_dciodvfy_finds_no_error(
    write_classic_ct: Write, dciodvfy_errors: Any, tmp_path: Path, edit: Any
) -> None:
    scan = write_classic_ct(shape=(4, 16, 16), edit=edit)
    path = enhanced(converted(tmp_path / "in", scan.folder), tmp_path / "out")
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize(
    ("writer", "output"), [(ParametricMapWriter, MAP), (SegmentationWriter, MASK)]
)
def test_maps_and_masks_of_it_are_valid_too(
    write_classic_ct: Write,
    dciodvfy_errors: Any,
    tmp_path: Path,
    edit: Any,
    writer: Any,
    output: Any,
) -> None:
    scan = write_classic_ct(shape=(3, 16, 16), edit=edit)
    series = open_ct_series(converted(tmp_path / "in", scan.folder))
    (tmp_path / "out").mkdir()
    to = writer(series, tmp_path / "out", provenance=provenance(), output=output)
    for index in range(len(series)):
        values = series.values(index)
        to.write(index, values > 0 if output is MASK else values)
    assert [dciodvfy_errors(path) for path in to.finish()] == [[]]


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore:The string")  # how highdicom takes a pseudonym for a name
@pytest.mark.parametrize("name", ["acrinflt_001_t1_run0", "lidc_0001_run0", "crlm_1004_run0"])
def test_a_real_series_becomes_valid(
    data_folder: Path, dciodvfy_errors: Any, tmp_path: Path, name: str
) -> None:
    classic = tmp_path / "classic"
    classic.mkdir()
    for path in sorted((data_folder / "ct" / "train" / name).rglob("*.dcm"))[:4]:
        (classic / path.name).symlink_to(path)
    path = enhanced(converted(tmp_path / "in", classic), tmp_path / "out")
    assert dciodvfy_errors(path) == []
