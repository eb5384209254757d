"""A disk that takes no more is said to be full, whoever was writing, and nothing half stays."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from isocenter.core.errors import OutputRefused
from isocenter.core.files import appearing_whole, disk_error, write_json, write_text, writing_to
from isocenter.core.outputs import HOUNSFIELD, Code, MapOutput, MaskOutput, SeriesOutput
from isocenter.core.record import RunRecord
from isocenter.core.volume import Geometry, Volume
from isocenter.dicom.marking import Provenance
from isocenter.dicom.reading.open import open_ct_series
from isocenter.dicom.writing.derived_series import DerivedSeriesWriter
from isocenter.dicom.writing.files import write_part
from isocenter.dicom.writing.parametric_map import ParametricMapWriter
from isocenter.dicom.writing.segmentation import SegmentationWriter
from isocenter.image.volume_files import write_volume_file
from isocenter.tasks.result_folder import appearing_at_once, only_run_for

resource = pytest.importorskip("resource", reason="this system limits no file sizes")

CODE = Code("X", "99ISOCENTER", "Something")
SERIES = SeriesOutput(name="s", label="s", modality="CT", unit=HOUNSFIELD, derivation=CODE)
MAP = MapOutput(
    name="m",
    label="m",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=CODE,
    content_label="M",
    meaning="m",
    quantity=CODE,
)
MASK = MaskOutput(name="k", label="k", derivation=CODE, category=CODE, kind=CODE)
LIMIT = 4096
NOISE = np.random.default_rng(0).normal(0, 100, (3, 64, 60)).astype(np.float32)
DEVICE_THAT_IS_FULL = Path("/dev/full")


@contextmanager
def no_file_beyond(limit: int) -> Iterator[None]:
    """The system lets no file of this process grow beyond a size: errno EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def provenance() -> Provenance:
    record = RunRecord(
        task="t", product_version="1", model_name="m", model_version="1", weights_sha256="ab" * 32
    )
    return Provenance(
        record=record, model_description="", clock=lambda: datetime(2026, 2, 3, tzinfo=UTC)
    )


def volume_file(ending: str) -> Callable[[Any, Path], None]:
    def write(series: Any, folder: Path) -> None:
        geometry = Geometry(shape=NOISE.shape, spacing_mm=(1, 1, 1))
        volume = Volume(array=NOISE, geometry=geometry, unit="HU")
        write_volume_file(volume, folder / f"volume{ending}")

    return write


def dicom(writer: Any, output: Any) -> Callable[[Any, Path], None]:
    def write(series: Any, folder: Path) -> None:
        to = writer(series, folder, provenance=provenance(), output=output)
        for index in range(len(series)):
            values = series.values(index)
            to.write(index, values > np.median(values) if output is MASK else values)
        to.finish()

    return write


def png(series: Any, folder: Path) -> None:
    with appearing_whole(folder / "a.png") as part:
        Image.fromarray(np.concatenate([*NOISE, *-NOISE]).astype(np.uint8)).save(part, format="PNG")


def html(series: Any, folder: Path) -> None:
    write_text(folder / "report.html", "x" * 3 * LIMIT)


def json_file(series: Any, folder: Path) -> None:
    write_json(folder / "record.json", {"x": "x" * 3 * LIMIT})


WRITERS = {
    "series": dicom(DerivedSeriesWriter, SERIES),
    "map": dicom(ParametricMapWriter, MAP),
    "mask": dicom(SegmentationWriter, MASK),
    "png": png,
    "html": html,
    "json": json_file,
    **{ending: volume_file(ending) for ending in (".nii", ".nii.gz", ".mha", ".mhd")},
}


def below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_every_writer_says_why_the_disk_takes_no_more(
    write_classic_ct: Any, write_enhanced_ct: Any, tmp_path: Path, name: str, kind: str
) -> None:
    if kind == "enhanced" and name not in ("series", "map", "mask"):
        pytest.skip("what is not DICOM is the same for both")
    write = write_classic_ct if kind == "classic" else write_enhanced_ct
    series = open_ct_series(write(shape=(3, 256, 192)).folder)
    final = tmp_path / "out" / "result"
    with (
        pytest.raises(OutputRefused, match="does not take files this large"),
        only_run_for(final),
        appearing_at_once(final) as partial,
        no_file_beyond(LIMIT),
    ):
        WRITERS[name](series, partial)
    assert below(tmp_path / "out") == []


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".mhd"])
def test_a_volume_file_beside_others_is_whole_or_absent(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"volume{ending}").write_bytes(b"before")
    with pytest.raises(OSError, match="File too large"), no_file_beyond(LIMIT):
        volume_file(ending)(None, tmp_path)
    assert below(tmp_path) == [f"volume{ending}"]
    assert (tmp_path / f"volume{ending}").read_bytes() == b"before"


@pytest.mark.skipif(not DEVICE_THAT_IS_FULL.exists(), reason="no device that is always full")
def test_pydicom_hides_the_number_of_an_error_but_not_from_us(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3"
    dataset.PixelData = bytes(10**6)
    dataset["PixelData"].VR = "OW"
    with pytest.raises(OutputRefused, match="the disk is full"), writing_to(tmp_path):
        write_part(dataset, DEVICE_THAT_IS_FULL, product_version="1")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_system_that_is_really_full(
    write_classic_ct: Any, tmp_path: Path, name: str
) -> None:
    series = open_ct_series(write_classic_ct(shape=(3, 256, 192)).folder)
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    if os.system(f"mount -t tmpfs -o size=16k none {tiny} 2>/dev/null"):
        pytest.skip("this system mounts nothing for us")
    try:
        (tiny / "filler").write_bytes(bytes(8192))
        with (
            pytest.raises(OutputRefused, match="the disk is full"),
            appearing_at_once(tiny / "result") as partial,
        ):
            WRITERS[name](series, partial)
        assert below(tiny) == ["filler"]
    finally:
        os.system(f"umount {tiny}")


def test_what_is_no_fault_of_the_disk_is_not_called_one() -> None:
    error = ValueError("a bug")
    error.__context__ = FileNotFoundError(errno.ENOENT, "no such file")
    assert disk_error(error) is None
    wrapped = RuntimeError("library")
    wrapped.__cause__ = OSError(errno.ENOSPC, "full")
    assert disk_error(wrapped) is wrapped.__cause__
