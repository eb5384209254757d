"""Simulated heads to learn from: every contrast of the same head, its lesions and its tissues.

A head is made the first time it is asked for, and kept on the disk under a name that follows from
everything that decides it. Heads of one label map belong to one part of a split, whatever the seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.checks import check_least, check_range
from isocenter.core.errors import InputRefused
from isocenter.core.files import folder_appearing_whole, write_json
from isocenter.core.seeds import derived_seed, generator_for
from isocenter.datasets.label_maps import LabelMap
from isocenter.physics.phantom.choices import (
    ADC,
    ALL_CONTRASTS,
    DIFFUSION,
    LESION_NAMES,
    LESIONS,
)
from isocenter.physics.phantom.head import SimulatedHead, make_head
from isocenter.physics.phantom.scan import Flaws, Grid, Scan, Slice, acquired
from isocenter.physics.phantom.sequences import draw_sequence

# Raise it when the same settings would give other pixels.
SIMULATION_VERSION = 1
_IMAGES, _ADC, _MASKS, _FACTS = "images.npy", "adc.npy", "masks.npy", "facts.json"
_TISSUES, _LESIONS, _BRAIN = range(3)
_COVERED_MM = 150.0
_HIGHEST = 65535


@dataclass(frozen=True, kw_only=True)
class CohortSettings:
    """What a cohort holds.

    Attributes:
        heads: how many.
        contrasts: of ``ALL_CONTRASTS``.
        lesion_shares: of heads with each of ``LESIONS``: none, plaques, tumor, infarct.
        size: rows and columns.
        pixel_mm: drawn from, per head.
        slice_mm: distance between slices; drawn from, per head.
        most_slices: of a head; thin ones then cover part of the brain, at a place that is drawn.
        noise, flaws: over what is usual; drawn from, per head.
        seed: of the cohort; the same head number is the same head whatever ``heads``.
    """

    heads: int = 200
    contrasts: tuple[str, ...] = ALL_CONTRASTS
    lesion_shares: tuple[float, float, float, float] = (0.2, 0.35, 0.2, 0.25)
    size: int = 224
    pixel_mm: tuple[float, float] = (0.85, 1.05)
    slice_mm: tuple[float, float] = (1.0, 5.0)
    most_slices: int = 36
    noise: tuple[float, float] = (0.5, 1.6)
    flaws: tuple[float, float] = (0.5, 1.5)
    seed: int = 0

    def __post_init__(self) -> None:
        check_least("heads", self.heads, 1)
        check_least("size", self.size, 8)
        check_least("most_slices", self.most_slices, 1)
        for name in ("pixel_mm", "slice_mm", "noise", "flaws"):
            check_range(name, getattr(self, name), may_be_one=True)
        if unknown := [one for one in self.contrasts if one not in ALL_CONTRASTS]:
            raise ValueError(f"contrasts are {', '.join(ALL_CONTRASTS)}, got {unknown[0]!r}")
        if not self.contrasts or min(self.lesion_shares) < 0 or not sum(self.lesion_shares) > 0:
            raise ValueError("a cohort needs a contrast, and shares of lesions of at least 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class CohortHead:
    """One head on the disk; slices are read as they are asked for.

    Attributes:
        number: in its cohort.
        part: of a split.
        contrasts: in the order of ``images``.
        images: (contrast, slice, row, column) uint16, to be multiplied with ``scales``.
        scales: by contrast.
        adc: (slice, row, column) uint16 µm²/s, without noise; zeros where diffusion was not
            simulated.
        masks: (3, slice, row, column) uint8: tissues, lesions (places in ``LESION_NAMES`` from 1),
            brain.
        spacing_mm: between slices, rows and columns.
        facts: what was drawn.
    """

    number: int
    part: str
    contrasts: tuple[str, ...]
    images: NDArray[np.uint16]
    scales: Mapping[str, float]
    adc: NDArray[np.uint16]
    masks: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    facts: Mapping[str, Any]

    def __len__(self) -> int:
        """Slices."""
        return int(self.images.shape[1])

    def values(self, contrast: str, index: int | slice = slice(None)) -> NDArray[np.float32]:
        """(row, column) of one slice, or (slice, row, column) of several, in their unit.

        Raises:
            ValueError: the cohort does not hold the contrast.
        """
        if contrast not in self.contrasts:
            raise ValueError(f"contrasts are {', '.join(self.contrasts)}, got {contrast!r}")
        stored = self.images[self.contrasts.index(contrast), index]
        return stored.astype(np.float32) * np.float32(self.scales[contrast])

    def adc_um2_s(self, index: int | slice = slice(None)) -> NDArray[np.float32]:
        """The true ADC, without noise and distortion, partial volume included."""
        return self.adc[index].astype(np.float32)

    def tissues(self, index: int | slice = slice(None)) -> NDArray[np.uint8]:
        """Numbers of tissues."""
        return self.masks[_TISSUES, index]

    def lesions(self, index: int | slice = slice(None)) -> NDArray[np.uint8]:
        """Places in ``LESION_NAMES`` from 1, 0 for none."""
        return self.masks[_LESIONS, index]

    def brain(self, index: int | slice = slice(None)) -> NDArray[np.bool_]:
        """Brain with its ventricles and narrow sulci."""
        return self.masks[_BRAIN, index].astype(bool)

    def lesion_slices(self) -> NDArray[np.intp]:
        """Slices that hold a lesion, for sampling that looks for them."""
        return np.flatnonzero(self.masks[_LESIONS].any((1, 2)))


class MrCohort(Sequence[CohortHead]):
    """Heads by number, each made when it is first asked for."""

    def __init__(
        self, maps: Sequence[LabelMap], settings: CohortSettings, cache: str | Path
    ) -> None:
        """Name a cohort; nothing is made yet.

        Args:
            maps: heads that are bent; head ``n`` comes from map ``n % len(maps)``.
            settings: what is made of them.
            cache: folder for the heads, made where it does not exist.

        Raises:
            InputRefused: there is no map.
        """
        if not maps:
            raise InputRefused("a cohort needs at least one label map; name the data folder")
        self.settings = settings
        self._maps = tuple(maps)
        self._cache = Path(cache)
        self._digests: dict[int, str] = {}

    def __len__(self) -> int:
        return self.settings.heads

    def __getitem__(self, number: int) -> CohortHead:  # type: ignore[override]
        """Head of a number; made, or read where it was made before."""
        if not 0 <= number < len(self):
            raise IndexError(f"heads are numbered from 0 to {len(self) - 1}, got {number}")
        folder = self._cache / self._key(number)
        if not (folder / _FACTS).is_file():
            self._cache.mkdir(parents=True, exist_ok=True)
            with folder_appearing_whole(folder) as partial:
                self._make(number, partial)
        return self._open(number, folder)

    def part_of(self, number: int) -> str:
        """Part of a split that a head belongs to: that of its label map."""
        return self._map(number).part

    def numbers_of(self, part: str) -> list[int]:
        """Heads of a part of a split."""
        return [number for number in range(len(self)) if self.part_of(number) == part]

    def heads_of(self, part: str) -> Iterator[CohortHead]:
        """Heads of a part of a split, one after the other."""
        return (self[number] for number in self.numbers_of(part))

    def _map(self, number: int) -> LabelMap:
        return self._maps[number % len(self._maps)]

    def _key(self, number: int) -> str:
        """Name of a head's folder; follows from all that decides its pixels."""
        place = number % len(self._maps)
        if place not in self._digests:
            self._digests[place] = self._maps[place].digest()
        settings = asdict(self.settings) | {"heads": 0}
        decisive = (SIMULATION_VERSION, settings, number, self._digests[place])
        text = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
        return f"head-{number:05d}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"

    def _make(self, number: int, folder: Path) -> None:
        settings = self.settings
        rng = generator_for(settings.seed, "cohort", number)
        seed = derived_seed(settings.seed, "head", number)
        shares = np.array(settings.lesion_shares) / sum(settings.lesion_shares)
        lesion = str(rng.choice(LESIONS, p=shares))
        field_tesla = float(rng.choice([1.5, 3.0]))
        grid = self._grid(rng)
        flaws = Flaws(
            noise=float(rng.uniform(*settings.noise)), others=float(rng.uniform(*settings.flaws))
        )
        head = _head_with(
            self._map(number),
            lesion=lesion,
            seed=seed,
            field_tesla=field_tesla,
            mirrored=bool(rng.random() < 0.5),
        )
        sequences = {
            name: draw_sequence(name, field_tesla=field_tesla, rng=sequence_generator(seed, name))
            for name in acquired(settings.contrasts)
        }
        scan = Scan(
            head=head,
            sequences=sequences,
            grid=grid,
            seed=seed,
            flaws=flaws,
            with_adc=ADC in settings.contrasts,
        )
        scales = _store(folder, scan.slices(), grid, settings.contrasts)
        facts = {
            "head": dict(head.facts) | {"field_tesla": field_tesla, "map": self._map(number).name},
            "sequences": {name: one.numbers() for name, one in sequences.items()},
            "flaws": asdict(flaws),
            "spacing_mm": list(grid.spacing_mm),
            "thickness_mm": grid.thickness_mm,
            "contrasts": list(settings.contrasts),
            "scales": scales,
            "lesion_names": list(LESION_NAMES),
        }
        write_json(folder / _FACTS, facts)

    def _grid(self, rng: np.random.Generator) -> Grid:
        settings = self.settings
        # As many thin slices as thick ones, rather than as many distances in mm.
        low, high = np.log(settings.slice_mm)
        slice_mm = float(np.exp(rng.uniform(low, high)))
        pixel_mm = float(rng.uniform(*settings.pixel_mm))
        wanted = int(np.ceil(_COVERED_MM / slice_mm))
        count = min(wanted, settings.most_slices)
        spare_mm = (wanted - count) * slice_mm
        return Grid(
            shape=(count, settings.size, settings.size),
            spacing_mm=(slice_mm, pixel_mm, pixel_mm),
            thickness_mm=slice_mm * float(rng.uniform(0.85, 1.0)),
            middle_mm=float(rng.uniform(-0.5, 0.5)) * spare_mm * 0.8,
        )

    def _open(self, number: int, folder: Path) -> CohortHead:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        first, second, third = facts["spacing_mm"]
        return CohortHead(
            number=number,
            part=self.part_of(number),
            contrasts=tuple(facts["contrasts"]),
            images=np.load(folder / _IMAGES, mmap_mode="r"),
            scales=facts["scales"],
            adc=np.load(folder / _ADC, mmap_mode="r"),
            masks=np.load(folder / _MASKS, mmap_mode="r"),
            spacing_mm=(first, second, third),
            facts=facts,
        )


def sequence_generator(seed: int, contrast: str) -> np.random.Generator:
    """What draws the sequence of a contrast; one for both weightings of diffusion."""
    return generator_for(seed, "sequence", "diffusion" if contrast in DIFFUSION else contrast)


def _head_with(one: LabelMap, **drawn: Any) -> SimulatedHead:
    try:
        return make_head(one.tissues(), **drawn)
    except ValueError as error:
        raise InputRefused(f"no head can be made of {one.name}: {error}; leave it out") from error


def _store(
    folder: Path, slices: Iterator[Slice], grid: Grid, contrasts: Sequence[str]
) -> dict[str, float]:
    """Write all arrays; returns the scales of the contrasts."""
    whole = np.zeros((len(contrasts), *grid.shape), np.float32)
    adc = np.zeros(grid.shape, np.uint16)
    masks = np.zeros((3, *grid.shape), np.uint8)
    for one in slices:
        for place, name in enumerate(contrasts):
            whole[place, one.index] = one.images[name]
        adc[one.index] = np.rint(one.adc_um2_s)
        masks[:, one.index] = one.tissues, one.lesions, one.brain
    scales = {}
    images = np.zeros(whole.shape, np.uint16)
    for place, name in enumerate(contrasts):
        scales[name] = max(float(whole[place].max()), 1e-6) / _HIGHEST
        images[place] = np.rint(whole[place] / scales[name])
    np.save(folder / _IMAGES, images)
    np.save(folder / _ADC, adc)
    np.save(folder / _MASKS, masks)
    return scales
