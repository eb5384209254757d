"""The scans of a training: a collection with an index, or a folder of one's own."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.files import appearing_whole, write_json
from isocenter.core.progress import Say
from isocenter.core.version import __version__
from isocenter.datasets.ct_pairs import TrainingScan
from isocenter.datasets.ct_scans import read_training_scans
from isocenter.datasets.index import has_index, read_index
from isocenter.datasets.own_scans import read_own_scans
from isocenter.datasets.splits import PARTS, TRAIN, VALIDATION, check_parts
from isocenter.recipes.ct_enhance.configuration import CtEnhanceRecipe
from isocenter.recipes.ct_enhance.stages import Parts
from isocenter.recipes.run_folder import RUN
from isocenter.training.processes import is_main_process, wait_for_all

INDEX, KEY = "index.json", "patients.key"


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What is trained on.

    Attributes:
        parts: scans by part.
        sources: citation and licence of each collection that is trained on; empty for scans of
            one's own.
        is_own: whether nobody prepared an index.
    """

    parts: Parts
    sources: tuple[str, ...] = ()
    is_own: bool = False

    def patients(self) -> dict[str, list[str]]:
        """Patients of each part."""
        return {
            part: sorted({scan.patient for scan in scans}) for part, scans in self.parts.items()
        }

    def digest(self) -> str:
        """Hexadecimal SHA-256 over all scans and their parts."""
        digest = hashlib.sha256()
        for part, scans in self.parts.items():
            for scan in scans:
                facts = (part, scan.patient, scan.spacing_mm, scan.array.shape)
                digest.update(repr(facts).encode() + scan.array.tobytes())
        return digest.hexdigest()


def gather(recipe: CtEnhanceRecipe, data: Path, output: Path, *, say: Say) -> Collection:
    """Read the scans of a data folder and share them out.

    Args:
        recipe: its split, and what it takes to be too noisy.
        data: holds ``ct/index.json`` and ``ct/train``, or any tree of DICOM files, for which an
            index is built.
        output: keeps that index and the key of its pseudonyms, once there are scans to list.
        say: is told what is read.

    Raises:
        InputRefused: nothing suitable, or a part has too few patients.
    """
    if has_index(data):
        return _listed(recipe, data, say)
    own = read_own_scans(
        data,
        rule=recipe.split,
        why_unfit=lambda scan, part: why_unfit(recipe, scan, part),
        key=lambda: _key(output),
        say=say,
    )
    if is_main_process() and not (output / RUN).exists():  # a run that goes on keeps its index
        write_json(output / INDEX, {"made_by": f"isocenter {__version__}", **own.index})
    if own.refusal is not None:
        raise own.refusal
    return Collection(parts=divided(own.scans, own.part_of), is_own=True)


def _listed(recipe: CtEnhanceRecipe, data: Path, say: Say) -> Collection:
    def progress(done: int, total: int) -> None:
        if done and done % max(1, total // 5) == 0:
            say(f"read {done} of {total} scans")

    listed = read_index(data)
    say(f"reading the {len(listed)} scans that ct/index.json lists")
    scans = read_training_scans(data, progress=progress)
    parts = split(recipe, scans)
    trained_on = {scan.name for part in (TRAIN, VALIDATION) for scan in parts[part]}
    sources = {one.source for one in listed if one.name in trained_on and one.source}
    check_parts({scan.patient: part for part in PARTS for scan in parts[part]}, recipe.split)
    return Collection(parts=parts, sources=tuple(sorted(sources)))


def split(recipe: CtEnhanceRecipe, scans: Sequence[TrainingScan]) -> Parts:
    """Sort scans into parts by patient; what is too noisy to be trained on is left out.

    Scans whose noise cannot be measured stay for training, where they are only used shrunk.
    """
    part_of = {scan.patient: recipe.split.part_of(scan.patient) for scan in scans}
    parts = divided(scans, part_of)
    parts[TRAIN] = [
        scan for scan in parts[TRAIN] if not scan.noise_hu > recipe.noisiest_training_hu
    ]
    return parts


def divided(scans: Sequence[TrainingScan], part_of: Mapping[str, str]) -> Parts:
    """Scans by the part of their patient, in order."""
    return {part: [scan for scan in scans if part_of[scan.patient] == part] for part in PARTS}


def why_unfit(recipe: CtEnhanceRecipe, scan: TrainingScan, part: str) -> str:
    """Why a scan of one's own cannot be used in a part, "" where it can."""
    accepted = recipe.accepted
    rows, columns = scan.array.shape[1:]
    spacing = scan.in_plane_mm
    measured = (
        ("a pixel spacing", min(spacing), accepted.pixel_spacing_mm, "accepted.pixel_spacing_mm"),
        ("a pixel spacing", max(spacing), accepted.pixel_spacing_mm, "accepted.pixel_spacing_mm"),
        (
            "a field of view",
            max(rows * spacing[0], columns * spacing[1]),
            accepted.field_of_view_mm,
            "accepted.field_of_view_mm",
        ),
        (
            "a slice thickness",
            scan.slice_thickness_mm,
            accepted.slice_thickness_mm,
            "accepted.slice_thickness_mm",
        ),
    )
    for what, value, (low, high), setting in measured:
        if not low <= value <= high:
            return f"{what} of {value:g} mm; {low:g} to {high:g} mm is accepted ({setting})"
    if part != TRAIN and scan.noise_hu != scan.noise_hu:
        return "its noise cannot be measured, as no even soft tissue is seen; it cannot judge"
    if scan.noise_hu > recipe.noisiest_training_hu:
        return (
            f"noise of {scan.noise_hu:.0f} HU; a scan that stands for a standard dose has at most "
            f"{recipe.noisiest_training_hu:g} HU (noisiest_training_hu)"
        )
    return ""


def _key(output: Path) -> bytes:
    """The secret of the pseudonyms: made once, readable by its owner alone, never packed."""
    path = output / KEY
    if is_main_process() and not path.exists():
        output.mkdir(parents=True, exist_ok=True)
        with appearing_whole(path, mode=0o600) as part:
            part.write_bytes(secrets.token_bytes(32))
    wait_for_all()
    return path.read_bytes()
