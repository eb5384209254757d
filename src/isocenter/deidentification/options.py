"""What is retained, cleaned and shifted: the options of the profile as settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from isocenter.core.errors import SettingRefused
from isocenter.core.outputs import Code

Dates = Literal["remove", "modify", "keep"]
DATES: tuple[Dates, ...] = get_args(Dates)
OLDEST_AGE_YEARS = 89

_PROFILE = Code("113100", "DCM", "Basic Application Confidentiality Profile")
_CODES = {
    "clean_pixels": Code("113101", "DCM", "Clean Pixel Data Option"),
    "clean_graphics": Code("113103", "DCM", "Clean Graphics Option"),
    "clean_structured_content": Code("113104", "DCM", "Clean Structured Content Option"),
    "clean_descriptors": Code("113105", "DCM", "Clean Descriptors Option"),
    "keep": Code("113106", "DCM", "Retain Longitudinal Temporal Information Full Dates Option"),
    "modify": Code(
        "113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"
    ),
    "retain_patient_characteristics": Code(
        "113108", "DCM", "Retain Patient Characteristics Option"
    ),
    "retain_device_identity": Code("113109", "DCM", "Retain Device Identity Option"),
    "retain_uids": Code("113110", "DCM", "Retain UIDs Option"),
    "retain_safe_private": Code("113111", "DCM", "Retain Safe Private Option"),
    "retain_institution_identity": Code("113112", "DCM", "Retain Institution Identity Option"),
}
"""CID 7050 by setting or by value of ``dates``."""

_TEMPORAL = {"remove": "REMOVED", "modify": "MODIFIED", "keep": "UNMODIFIED"}

_COLUMNS = {
    "retain_safe_private": "safe_private",
    "retain_uids": "uids",
    "retain_device_identity": "device",
    "retain_institution_identity": "institution",
    "retain_patient_characteristics": "patient",
    "clean_descriptors": "descriptors",
    "clean_structured_content": "structured",
    "clean_graphics": "graphics",
}
"""Column of Table E.1-1 by setting."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options beside the Basic Application Level Confidentiality Profile (PS3.15 E.3).

    Attributes:
        retain_patient_characteristics: sex, age, size, weight and the like.
        retain_device_identity: serial number, station and the like of the scanner.
        retain_institution_identity: name, address and department of the institution.
        retain_uids: UIDs as they are. With the originals at hand, they lead to the patient.
        retain_safe_private: private elements that a list calls safe.
        dates: "remove" them, "modify" them by a number of days that is the patient's own, or
            "keep" them.
        clean_descriptors: descriptions and comments stay, without what identifies.
        clean_graphics: annotations of presentation states stay, their text cleaned.
        clean_structured_content: content of reports stays, but for identifying items.
        clean_pixels: boxes that rules name are blacked out; what no rule is for is set aside.
        oldest_age_years: ages above it are written as one year more. Only where characteristics
            are retained.
    """

    retain_patient_characteristics: bool = False
    retain_device_identity: bool = False
    retain_institution_identity: bool = False
    retain_uids: bool = False
    retain_safe_private: bool = False
    dates: Dates = "remove"
    clean_descriptors: bool = False
    clean_graphics: bool = False
    clean_structured_content: bool = False
    clean_pixels: bool = False
    oldest_age_years: int = OLDEST_AGE_YEARS

    def __post_init__(self) -> None:
        if self.dates not in DATES:
            raise SettingRefused(f"dates are one of {', '.join(DATES)}")
        if not 1 <= self.oldest_age_years <= 998:
            raise SettingRefused(f"oldest_age_years is 1 to 998, got {self.oldest_age_years}")

    def columns(self) -> Iterator[str]:
        """Columns of Table E.1-1 that hold, the ones that retain in front."""
        yield from (column for name, column in _COLUMNS.items() if getattr(self, name))
        if self.dates != "remove":
            yield "full_dates" if self.dates == "keep" else "modified_dates"

    def codes(self) -> list[Code]:
        """For De-identification Method Code Sequence."""
        chosen = [name for name in _CODES if getattr(self, name, False) or name == self.dates]
        return [_PROFILE, *(_CODES[name] for name in chosen)]

    @property
    def temporal(self) -> str:
        """Value of Longitudinal Temporal Information Modified."""
        return _TEMPORAL[self.dates]
