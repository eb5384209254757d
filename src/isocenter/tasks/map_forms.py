"""In which forms a map is written as DICOM: for measuring, for old viewers, for eyes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import InputRefused
from isocenter.core.outputs import (
    MapImages,
    MapOutput,
    MapPictures,
    Output,
    SeriesOutput,
    WrittenOutput,
)

PARAMETRIC, IMAGES, BOTH = "parametric", "images", "both"
MAP_FORMS = (PARAMETRIC, IMAGES, BOTH)


@dataclass(frozen=True, kw_only=True)
class MapForms:
    """How the maps of a run are written.

    Attributes:
        maps: "parametric" for Parametric Map, floating-point numbers with their unit; "images" for
            16-bit images of the map's modality, which every viewer shows; "both".
        color: whether to write it in color over the image too, as Secondary Capture.

    Raises:
        InputRefused: another word.
    """

    maps: str = PARAMETRIC
    color: bool = False

    def __post_init__(self) -> None:
        if self.maps not in MAP_FORMS:
            raise InputRefused(f"maps are written as one of {', '.join(MAP_FORMS)}")

    @property
    def settings(self) -> dict[str, Any]:
        """What a record says of it; nothing where it is as always."""
        said: dict[str, Any] = {} if self.maps == PARAMETRIC else {"map": self.maps}
        return said | ({"color_map": True} if self.color else {})

    def written(self, outputs: Iterable[Output]) -> tuple[WrittenOutput, ...]:
        """What is written of what a task gives."""
        outputs = tuple(outputs)
        return tuple(form for output in outputs for form in self._forms(output, outputs))

    def _forms(self, output: Output, outputs: Sequence[Output]) -> Iterator[WrittenOutput]:
        if not isinstance(output, MapOutput):
            yield output
            return
        if self.maps != IMAGES:
            yield output
        if self.maps != PARAMETRIC or output.always_images:
            yield MapImages(map=output)
        if self.color:
            series = [one.name for one in outputs if isinstance(one, SeriesOutput)]
            yield MapPictures(map=output, behind=series[0] if series else "")


def has_maps(outputs: Iterable[Output]) -> bool:
    return any(isinstance(output, MapOutput) for output in outputs)
