"""A software phantom as a classic CT series, marked as what it is, for demonstrations and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.outputs import HOUNSFIELD, Code, SeriesOutput
from isocenter.core.record import RunRecord
from isocenter.core.version import __version__
from isocenter.core.volume import Volume
from isocenter.dicom.marking import Provenance, now
from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.new_series import NewSeriesWriter
from isocenter.dicom.writing.study import Subject

DESCRIPTION = "SYNTHETIC PHANTOM (software, no patient)"
NOT_DERIVED = Code("", "", "")
"""A phantom stands for a scan, which no model has touched yet."""

_SUBJECT = Subject(
    name="PHANTOM^ISOCENTER",
    identifier="SYN-PHANTOM",
    description=DESCRIPTION,
    is_phantom=True,
)
_OUTPUT = SeriesOutput(
    name="phantom",
    label="Software phantom",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=NOT_DERIVED,
    flag=DESCRIPTION,
    absolute=True,
    image_flavor="AXIAL",
)


def write_phantom_scan(
    volume: Volume, folder: str | Path, *, clock: Callable[[], datetime] = now
) -> list[Path]:
    """Write a volume in HU as CT images of an invented phantom; returns files in slice order.

    The same volume gives the same UIDs. Values are rounded to whole HU in [-33792, 31743].

    Raises:
        ValueError: the volume is not in HU or holds values that are not finite.
        OutputRefused: the folder does not exist or holds a series already.
    """
    if volume.unit != "HU":
        raise ValueError(f"a CT series holds HU, this volume {volume.unit!r}; convert it first")
    slices = volume.slices()
    writer = NewSeriesWriter(
        Path(folder),
        geometry=volume.geometry,
        acquisition=_acquisition(volume),
        provenance=_provenance(slices.source_digest(), volume, clock),
        output=_OUTPUT,
        subject=_SUBJECT,
    )
    for index in range(len(slices)):
        valid = None if volume.valid is None else slices.valid(index)
        writer.write(index, slices.values(index), valid=valid)
    return writer.finish()


def _acquisition(volume: Volume) -> CtAcquisition:
    """What the phantom says of its scanner; a chest between usual values where it is silent."""
    known = volume.acquisition
    assert isinstance(known, CtAcquisition)
    width_mm = volume.geometry.shape[2] * volume.geometry.spacing_mm[2]
    return replace(
        known,
        body_part=known.body_part or "CHEST",
        kernel=known.kernel or "PHANTOM",
        gantry_tilt_deg=known.gantry_tilt_deg or 0.0,
        reconstruction_diameter_mm=known.reconstruction_diameter_mm or width_mm,
    )


def _provenance(digest: str, volume: Volume, clock: Callable[[], datetime]) -> Provenance:
    record = RunRecord(
        task="phantom",
        product_version=__version__,
        model_name="Software phantom",
        model_version=__version__,
        weights_sha256="",
        source_digest=derived_uid("phantom", digest, repr(volume.acquisition)),
    )
    return Provenance(
        record=record,
        model_description="Computed from a mathematical phantom; no patient was scanned.",
        clock=clock,
    )
