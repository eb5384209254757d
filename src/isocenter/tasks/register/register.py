"""Register one MR image of a head to another, check it, and write what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from isocenter.core.errors import OutputRefused
from isocenter.core.files import folder_appearing_whole, named_path, write_json, writing_to
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.version import __version__
from isocenter.core.volume import Volume
from isocenter.dicom.reading.open import open_series
from isocenter.image.registration import Motion, register, resample
from isocenter.image.registration_check import RegistrationCheck, check_registration
from isocenter.image.registration_picture import registration_picture
from isocenter.image.volume_files import (
    is_volume_file,
    read_volume_file,
    stated,
    write_volume_file,
)

IMAGE, COVERED, PICTURE, RECORD = (
    "registered.nii.gz", "covered.nii.gz", "registration.png", "registration.json",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RegisterResult:
    """What was written.

    Attributes:
        folder: holds the moving image on the fixed grid, where it has values, the picture, and
            the motion with the check.
        motion: where each point of the fixed image lies in the moving one.
        check: what was measured.
        warnings: limits that ``force`` overrode.
    """

    folder: Path
    motion: Motion
    check: RegistrationCheck
    warnings: tuple[str, ...] = ()


def register_images(
    moving: str | Path,
    fixed: str | Path,
    output: str | Path,
    *,
    moving_series: str | None = None,
    fixed_series: str | None = None,
    deformable: bool = False,
    force: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> RegisterResult:
    """Bring one MR image of a head onto the grid of another of the same head.

    Args:
        moving, fixed: each a NIfTI or MetaImage file, or DICOM of an MR series.
        output: new folder; it appears when everything is written, never half.
        moving_series, fixed_series: which, where DICOM holds several.
        deformable: follow the rigid motion with a free-form deformation.
        force: write also where the check fails.
        limits: what an input may cost.

    Raises:
        InputRefused: an image cannot be read or shows no head, or the check fails.
        OutputRefused: the place to write to.
    """
    folder = named_path(output)
    if folder.exists():
        raise OutputRefused(
            "the output folder exists already; name a new one", reason="output_taken"
        )
    there = _opened(named_path(moving), moving_series, limits)
    here = _opened(named_path(fixed), fixed_series, limits)
    motion = register(there, here, deformable=deformable)
    check = check_registration(there, here, motion)
    if not force:
        check.refuse()
    with writing_to(folder), folder_appearing_whole(folder) as partial:
        _write(partial, there, here, motion, check)
    return RegisterResult(folder=folder, motion=motion, check=check, warnings=check.problems)


def _opened(path: Path, series: str | None, limits: Limits) -> Volume:
    if is_volume_file(path) and not path.is_dir():
        says = stated(path, limits=limits)
        length_unit = None if says.length_unit else "mm"
        return read_volume_file(
            path, unit="" if says.unit is None else None, length_unit=length_unit, limits=limits
        )
    return open_series(path, modality="MR", series=series, limits=limits).to_volume()


def _write(
    folder: Path, moving: Volume, fixed: Volume, motion: Motion, check: RegistrationCheck
) -> None:
    from PIL import Image

    moved = resample(moving, fixed.geometry, motion)
    write_volume_file(moved, folder / IMAGE)
    valid = moved.valid
    covered = (moved.array * 0 + 1) if valid is None else valid.astype("float32")
    write_volume_file(Volume(array=covered, geometry=fixed.geometry, unit=""), folder / COVERED)
    Image.fromarray(registration_picture(moving, fixed, motion)).save(folder / PICTURE)
    write_json(folder / RECORD, record_of(motion, check))


def record_of(motion: Motion, check: RegistrationCheck) -> dict[str, Any]:
    """The motion and its check, of JSON's types."""
    return {
        "isocenter_version": __version__,
        "motion": {
            "maps": "points of the fixed image to the moving one, LPS mm: "
            "rotation (point - center) + center + translation",
            "rotation": motion.rotation.tolist(),
            "translation_mm": motion.translation_mm.tolist(),
            "center_mm": motion.center_mm.tolist(),
            "is_deformable": motion.deformation is not None,
        },
        "check": {**asdict(check), "problems": list(check.problems), "passed": check.passed},
    }
