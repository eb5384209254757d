"""Derived CT series: the quantity contract, what headers say, what stays and what goes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, MRImageStorage

from isocenter.core.errors import OutputRefused
from isocenter.core.outputs import HOUNSFIELD, NO_UNIT, Code, SeriesOutput
from isocenter.core.record import RunRecord
from isocenter.dicom.marking import Provenance, is_enhanced
from isocenter.dicom.reading.open import CtSeries, ImageSeries, open_ct_series, open_series
from isocenter.dicom.uids import IMPLEMENTATION_CLASS_UID
from isocenter.dicom.writing.derived_series import DerivedSeriesWriter, changed_pixels

Change = Callable[[NDArray, int], NDArray]
Write = Callable[..., Any]
Judge = Callable[[Path], list[str]]

GENERATE = (Phase.explicit, Phase.generate)  # shrinking would take minutes here
FIXTURE_ONCE = [HealthCheck.function_scoped_fixture]  # each example has a folder of its own
ENHANCED = SeriesOutput(
    name="enhanced",
    label="Enhanced series",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLNR", "99ISOCENTER", "Deep learning noise reduction"),
    image_type="AI_ENHANCED",
    flag="AI ENHANCED",
)


def provenance(**changes: Any) -> Provenance:
    record = RunRecord(
        task="ct_enhance",
        product_version="0.1.0",
        model_name="test-model",
        model_version="1",
        weights_sha256="0123456789abcdef" * 4,
        settings={"strength": 0.5, "seed": 7, "steps": 4},
        source_digest="feed",
    )
    options: dict[str, Any] = {
        "record": record,
        "model_description": "Adds a constant.",
        "context": 1,
        "clock": lambda: datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
    }
    return Provenance(**(options | changes))


def unchanged(image_hu: NDArray, index: int) -> NDArray:
    return image_hu


def derive(
    source: Path, folder: Path, change: Change = unchanged, **changes: Any
) -> tuple[CtSeries, list[Path]]:
    """The series in ``source`` and the files of its derived counterpart in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    series = open_ct_series(source)
    writer = DerivedSeriesWriter(series, folder, provenance=provenance(**changes), output=ENHANCED)
    for index in range(len(series)):
        writer.write(index, change(series.values(index), index))
    return series, writer.finish()


def stored_of(folder: Path) -> NDArray:
    series = open_ct_series(folder, accept_enhanced=True)
    return np.stack([series.stored(index) for index in range(len(series))])


def code_values(sequence: Any) -> list[tuple[str, str]]:
    return [(item.CodeValue, item.CodingSchemeDesignator) for item in sequence]


@st.composite
def pixel_formats(draw: st.DrawFn) -> dict[str, Any]:
    bits_allocated = draw(st.sampled_from([8, 16, 32]))
    least = {8: 5, 16: 8, 32: 16}[bits_allocated]
    bits_stored = draw(st.integers(least, bits_allocated))
    signed = draw(st.booleans())
    low, high = (-(2 ** (bits_stored - 1)), 2 ** (bits_stored - 1) - 1)
    if not signed:
        low, high = 0, 2**bits_stored - 1
    slope = draw(st.sampled_from([1.0, 0.5, 2.0, 0.0244140625, 0.1, 7.3, 100.0]))
    seed = draw(st.integers(0, 2**16))
    stored = np.random.default_rng(seed).integers(low, high, (3, 9, 8), endpoint=True)
    stored[0, 0, :2] = low, high
    return {
        "bits_allocated": bits_allocated,
        "bits_stored": bits_stored,
        "signed": signed,
        "slope": slope,
        "intercept": draw(st.sampled_from([0.0, -1024.0, -1000.5, 37.25])),
        "stored": stored,
        "seed": seed,
    }


@settings(max_examples=30, phases=GENERATE, suppress_health_check=FIXTURE_ONCE)
@given(scan_format=pixel_formats())
def test_identity_gives_every_stored_value_unchanged(
    write_classic_ct: Write, scan_format: dict[str, Any]
) -> None:
    with TemporaryDirectory() as folder:
        scan = write_classic_ct(folder=Path(folder, "in"), **scan_format)
        series, paths = derive(scan.folder, Path(folder, "out"))
        before = np.stack([series.stored(index) for index in range(len(series))])
        np.testing.assert_array_equal(stored_of(Path(folder, "out")), before)
        derived = pydicom.dcmread(paths[0])
        assert derived.BitsStored == scan_format["bits_stored"]
        assert derived.PixelRepresentation == scan_format["signed"]


@settings(max_examples=15, phases=GENERATE, suppress_health_check=FIXTURE_ONCE)
@given(scan_format=pixel_formats(), change_hu=st.floats(-300, 300))
def test_a_change_is_rounded_to_steps_and_clipped_to_the_bits(
    write_classic_ct: Write, scan_format: dict[str, Any], change_hu: float
) -> None:
    with TemporaryDirectory() as folder:
        scan = write_classic_ct(folder=Path(folder, "in"), **scan_format)
        series = open_ct_series(scan.folder)
        Path(folder, "out").mkdir()
        writer = DerivedSeriesWriter(
            series, Path(folder, "out"), provenance=provenance(), output=ENHANCED
        )
        low, high = series.stored_range(0)
        for index in range(len(series)):
            image_hu = series.values(index).astype(np.float64)
            num_clipped = writer.write(index, image_hu + change_hu)
            steps = np.where(series.valid(index), np.rint(change_hu / series.slope(index)), 0)
            wanted = series.stored(index).astype(np.int64) + steps.astype(np.int64)
            written = pydicom.dcmread(writer._path(index)).pixel_array
            # Half-way cases may round to either side after the change is added and taken off.
            near_half = abs(change_hu / series.slope(index) % 1 - 0.5) < 1e-6
            assert np.all(abs(written - np.clip(wanted, low, high)) <= near_half)
            if not near_half:
                assert num_clipped == np.count_nonzero((wanted < low) | (wanted > high))
        writer.finish()


@dataclass
class SeriesInMemory:
    """What changed_pixels asks of a series; the reader refuses slopes below zero."""

    array: NDArray
    scale: float

    def stored(self, index: int) -> NDArray:
        return self.array

    def values(self, index: int) -> NDArray:
        return (self.array * self.scale - 1024).astype(np.float32)

    def valid(self, index: int) -> NDArray:
        return np.ones(self.array.shape, bool)

    def slope(self, index: int) -> float:
        return self.scale

    def stored_range(self, index: int) -> tuple[int, int]:
        return -2048, 2047

    def bits_allocated(self, index: int) -> int:
        return 16

    def pixel_format(self, index: int) -> Any:
        return SimpleNamespace(padding=None)


def test_a_slope_below_zero_turns_the_steps_around() -> None:
    series = SeriesInMemory(np.array([[-2048, -5, 0, 7, 2047]], np.int16), -0.5)
    pixels, num_clipped = changed_pixels(cast(ImageSeries, series), 0, series.values(0))
    np.testing.assert_array_equal(np.frombuffer(pixels, "<i2"), series.array[0])
    assert num_clipped == 0
    pixels, num_clipped = changed_pixels(cast(ImageSeries, series), 0, series.values(0) + 2)
    np.testing.assert_array_equal(np.frombuffer(pixels, "<i2"), [-2048, -9, -4, 3, 2043])
    assert num_clipped == 1


def test_steps_are_rounded_not_truncated() -> None:
    series = SeriesInMemory(np.zeros((1, 4), np.int16), 2.0)
    change_hu = np.array([[1.1, 2.9, -1.1, -2.9]])
    pixels, _ = changed_pixels(cast(ImageSeries, series), 0, series.values(0) + change_hu)
    np.testing.assert_array_equal(np.frombuffer(pixels, "<i2"), [1, 1, -1, -1])


def test_pixels_without_measurement_stay(write_classic_ct: Write, tmp_path: Path) -> None:
    stored = np.full((3, 12, 12), 1000, np.int64)
    stored[:, :3] = -2000
    scan = write_classic_ct(stored=stored, padding=-2000)
    _, paths = derive(scan.folder, tmp_path / "out", lambda image_hu, _: image_hu + 50)
    pixels = pydicom.dcmread(paths[0]).pixel_array
    assert np.all(pixels[:3] == -2000)
    assert np.all(pixels[3:] == 1050)


def test_a_new_value_never_reads_as_padding(write_classic_ct: Write, tmp_path: Path) -> None:
    stored = np.full((3, 12, 12), 10, np.int64)
    stored[:, 0] = 0
    scan = write_classic_ct(stored=stored, padding=0)
    _, paths = derive(scan.folder, tmp_path / "out", lambda image_hu, _: image_hu - 10)
    assert np.all(pydicom.dcmread(paths[0]).pixel_array[1:] == 1)


def test_values_that_are_not_finite_are_refused(write_classic_ct: Write, tmp_path: Path) -> None:
    scan = write_classic_ct()
    with pytest.raises(ValueError, match="finite"):
        derive(scan.folder, tmp_path / "out", lambda image_hu, _: image_hu * np.nan)


def test_a_missing_slice_is_noticed(write_classic_ct: Write, tmp_path: Path) -> None:
    series = open_ct_series(write_classic_ct().folder)
    writer = DerivedSeriesWriter(series, tmp_path, provenance=provenance(), output=ENHANCED)
    writer.write(0, series.values(0))
    with pytest.raises(ValueError, match="4 of 5 slices"):
        writer.finish()


def test_a_folder_with_a_series_is_refused(write_classic_ct: Write, tmp_path: Path) -> None:
    scan = write_classic_ct()
    derive(scan.folder, tmp_path / "out")
    with pytest.raises(OutputRefused, match="empty"):
        derive(scan.folder, tmp_path / "out")


def test_required_elements_of_a_derived_ct_image(write_classic_ct: Write, tmp_path: Path) -> None:
    scan = write_classic_ct()
    series, paths = derive(scan.folder, tmp_path / "out", lambda image_hu, _: image_hu + 1)
    source, derived = series.header(2), pydicom.dcmread(paths[2])
    assert [path.name for path in paths[:2]] == ["IM0001.dcm", "IM0002.dcm"]
    assert derived.SOPClassUID == source.SOPClassUID
    assert derived.SyntheticData == "YES"
    assert derived.ContentQualification == "RESEARCH"
    assert derived.ImageType == ["DERIVED", "SECONDARY", "AXIAL", "AI_ENHANCED"]
    assert derived.SeriesInstanceUID != source.SeriesInstanceUID
    assert derived.SOPInstanceUID != source.SOPInstanceUID
    assert derived.SOPInstanceUID.startswith("2.25.")
    assert int(derived.SeriesNumber) == 9003
    assert derived.SeriesDescription.startswith("AI ENHANCED strength 0.5")
    assert code_values(derived.DerivationCodeSequence) == [("DLNR", "99ISOCENTER")]
    assert derived.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99ISOCENTER"
    assert derived.LossyImageCompression == "00"
    assert derived.SeriesDate == derived.ContentDate == derived.InstanceCreationDate == "20260203"
    meta = derived.file_meta
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == "ISOCENTER_0.1.0"


@pytest.mark.parametrize(
    "keyword",
    """
    StudyInstanceUID FrameOfReferenceUID ImagePositionPatient ImageOrientationPatient PixelSpacing
    SliceThickness RescaleSlope RescaleIntercept RescaleType KVP ConvolutionKernel Exposure
    PatientName PatientID PatientBirthDate PatientSex AcquisitionDate AcquisitionTime StudyDate
    BitsAllocated BitsStored PixelRepresentation InstanceNumber CTDIvol IrradiationEventUID
    WindowCenter IssuerOfPatientID SpecificCharacterSet RecognizableVisualFeatures
    """.split(),
)
def test_what_is_still_true_stays(write_classic_ct: Write, tmp_path: Path, keyword: str) -> None:
    def add(dataset: Dataset, index: int) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientName = "Müller^Jürgen=山田^太郎"
        dataset.IssuerOfPatientID = "HOSPITAL"
        dataset.CTDIvol = 5.25
        dataset.IrradiationEventUID = "1.2.3.4"
        dataset.WindowCenter = [40, -600]
        dataset.WindowWidth = [400, 1500]
        dataset.RecognizableVisualFeatures = "NO"

    series, paths = derive(write_classic_ct(edit=add).folder, tmp_path / "out")
    assert pydicom.dcmread(paths[1])[keyword].value == series.header(1)[keyword].value


def test_what_is_no_longer_true_goes(write_classic_ct: Write, tmp_path: Path) -> None:
    def add(dataset: Dataset, index: int) -> None:
        dataset.SmallestImagePixelValue = 0
        dataset.LargestImagePixelValue = 4000
        icon = Dataset()
        icon.Rows = icon.Columns = 2
        dataset.IconImageSequence = [icon]
        block = dataset.private_block(0x0029, "SOME VENDOR", create=True)
        block.add_new(0x10, "LO", "secret")
        signature = Dataset()
        signature.MACIDNumber = 1
        dataset.DigitalSignaturesSequence = [signature]
        dataset.MACParametersSequence = [signature]

    _, paths = derive(write_classic_ct(edit=add).folder, tmp_path / "out")
    derived = pydicom.dcmread(paths[0])
    for keyword in """SmallestImagePixelValue LargestImagePixelValue IconImageSequence
    DigitalSignaturesSequence MACParametersSequence""".split():
        assert keyword not in derived
    private = [element for element in derived.iterall() if element.tag.is_private]
    assert not private


def test_source_images_are_the_slices_that_were_used(
    write_classic_ct: Write, tmp_path: Path
) -> None:
    series, paths = derive(write_classic_ct().folder, tmp_path / "out")
    uids = series.sop_instance_uids
    for index, expected in ((0, [0, 1]), (2, [2, 1, 3])):
        derived = pydicom.dcmread(paths[index])
        items = derived.SourceImageSequence
        assert [item.ReferencedSOPInstanceUID for item in items] == [uids[i] for i in expected]
        purposes = [code_values(item.PurposeOfReferenceCodeSequence) for item in items]
        assert purposes == [[("121322", "DCM")]] * len(expected)
        assert {item.SpatialLocationsPreserved for item in items} == {"YES"}
        (referenced,) = derived.ReferencedSeriesSequence
        assert referenced.SeriesInstanceUID == series.header(0).SeriesInstanceUID
        assert len(referenced.ReferencedInstanceSequence) == len(expected)
        (related,) = derived.RelatedSeriesSequence
        assert code_values(related.PurposeOfReferenceCodeSequence) == [
            ("121323", "DCM"),
            ("122401", "DCM"),
        ]


def test_scanner_and_model_are_contributing_equipment(
    write_classic_ct: Write, tmp_path: Path
) -> None:
    _, paths = derive(write_classic_ct().folder, tmp_path / "out")
    derived = pydicom.dcmread(paths[0])
    scanner, model = derived.ContributingEquipmentSequence
    assert code_values(scanner.PurposeOfReferenceCodeSequence) == [("109101", "DCM")]
    assert scanner.Manufacturer == "Seeded Scanners"
    assert scanner.DeviceSerialNumber == "1"
    assert code_values(model.PurposeOfReferenceCodeSequence) == [("109102", "DCM")]
    assert model.Manufacturer == derived.Manufacturer == "Isocenter"
    assert model.SoftwareVersions == ["Isocenter 0.1.0", "test-model 1@0123456789ab"]
    assert model.ContributionDateTime == "20260203040506.000000+0000"
    assert "seed=7" in model.ContributionDescription
    assert "steps=4" in model.ContributionDescription


def test_a_derived_source_keeps_its_steps(write_classic_ct: Write, tmp_path: Path) -> None:
    def add(dataset: Dataset, index: int) -> None:
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        dataset.DerivationDescription = "Iterative reconstruction."
        step, purpose, scanner = Dataset(), Dataset(), Dataset()
        step.CodeValue, step.CodingSchemeDesignator, step.CodeMeaning = "113085", "DCM", "Resampled"
        dataset.DerivationCodeSequence = [step]
        purpose.CodeValue, purpose.CodingSchemeDesignator = "109101", "DCM"
        purpose.CodeMeaning = "Acquisition Equipment"
        scanner.Manufacturer = "The Scanner"
        scanner.PurposeOfReferenceCodeSequence = [purpose]
        dataset.ContributingEquipmentSequence = [scanner]

    _, paths = derive(write_classic_ct(edit=add).folder, tmp_path / "out")
    derived = pydicom.dcmread(paths[0])
    assert code_values(derived.DerivationCodeSequence) == [
        ("113085", "DCM"),
        ("DLNR", "99ISOCENTER"),
    ]
    roles = [
        (item.Manufacturer, item.PurposeOfReferenceCodeSequence[0].CodeValue)
        for item in derived.ContributingEquipmentSequence
    ]
    assert roles == [
        ("The Scanner", "109101"),
        ("Seeded Scanners", "109102"),
        ("Isocenter", "109102"),
    ]
    assert "Iterative reconstruction." in derived.DerivationDescription


def test_lossy_stays_lossy_also_from_a_neighbour(write_classic_ct: Write, tmp_path: Path) -> None:
    def add(dataset: Dataset, index: int) -> None:
        if index == 1:
            dataset.LossyImageCompression = "01"
            dataset.LossyImageCompressionRatio = "12.5"
            dataset.LossyImageCompressionMethod = "ISO_10918_1"

    _, paths = derive(write_classic_ct(edit=add).folder, tmp_path / "out")
    derived = [pydicom.dcmread(path) for path in paths]
    assert [image.LossyImageCompression for image in derived] == ["01", "01", "01", "00", "00"]
    assert derived[2].LossyImageCompressionRatio == 12.5
    assert derived[2].LossyImageCompressionMethod == "ISO_10918_1"


def test_overridden_rules_are_written(write_classic_ct: Write, tmp_path: Path) -> None:
    warning = "pixel spacing 0.1 mm measured, 0.5 to 1.0 mm accepted"
    scan = write_classic_ct()
    _, paths = derive(scan.folder, tmp_path / "out", forced_warnings=(warning,))
    derived = pydicom.dcmread(paths[0])
    assert f"WARNING, rule overridden: {warning}." in derived.DerivationDescription
    assert f"WARNING: {warning}." in derived.ImageComments


def test_texts_fit_their_representation(write_classic_ct: Write, tmp_path: Path) -> None:
    def add(dataset: Dataset, index: int) -> None:
        dataset.SeriesDescription = "Thorax " * 9

    _, paths = derive(
        write_classic_ct(edit=add).folder, tmp_path / "out", model_description="word " * 900
    )
    derived = pydicom.dcmread(paths[0])
    assert len(derived.SeriesDescription) <= 64
    assert len(derived.DerivationDescription) <= 1024
    assert len(derived.ContributingEquipmentSequence[1].ContributionDescription) <= 1024


def test_a_synthetic_source_cannot_lose_its_mark(write_classic_ct: Write, tmp_path: Path) -> None:
    def add(dataset: Dataset, index: int) -> None:
        dataset.SyntheticData = "YES"
        dataset.QualityControlSubject = "YES"

    _, paths = derive(write_classic_ct(edit=add).folder, tmp_path / "a", synthetic=False)
    assert pydicom.dcmread(paths[0]).SyntheticData == "YES"


def test_times_follow_the_time_zone_of_the_source(write_classic_ct: Write, tmp_path: Path) -> None:
    def add(dataset: Dataset, index: int) -> None:
        dataset.TimezoneOffsetFromUTC = "-0500"

    _, paths = derive(write_classic_ct(edit=add).folder, tmp_path / "out")
    derived = pydicom.dcmread(paths[0])
    assert (derived.SeriesDate, derived.SeriesTime) == ("20260202", "230506.000000")


def test_a_second_run_gives_the_same_files(write_classic_ct: Write, tmp_path: Path) -> None:
    scan = write_classic_ct()
    _, first = derive(scan.folder, tmp_path / "a")
    _, second = derive(scan.folder, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_time_changes_neither_uids_nor_pixels(write_classic_ct: Write, tmp_path: Path) -> None:
    scan = write_classic_ct()
    _, first = derive(scan.folder, tmp_path / "a")
    _, second = derive(scan.folder, tmp_path / "b", clock=lambda: datetime.now(UTC))
    for one, other in zip(map(pydicom.dcmread, first), map(pydicom.dcmread, second), strict=True):
        assert one.SOPInstanceUID == other.SOPInstanceUID
        assert one.SeriesInstanceUID == other.SeriesInstanceUID
        assert one.PixelData == other.PixelData


def test_other_settings_give_other_uids(write_classic_ct: Write, tmp_path: Path) -> None:
    scan = write_classic_ct()
    _, first = derive(scan.folder, tmp_path / "a")
    other = RunRecord(**{**vars(provenance().record), "settings": {"strength": 1.0}})
    _, second = derive(scan.folder, tmp_path / "b", record=other)
    assert (
        pydicom.dcmread(first[0]).SeriesInstanceUID != pydicom.dcmread(second[0]).SeriesInstanceUID
    )


def test_two_changes_of_one_series_have_uids_of_their_own(
    write_classic_ct: Write, tmp_path: Path
) -> None:
    series = open_ct_series(write_classic_ct(shape=(1, 12, 10)).folder)
    uids = set()
    for variant in ("", "smoother"):
        (tmp_path / f"out {variant}").mkdir()
        writer = DerivedSeriesWriter(
            series,
            tmp_path / f"out {variant}",
            provenance=provenance(),
            output=ENHANCED,
            variant=variant,
        )
        writer.write(0, series.values(0))
        derived = pydicom.dcmread(writer.finish()[0])
        uids |= {derived.SOPInstanceUID, derived.SeriesInstanceUID}
    assert len(uids) == 4


@pytest.mark.parametrize(
    "change", [{"modality": "MR"}, {"unit": NO_UNIT}, {"absolute": True}], ids=str
)
def test_what_is_no_change_of_the_source_is_refused(
    write_classic_ct: Write, tmp_path: Path, change: dict[str, Any]
) -> None:
    series = open_ct_series(write_classic_ct().folder)
    with pytest.raises(ValueError, match="NewSeriesWriter"):
        DerivedSeriesWriter(
            series, tmp_path, provenance=provenance(), output=replace(ENHANCED, **change)
        )


def test_an_mr_series_can_be_changed(
    write_classic_ct: Write, dciodvfy_errors: Judge, tmp_path: Path
) -> None:
    def as_mr(dataset: Dataset, index: int) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
        dataset.Modality = "MR"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "T2 MAP"]
        dataset.ScanningSequence, dataset.SequenceVariant = "SE", "NONE"
        dataset.EchoTime = "90"
        for keyword in """KVP RescaleType ConvolutionKernel Exposure GantryDetectorTilt
        ReconstructionDiameter""".split():
            delattr(dataset, keyword)

    scan = write_classic_ct(shape=(3, 16, 16), edit=as_mr)
    series = open_series(scan.folder, modality="MR")
    (tmp_path / "out").mkdir()
    writer = DerivedSeriesWriter(
        series,
        tmp_path / "out",
        provenance=provenance(),
        output=replace(ENHANCED, modality="MR", unit=NO_UNIT),
    )
    for index in range(3):
        writer.write(index, series.values(index) + 2)
    paths = writer.finish()
    derived = pydicom.dcmread(paths[0])
    assert derived.SOPClassUID == MRImageStorage
    assert derived.ImageType == ["DERIVED", "SECONDARY", "T2 MAP", "AI_ENHANCED"]
    assert derived.EchoTime == 90
    assert "RescaleType" not in derived
    np.testing.assert_array_equal(derived.pixel_array, scan.stored[0] + 2)
    assert dciodvfy_errors(paths[0]) == []


def test_a_compressed_source_becomes_uncompressed(write_classic_ct: Write, tmp_path: Path) -> None:
    scan = write_classic_ct(transfer_syntax=JPEG2000Lossless)
    derive(scan.folder, tmp_path / "out")
    np.testing.assert_array_equal(stored_of(tmp_path / "out"), scan.stored)


WRITE_WITHOUT_END = """
import sys
from pathlib import Path
from isocenter.core.outputs import HOUNSFIELD, Code, SeriesOutput
from isocenter.core.record import RunRecord
from isocenter.dicom.marking import Provenance
from isocenter.dicom.reading.open import open_ct_series
from isocenter.dicom.writing.derived_series import DerivedSeriesWriter

output = SeriesOutput(
    name="s", label="s", modality="CT", unit=HOUNSFIELD, derivation=Code("a", "99b", "c")
)
record = RunRecord(
    task="t", product_version="1", model_name="m", model_version="1", weights_sha256="ab"
)
series = open_ct_series(sys.argv[1])
provenance = Provenance(record=record, model_description="")
writer = DerivedSeriesWriter(
    series, Path(sys.argv[2]), provenance=provenance, output=output
)
while True:
    for index in range(len(series)):
        writer.write(index, series.values(index))
"""


@pytest.mark.parametrize("enhanced", [False, True])
def test_a_killed_writer_leaves_whole_files_only(
    write_classic_ct: Write, write_enhanced_ct: Write, tmp_path: Path, enhanced: bool
) -> None:
    scan = (write_enhanced_ct if enhanced else write_classic_ct)()
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen([sys.executable, "-c", WRITE_WITHOUT_END, scan.folder, folder])
    try:
        while not list(folder.iterdir()) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.2)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert list(folder.iterdir())
    for path in folder.glob("*.dcm"):
        assert pydicom.dcmread(path).pixel_array.shape == scan.stored.shape[1:]
    if enhanced:
        assert not list(folder.glob("*.dcm"))


@pytest.mark.parametrize("legacy", [False, True])
def test_an_enhanced_series_stays_one_enhanced_object(
    write_enhanced_ct: Write, tmp_path: Path, legacy: bool
) -> None:
    scan = write_enhanced_ct(legacy=legacy, shuffle=True)
    series, paths = derive(scan.folder, tmp_path / "out", lambda image_hu, index: image_hu + index)
    (path,) = paths
    derived, source = pydicom.dcmread(path), series.header(0)
    assert derived.SOPClassUID.name == "Enhanced CT Image Storage"
    assert derived.ImageType == ["DERIVED", "PRIMARY", "VOLUME", "FILTERED"]
    assert derived.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence[0].FrameType == (
        derived.ImageType
    )
    assert derived.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert derived.SyntheticData == "YES"
    assert is_enhanced(derived)
    expected = scan.stored + np.arange(len(scan.stored))[:, None, None]
    np.testing.assert_array_equal(derived.pixel_array, expected)
    np.testing.assert_array_equal(stored_of(tmp_path / "out"), expected)


def test_frames_name_the_source_frames_used(write_enhanced_ct: Write, tmp_path: Path) -> None:
    scan = write_enhanced_ct(shuffle=True)
    series, (path,) = derive(scan.folder, tmp_path / "out")
    derived = pydicom.dcmread(path)
    for index, group in enumerate(derived.PerFrameFunctionalGroupsSequence):
        (item,) = group.DerivationImageSequence[-1].SourceImageSequence
        window = [index, index - 1, index + 1]
        frames = [series.frame_number(i) + 1 for i in window if 0 <= i < len(series)]
        assert np.ravel(item.ReferencedFrameNumber).tolist() == frames
        position = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, scan.positions_mm[index])


def test_each_source_object_has_a_counterpart(write_enhanced_ct: Write, tmp_path: Path) -> None:
    def rename(dataset: Dataset, index: int) -> None:
        dataset.SOPInstanceUID = "1.2.3.4"

    low = write_enhanced_ct(folder=tmp_path / "in" / "a", shape=(3, 12, 10))
    high = write_enhanced_ct(
        folder=tmp_path / "in" / "b",
        shape=(3, 12, 10),
        stored=low.stored + 7,
        positions_mm=low.positions_mm + np.array([0, 0, 7.5]),
        edit=rename,
    )
    series, paths = derive(tmp_path / "in", tmp_path / "out")
    first, second = (pydicom.dcmread(path) for path in paths)
    np.testing.assert_array_equal(first.pixel_array, low.stored)
    np.testing.assert_array_equal(second.pixel_array, high.stored)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    derivation = second.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    used = [item.ReferencedSOPInstanceUID for item in derivation.SourceImageSequence]
    assert used == [series.sop_instance_uids[3], series.sop_instance_uids[2]]


def test_each_frame_keeps_its_own_scale(write_enhanced_ct: Write, tmp_path: Path) -> None:
    rescales = [(1.0, -1024.0), (0.5, -1000.0), (2.0, -1024.0)]
    scan = write_enhanced_ct(shape=(3, 12, 10), rescales=rescales)
    derive(scan.folder, tmp_path / "out", lambda image_hu, _: image_hu + 6)
    steps = np.array([6, 12, 3])[:, None, None]
    np.testing.assert_array_equal(stored_of(tmp_path / "out"), scan.stored + steps)


@pytest.mark.parametrize("kind", ["classic", "enhanced", "legacy"])
def test_dciodvfy_finds_no_error(
    write_classic_ct: Write,
    write_enhanced_ct: Write,
    dciodvfy_errors: Judge,
    tmp_path: Path,
    kind: str,
) -> None:
    if kind == "classic":
        scan = write_classic_ct(shape=(3, 16, 16))
    else:
        scan = write_enhanced_ct(shape=(3, 16, 16), legacy=kind == "legacy")
    _, paths = derive(scan.folder, tmp_path / "out")
    assert [dciodvfy_errors(path) for path in paths] == [[]] * len(paths)


def test_dciodvfy_finds_no_error_after_an_invalid_source(
    write_classic_ct: Write, dciodvfy_errors: Judge, tmp_path: Path
) -> None:
    def spoil(dataset: Dataset, index: int) -> None:
        with pydicom.config.disable_value_validation():
            del dataset.ImageType, dataset.AccessionNumber, dataset.StudyID
            del dataset.BodyPartExamined
            dataset.BodyPartExamined = "Th ct Chest wo contrast"
            dataset.PlanarConfiguration = 0
            dataset.ClinicalTrialSubjectID = ""
            dataset.ClinicalTrialSponsorName = "Sponsor"
            dataset.SeriesDate = "yesterday"
            reference = Dataset()
            reference.ReferencedSOPInstanceUID = "1.2.3"
            dataset.ReferencedStudySequence = [reference]
            dataset.add_new("LongitudinalTemporalInformationModified", "SH", "MODIFIED")

    scan = write_classic_ct(shape=(3, 16, 16), edit=spoil)
    _, paths = derive(scan.folder, tmp_path / "out")
    assert [dciodvfy_errors(path) for path in paths] == [[]] * 3


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    ["ct/train/acrinflt_013", "ct/train/lidc_0001_run0", "ct/train/lungfcp_0001_run0"],
)
def test_a_real_series_stays_valid_and_unchanged(
    data_folder: Path, dciodvfy_errors: Judge, tmp_path: Path, name: str
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for path in sorted((data_folder / name).rglob("*.dcm"))[:4]:
        shutil.copy(path, source)
    series, paths = derive(source, tmp_path / "out")
    before = np.stack([series.stored(index) for index in range(len(series))])
    np.testing.assert_array_equal(stored_of(tmp_path / "out"), before)
    assert [dciodvfy_errors(path) for path in paths] == [[]] * len(paths)
