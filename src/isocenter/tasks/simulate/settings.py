"""What may be set when a head is simulated."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.core.errors import SettingRefused
from isocenter.physics.phantom.choices import (
    ALL_CONTRASTS,
    ARTERIES,
    LESIONS,
    MOST_HOURS,
    NO_LESION,
)
from isocenter.tasks.settings import Settings, setting

FORMATS = ("dicom", "nifti")
MOST_SEED = 2**63 - 1
_MOST_SLICES = 400
_COVERED_MM = 156.0


@dataclass(frozen=True, kw_only=True)
class SimulateSettings(Settings):
    """What head, with what in it, and how it is scanned.

    Attributes:
        lesion, contrasts, seed, field, slice, pixel, size, noise, flaws, bending, age_hours,
            artery, plaques, format: see their help; all but the format decide the pixels.
    """

    lesion: str = setting(
        NO_LESION, help="What grows in the head: none, plaques, tumor or infarct.", choices=LESIONS
    )
    contrasts: str = setting(
        ",".join(ALL_CONTRASTS),
        help=f"Which images, by commas, of {', '.join(ALL_CONTRASTS)}; all by default.",
        metavar="NAMES",
    )
    seed: int = setting(
        0, help="Same seed, same head and images; 0 by default.", at_least=0, at_most=MOST_SEED
    )
    field: float = setting(
        3.0, help="Main field in tesla, from 1.5 to 3; 3 by default.", at_least=1.5, at_most=3.0
    )
    slice: float = setting(
        4.0,
        help="Distance between slices in mm, which are as thick; 4 by default.",
        at_least=0.5,
        at_most=20,
    )
    pixel: float = setting(
        0.9, help="Size of a pixel in mm; 0.9 by default.", at_least=0.3, at_most=5
    )
    size: int = setting(256, help="Rows and columns; 256 by default.", at_least=16, at_most=1024)
    noise: float = setting(
        1.0, help="Noise over what is usual: 0 for none, 1 by default.", at_least=0, at_most=10
    )
    flaws: float = setting(
        1.0,
        help="Uneven coils, motion, and distortion and blur of diffusion images, over what is "
        "usual: 0 for none, 1 by default.",
        at_least=0,
        at_most=3,
    )
    bending: float = setting(
        1.0,
        help="How far the head is turned, scaled and bent from its map: 0 leaves it, 1 by default.",
        at_least=0,
        at_most=2,
    )
    age_hours: float | None = setting(
        None,
        help="Hours since the onset of an infarct; drawn from 2 to 168 by default.",
        at_least=0,
        at_most=MOST_HOURS,
    )
    artery: str | None = setting(
        None, help=f"Territory of an infarct: {', '.join(ARTERIES)}; drawn by default."
    )
    plaques: int | None = setting(
        None, help="How many plaques; drawn by default.", at_least=1, at_most=500
    )
    format: str = setting(
        "dicom", help="Of the files: dicom or nifti.", choices=FORMATS, metavar="FORMAT"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.names
        for name in names:
            if name not in ALL_CONTRASTS:
                raise SettingRefused(
                    f"contrasts are any of {', '.join(ALL_CONTRASTS)}, by commas; got {name[:32]!r}"
                )
        if len(set(names)) != len(names):
            raise SettingRefused("a contrast is named twice; name each once")
        if self.artery is not None and self.artery not in ARTERIES:
            raise SettingRefused(
                f"artery must be one of {', '.join(ARTERIES)}, got {self.artery[:32]!r}"
            )
        for name, lesion in (("age_hours", "infarct"), ("artery", "infarct"), ("plaques",) * 2):
            if getattr(self, name) is not None and self.lesion != lesion:
                raise SettingRefused(
                    f"{name} is of {lesion}, and the lesion is {self.lesion}; leave it out, or ask "
                    f"for {lesion}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The contrasts."""
        return tuple(name.strip() for name in self.contrasts.split(","))

    @property
    def num_slices(self) -> int:
        """As many as cover the brain."""
        return min(max(round(_COVERED_MM / self.slice), 1), _MOST_SLICES)
