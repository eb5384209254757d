"""Names of MR images as BIDS has them, and plain names by contrast; sidecars and derivatives.

Source: Brain Imaging Data Structure 1.10, "Magnetic Resonance Imaging" and "BIDS Derivatives".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from isocenter.core.acquisition import MrAcquisition
from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.core.version import __version__
from isocenter.image.volume_files import NIFTI_ENDINGS, volume_ending

Contrast = Literal["T1", "T1c", "T2", "PD", "FLAIR", "DWI", "ADC"]

SUFFIXES: Mapping[str, Contrast] = {
    "T1w": "T1", "T2w": "T2", "PDw": "PD", "FLAIR": "FLAIR", "dwi": "DWI", "ADC": "ADC",
    "adc": "ADC",
}  # fmt: skip
# In the order in which BIDS has them.
_ENTITIES = (
    "sub", "ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "inv", "part", "space", "res",
    "desc", "label",
)  # fmt: skip
_LABEL = re.compile(r"[0-9A-Za-z]+")
_MOST_SIDECAR_BYTES = 1_000_000

_CONTRASTS: Mapping[str, Contrast] = {name: name for name in get_args(Contrast)}
# Names that people and the public challenges give; what stands last in a name counts.
_PLAIN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?:^|[^a-z0-9])(?:{pattern})(?:[^a-z0-9]|$)", re.I), contrast)
    for pattern, contrast in (
        (r"t1(?:w)?[-_. ]?(?:c|ce|gd|post|contrast|km)|t1c[ew]?|t1ce|t1gd|t1km", "T1c"),
        (r"(?:t2[-_. ]?)?flair|t2f|fl", "FLAIR"),
        (r"t2w?|t2wi", "T2"),
        (r"pdw?", "PD"),
        (r"t1w?|t1n|t1wi|mprage", "T1"),
        (r"dwi|b1000", "DWI"),
        (r"adc", "ADC"),
    )
)


@dataclass(frozen=True, kw_only=True)
class BidsName:
    """A name taken apart.

    Attributes:
        entities: labels by entity, such as ``{"sub": "01", "ses": "1"}``; identifiers.
        suffix: such as "T1w" or "FLAIR".
    """

    entities: Mapping[str, str]
    suffix: str

    @property
    def contrast(self) -> Contrast | None:
        """None where the suffix is none of an image that is known."""
        contrast = SUFFIXES.get(self.suffix)
        return "T1c" if contrast == "T1" and self.entities.get("ce") else contrast

    @property
    def is_mask(self) -> bool:
        """Whether it names no image but a mask, a label map or a surface."""
        return self.suffix in ("mask", "dseg", "probseg", "roi", "lesion", "seg")

    def file_name(self, ending: str = ".nii.gz") -> str:
        """The name again, entities in the order of BIDS."""
        parts = [f"{key}-{self.entities[key]}" for key in _ENTITIES if key in self.entities]
        return "_".join([*parts, self.suffix]) + ending


def parse_bids_name(path: str | Path) -> BidsName | None:
    """Take a name apart; None where it is none of BIDS."""
    name = Path(path).name
    ending = volume_ending(name)
    parts = (name[: -len(ending)] if ending else Path(name).stem).split("_")
    entities: dict[str, str] = {}
    for part in parts[:-1]:
        key, mark, label = part.partition("-")
        if not mark or key not in _ENTITIES or not _LABEL.fullmatch(label) or key in entities:
            return None
        entities[key] = label
    if "sub" not in entities or not re.fullmatch(r"[0-9A-Za-z]+", parts[-1]):
        return None
    return BidsName(entities=entities, suffix=parts[-1])


def contrast_of_name(path: str | Path) -> Contrast | None:
    """The contrast that a file's name says, in BIDS or in plain words; None where it says none.

    A plain name that says two, such as ``t1_to_flair.nii``, says none.
    """
    if (bids := parse_bids_name(path)) is not None:
        return bids.contrast
    name = Path(path).name
    stem = name[: len(name) - len(volume_ending(name))]
    found: list[Contrast] = []
    for pattern, contrast in _PLAIN:
        if pattern.search(stem):
            found.append(_CONTRASTS[contrast])
            stem = pattern.sub(" ", stem)
    return found[0] if len(found) == 1 else None


def derivative_name(source: str | Path, *, contrast: str, description: str) -> str:
    """What a derivative of an image is called.

    Args:
        source: name of the image that it is made of; without BIDS entities it becomes ``sub-01``.
        contrast: of the result.
        description: of letters and digits, such as "synthesized".

    Raises:
        OutputRefused: a description or contrast that BIDS has no name for.
    """
    if not _LABEL.fullmatch(description):
        raise OutputRefused(
            f"a BIDS description is of letters and digits alone, got {len(description)} characters "
            "with others among them"
        )
    suffix = {"T1": "T1w", "T1c": "T1w", "T2": "T2w", "PD": "PDw", "FLAIR": "FLAIR", "ADC": "ADC"}
    if contrast not in suffix:
        raise OutputRefused(f"contrasts that BIDS names are {', '.join(suffix)}, got {contrast!r}")
    known = parse_bids_name(source)
    entities = {"sub": "01"} if known is None else dict(known.entities)
    entities = {key: label for key, label in entities.items() if key in ("sub", "ses", "space")}
    if contrast == "T1c":
        entities["ce"] = "gadolinium"
    return BidsName(entities=entities | {"desc": description}, suffix=suffix[contrast]).file_name()


def sidecar_path(image: Path) -> Path:
    """The JSON file beside an image."""
    return image.with_name(image.name[: -len(volume_ending(image))] + ".json")


def read_sidecar(image: Path) -> MrAcquisition | None:
    """What the JSON file beside a NIfTI image says of how it was made, times in milliseconds.

    Returns:
        None where there is no such file.

    Raises:
        InputRefused: the file is no JSON object.
    """
    path = sidecar_path(image)
    if not path.is_file():
        return None
    if path.stat().st_size > _MOST_SIDECAR_BYTES:
        raise InputRefused("a sidecar is larger than 1 MB, which no header needs; leave it out")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputRefused("a sidecar is no JSON; repair it or leave it out") from error
    if not isinstance(said, dict):
        raise InputRefused("a sidecar holds no JSON object; repair it or leave it out")
    return _acquisition(said)


def _acquisition(said: Mapping[str, Any]) -> MrAcquisition:
    agent = said.get("ContrastBolusIngredient")
    return MrAcquisition(
        echo_time_ms=_milliseconds(said.get("EchoTime")),
        repetition_time_ms=_milliseconds(said.get("RepetitionTime")),
        inversion_time_ms=_milliseconds(said.get("InversionTime")),
        flip_deg=_number(said.get("FlipAngle")),
        field_strength_t=_number(said.get("MagneticFieldStrength")),
        slice_thickness_mm=_number(said.get("SliceThickness")),
        scanning_sequence=_terms(said.get("ScanningSequence")),
        sequence_variant=_terms(said.get("SequenceVariant")),
        scan_options=_terms(said.get("ScanOptions")),
        image_type=_terms(said.get("ImageType")),
        is_3d={"2D": False, "3D": True}.get(str(said.get("MRAcquisitionType", ""))),
        has_contrast_agent=None if not isinstance(agent, str) or not agent else agent != "NONE",
        body_part=str(said.get("BodyPartExamined") or "")[:16],
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 1e9 else None


def _milliseconds(value: Any) -> float | None:
    """BIDS has seconds; rounded, as 0.09 s is 90 ms."""
    known = _number(value)
    return None if known is None else round(known * 1000, 6) or None


def _terms(value: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else re.split(r"[\\_/ ]", str(value or ""))
    return tuple(str(part).upper()[:64] for part in parts if part)


def write_sidecar(
    image: Path, *, sources: list[str], facts: Mapping[str, Any], synthetic: bool
) -> Path:
    """Write the JSON file beside a derived image.

    Args:
        image: that was written.
        sources: what it was made of, as BIDS URIs or paths below the data set.
        facts: further keys, such as the task's settings.
        synthetic: whether a model made the values.

    Raises:
        OutputRefused: ``image`` is no NIfTI file.
    """
    if volume_ending(image) not in NIFTI_ENDINGS:
        raise OutputRefused("a sidecar stands beside a NIfTI file (.nii or .nii.gz)")
    content = {"Sources": sources, **facts}
    if synthetic:
        content["SyntheticData"] = True
        content["Description"] = "Made by a model from the sources; not acquired by a scanner."
    path = sidecar_path(image)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def write_derivative_description(folder: Path, *, name: str) -> Path:
    """Write ``dataset_description.json``, which makes a folder a BIDS derivative."""
    content = {
        "Name": name,
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "isocenter", "Version": __version__}],
    }
    path = folder / "dataset_description.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
