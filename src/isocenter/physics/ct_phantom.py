"""A software torso at the height of heart and liver dome: made of formulas, from no patient.

Coordinates are millimetres: x towards the patient's left (columns), y towards the back (rows), z
towards the head (slices), from the middle of the volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.seeds import generator_for
from isocenter.core.volume import Geometry, Volume
from isocenter.physics.ct_dose import DoseSimulator, photons_for_noise
from isocenter.physics.ct_phantom_vessels import VesselTree, grow_tree, vessel_level
from isocenter.physics.ct_projection import FanBeam

FAT, SKIN, MUSCLE, LUNG, BLOOD, LIVER, SPLEEN = -102.0, 5.0, 58.0, -865.0, 165.0, 108.0, 118.0
CORTEX, CANCELLOUS, CARTILAGE, MYOCARDIUM, FLUID = 780.0, 210.0, 95.0, 105.0, 12.0
AIR = -1000.0

_FIELD_OF_VIEW_MM = 380.0
_CLEAN_OVER_FULL = 100.0  # the noiseless phantom counts as a scan of a hundred times the dose


@dataclass(frozen=True, kw_only=True)
class _Torso:
    """One drawn person: sizes in mm, and everything that is random."""

    half_width: float
    half_depth: float
    fat: float
    liver_dome: float
    heart_turn: float
    rib_phase: float
    waves: NDArray  # (axis, term, 5): wave vector x, y, z, phase, amplitude
    lung_vessels: tuple[VesselTree, ...]
    liver_vessels: VesselTree
    nodules: NDArray  # (nodule, 5): x, y, z, radius, HU
    lesions: NDArray  # (lesion, 5)


def body_phantom(
    seed: int,
    *,
    shape: tuple[int, int, int] = (8, 512, 512),
    spacing_mm: tuple[float, float, float] = (3.0, 0.742, 0.742),
    arms: bool = False,
) -> NDArray:
    """A torso without noise, (slice, row, column) float32 HU.

    Lungs with vessels, fissures and nodules, heart, liver with vessels and faint lesions, spleen,
    stomach, aorta, spine, ribs, sternum, muscle, fat, skin and a couch. It is some 360 mm wide.

    Args:
        seed: draws the person; equal seeds give equal anatomy at any shape and spacing.
        arms: put them beside the body (they need a field of view of 500 mm).
    """
    if len(shape) != 3 or min(shape) < 1 or not min(spacing_mm) > 0:
        raise ValueError(
            f"needs three sizes and three positive spacings, got {shape} and {spacing_mm}"
        )
    torso = _draw_torso(generator_for(seed, "torso"))
    z_mm = (np.arange(shape[0]) - (shape[0] - 1) / 2) * spacing_mm[0]
    y_mm = (np.arange(shape[1]) - (shape[1] - 1) / 2) * spacing_mm[1]
    x_mm = (np.arange(shape[2]) - (shape[2] - 1) / 2) * spacing_mm[2]
    softness = 0.35 * max(spacing_mm[1:])
    fine = _texture(generator_for(seed, "fine"), x_mm, y_mm, z_mm, scale_mm=2.2)
    coarse = _texture(generator_for(seed, "coarse"), x_mm, y_mm, z_mm, scale_mm=9.0)
    slices = [
        _Slice(torso, x_mm, y_mm, z, softness, fine[i], coarse[i]).painted(arms=arms)
        for i, z in enumerate(z_mm)
    ]
    return np.stack(slices)


def low_dose_phantom(
    seed: int = 0,
    *,
    num_slices: int = 8,
    dose_fraction: float = 0.25,
    size: int = 512,
    full_dose_noise_hu: float = 12.0,
    kernel: str = "B30f",
) -> tuple[Volume, Volume]:
    """The torso as scanned at a low and at the full dose: (low, full), in HU.

    The low dose is the full-dose scan with noise added, as in the pairs used for evaluation.

    Args:
        full_dose_noise_hu: standard deviation in muscle, liver and blood at full dose.
        kernel: a name in ``KERNELS``.
    """
    pixel_mm = _FIELD_OF_VIEW_MM / size
    spacing_mm = (3.0, pixel_mm, pixel_mm)
    clean = body_phantom(seed, shape=(num_slices, size, size), spacing_mm=spacing_mm)
    rng = generator_for(seed, "noise", num_slices, size)
    in_plane = (pixel_mm, pixel_mm)
    simulator = DoseSimulator(
        clean,
        spacing_mm=in_plane,
        geometry=FanBeam.covering(500, num_views=576),
        coarseness=4,
        slice_correlation=0.2,
    )
    photons = _photons(clean, in_plane, simulator, full_dose_noise_hu, kernel)
    ideal = simulator.with_photons(photons * _CLEAN_OVER_FULL)
    full = clean + ideal.noise_hu(1 / _CLEAN_OVER_FULL, kernel, rng)
    low = full + simulator.with_photons(photons).noise_hu(dose_fraction, kernel, rng)
    return _volume(low, spacing_mm, kernel), _volume(full, spacing_mm, kernel)


def _photons(
    clean: NDArray,
    spacing_mm: tuple[float, float],
    simulator: DoseSimulator,
    noise_hu: float,
    kernel: str,
) -> float:
    """From the middle slice alone."""
    middle = clean[len(clean) // 2]
    probe = DoseSimulator(
        middle, spacing_mm=spacing_mm, geometry=simulator.geometry, coarseness=4, photons=3e5
    )
    soft = ndimage.binary_erosion((middle > 0) & (middle < 200), iterations=3)
    return photons_for_noise(probe, noise_hu=noise_hu, kernel=kernel, mask=soft)


def _volume(array: NDArray, spacing_mm: tuple[float, float, float], kernel: str) -> Volume:
    shape = (array.shape[0], array.shape[1], array.shape[2])
    return Volume(
        array=np.clip(array, -1024, 3071).astype(np.float32),
        geometry=Geometry(shape=shape, spacing_mm=spacing_mm),
        unit="HU",
        acquisition=CtAcquisition(
            kernel=kernel,
            slice_thickness_mm=spacing_mm[0],
            tube_voltage_kv=120.0,
            reconstruction_diameter_mm=_FIELD_OF_VIEW_MM,
            body_part="CHEST",
        ),
    )


def _draw_torso(rng: np.random.Generator) -> _Torso:
    half_width, half_depth = rng.uniform(164, 174), rng.uniform(112, 120)
    liver_dome = rng.uniform(0, 8)
    lungs = tuple(_lung_tree(rng, side) for side in (-1, 1) for _ in range(11))
    liver = grow_tree(
        rng,
        root=(-38.0, 5.0, -35.0),
        direction=(-0.8, 0.0, 0.6),
        radius_mm=6.5,
        smallest_mm=1.1,
        inside=lambda p: bool(np.hypot((p[0] + 75) / 70, (p[1] - 5) / 75) < 1 and p[2] < 40),
        length_per_radius=4.5,
        spread=0.9,
    )
    return _Torso(
        half_width=half_width,
        half_depth=half_depth,
        fat=rng.uniform(14, 20),
        liver_dome=liver_dome,
        heart_turn=rng.uniform(0.55, 0.75),
        rib_phase=rng.uniform(0, 28),
        waves=_draw_waves(rng),
        lung_vessels=lungs,
        liver_vessels=liver,
        nodules=_draw_spheres(rng, _NODULE_PLACES, radius=(2.2, 5.5), hu=(-20, 45)),
        lesions=_draw_spheres(rng, _LESION_PLACES, radius=(4.5, 9.0), hu=(60, 84)),
    )


_NODULE_PLACES = ((-108, -32), (-75, 72), (112, -8), (98, 52), (58, -66))
_LESION_PLACES = ((-104, 22), (-62, -30), (-80, 48))


def _draw_spheres(
    rng: np.random.Generator,
    places: tuple[tuple[int, int], ...],
    *,
    radius: tuple[float, float],
    hu: tuple[float, float],
) -> NDArray:
    """(sphere, 5): x, y, z, radius and HU."""
    count = len(places)
    where = np.array(places) + rng.uniform(-7, 7, (count, 2))
    return np.column_stack(
        [where, rng.uniform(-9, 9, count), rng.uniform(*radius, count), rng.uniform(*hu, count)]
    )


def _lung_tree(rng: np.random.Generator, side: int) -> VesselTree:
    """From the hilum to one lung's periphery."""
    return grow_tree(
        rng,
        root=(side * 36.0, rng.uniform(-4, 28), rng.uniform(-12, 34)),
        direction=(side * 0.8, rng.uniform(-1.0, 1.0), rng.uniform(-0.5, 0.3)),
        radius_mm=rng.uniform(2.6, 4.6),
        smallest_mm=0.5,
        inside=lambda p: bool(np.hypot(p[0] / 142, p[1] / 92) < 1 and side * p[0] > 25),
        length_per_radius=5.0,
        spread=0.95,
    )


def _draw_waves(rng: np.random.Generator) -> NDArray:
    """Slow waves that bend outlines, so that nothing is an exact ellipse."""
    wavelength = rng.uniform(45, 160, (2, 10))
    heading = rng.standard_normal((2, 10, 3)) * [1, 1, 0.6]
    heading /= np.linalg.norm(heading, axis=-1, keepdims=True)
    vectors = heading * (2 * np.pi / wavelength)[..., None]
    phases = rng.uniform(0, 2 * np.pi, (2, 10, 1))
    amplitude = 0.011 * wavelength[..., None]
    return np.concatenate([vectors, phases, amplitude], axis=-1)


def _texture(
    rng: np.random.Generator, x_mm: NDArray, y_mm: NDArray, z_mm: NDArray, *, scale_mm: float
) -> NDArray:
    """Smooth random values of unit variance, (slice, row, column)."""
    extent = 520.0
    count = int(extent / scale_mm)
    grid = ndimage.gaussian_filter(rng.standard_normal((24, count, count)), 0.8, mode="wrap")
    grid /= grid.std()
    fields = []
    for z in z_mm:
        layer, share = divmod(z / (2 * scale_mm), 1)
        plane = (1 - share) * grid[int(layer) % 24] + share * grid[int(layer + 1) % 24]
        rows = np.clip(y_mm / scale_mm + count / 2, 0, count - 1)
        columns = np.clip(x_mm / scale_mm + count / 2, 0, count - 1)
        where = np.meshgrid(rows, columns, indexing="ij")
        fields.append(ndimage.map_coordinates(plane, where, order=3, output=np.float32))
    return np.stack(fields)


class _Slice:
    """One slice while it is painted, from the skin inwards."""

    def __init__(
        self,
        torso: _Torso,
        x_mm: NDArray,
        y_mm: NDArray,
        z_mm: float,
        softness_mm: float,
        fine: NDArray,
        coarse: NDArray,
    ) -> None:
        self.torso, self.z, self.softness = torso, z_mm, softness_mm
        self.x_mm, self.y_mm = x_mm, y_mm
        self.fine, self.coarse = fine, coarse
        straight_x = np.broadcast_to(x_mm[None, :], (len(y_mm), len(x_mm))).astype(np.float32)
        straight_y = np.broadcast_to(y_mm[:, None], straight_x.shape).astype(np.float32)
        self.straight = straight_x, straight_y
        self.x = straight_x + self._bend(0)
        self.y = straight_y + self._bend(1)
        self.image = np.full(straight_x.shape, AIR, dtype=np.float32)

    def painted(self, *, arms: bool) -> NDArray:
        """The finished slice."""
        if arms:
            self._arms()
        self._wall()
        self._lungs()
        self._below_diaphragm()
        self._heart()
        self._great_vessels()
        self._spine()
        self._ribs()
        self._sternum()
        self._couch()
        return ndimage.gaussian_filter(self.image, 0.45)

    # Tools

    def _bend(self, axis: int) -> NDArray:
        x, y = self.straight
        total = np.zeros_like(x)
        for kx, ky, kz, phase, amplitude in self.torso.waves[axis].astype(np.float32):
            total += amplitude * np.cos(kx * x + ky * y + (kz * self.z + phase))
        return total

    def _paint(self, level: NDArray, hu: float | NDArray, softness: float | None = None) -> None:
        """Blend towards ``hu`` where ``level`` (mm inside the outline) is positive."""
        share = _share(level, softness or self.softness)
        self.image += share * (hu - self.image)

    def _ellipse(
        self, x: float, y: float, half_x: float, half_y: float, turn: float = 0.0
    ) -> NDArray:
        """Millimetres inside a bent ellipse."""
        return _ellipse_level(self.x - x, self.y - y, half_x, half_y, turn)

    def _ball(self, x: float, y: float, z: float, radius: float) -> NDArray:
        away = np.hypot(self.straight[0] - x, self.straight[1] - y)
        return radius - np.hypot(away, self.z - z)

    # Anatomy

    def _arms(self) -> None:
        for side in (-1, 1):
            x = side * (self.torso.half_width + 42)
            self._paint(self._ellipse(x, 25, 36, 46), FAT)
            self._paint(self._ellipse(x, 25, 30, 40), MUSCLE + 6 * self.coarse)
            self._bone(self._ellipse(x, 25, 12, 12), cortex_mm=3.0)

    def _wall(self) -> None:
        """Skin, fat and the muscles around the chest."""
        torso = self.torso
        flat = 1 + 0.05 * np.sin(2 * np.arctan2(self.y, self.x)) ** 2
        self.depth = _ellipse_level(
            self.x / flat, self.y / flat, torso.half_width, torso.half_depth
        )
        self._paint(self.depth, SKIN)
        self._paint(self.depth - 2.0, FAT + 6 * self.coarse)
        fat = torso.fat * (1 + 0.25 * self.y / torso.half_depth)
        self.under_fat = self.depth - fat
        layers = 3.0 * np.sin(self.under_fat * 0.9 + 2 * self.coarse)
        muscle = MUSCLE + 5 * self.coarse + 4 * self.fine
        self._paint(self.under_fat, muscle)
        marbling = np.minimum(layers - 2.2, 5.0 - np.abs(self.under_fat - 7))
        self._paint(marbling, FAT + 40, 0.8)
        self.cavity = self.under_fat - 14.5
        for side in (-1, 1):
            back = self._ellipse(side * 30, torso.half_depth - 31, 27, 17, side * 0.25)
            self._paint(back, MUSCLE + 5 * self.coarse + 9 * np.clip(self.fine, 0, None))

    def _lungs(self) -> None:
        self._paint(self.cavity, FAT + 15)
        middle = 30 + 5 * np.cos(self.straight[1] / 40) + 16 * (self.y > 62)
        gap = np.where(self.x < 0, -self.x - middle, self.x - middle)
        rounded = -_smooth_max(-(self.cavity - 2.0), -gap, 8.0)
        self.lung = rounded
        parenchyma = LUNG + 0.32 * self.y + 16 * self.coarse + 15 * self.fine
        self._paint(rounded, parenchyma)
        for sign, slope in ((-1, 0.45), (1, -0.4)):
            plane = self.y - 25 - slope * self.x * sign - 0.5 * self.z + 9 * np.sin(self.x / 45)
            fissure = np.minimum(0.45 - np.abs(plane), np.minimum(rounded - 1, sign * self.x))
            self._paint(fissure, LUNG + 210, 0.5)
        self._lung_vessels()

    def _lung_vessels(self) -> None:
        airy = _share(self.lung, 1.0)
        for tree in self.torso.lung_vessels:
            level = vessel_level(tree, self.x_mm, self.y_mm, self.z)
            share = _share(level, self.softness) * airy
            self.image += share * (BLOOD - 60 - self.image)
        for x, y, z, radius, hu in self.torso.nodules:
            bumpy = self._ball(x, y, z, radius) + 0.5 * self.fine
            self._paint(np.minimum(bumpy, self.lung - 1), hu)

    def _below_diaphragm(self) -> None:
        """Liver, spleen and stomach, larger towards the feet."""
        dome = self.torso.liver_dome - self.z
        right = _dome(dome + 26, 84)
        if right > 5:
            level = self._ellipse(-72, 6, right * 0.92, right, 0.1)
            self._organ(np.minimum(level, self.cavity - 3.5), LIVER, 5.0)
            self._liver_inside(np.minimum(level, self.cavity - 3.5))
        left = _dome(dome - 2, 46)
        if left > 4:
            stomach = self._ellipse(62, 8, left * 0.9, left * 0.8, 0.4)
            self._organ(np.minimum(stomach, self.cavity - 4), MUSCLE + 12, 3.0)
            inside = np.minimum(stomach - 4, self.cavity - 8)
            self._paint(inside, FLUID + 5 * self.coarse)
            self._paint(np.minimum(inside, -(self.straight[1] + 4)), AIR + 12)
        spleen = _dome(dome + 4, 40)
        if spleen > 4:
            level = self._ellipse(104, 58, spleen * 0.62, spleen * 1.05, -0.5)
            self._organ(np.minimum(level, self.cavity - 3.0), SPLEEN, 4.0)

    def _organ(self, level: NDArray, hu: float, mottle: float) -> None:
        self._paint(level + 1.2, FAT + 60, 0.6)
        self._paint(level, hu + mottle * (0.6 * self.coarse + 0.5 * self.fine), 0.5)

    def _liver_inside(self, liver: NDArray) -> None:
        level = vessel_level(self.torso.liver_vessels, self.x_mm, self.y_mm, self.z)
        self._paint(np.minimum(level, liver - 3), BLOOD - 8, 0.7)
        self._paint(np.minimum(self._ellipse(-26, 38, 13, 10, 0.3), liver + 14), BLOOD - 20, 0.6)
        for x, y, z, radius, hu in self.torso.lesions:
            ball = self._ball(x, y, z, radius) + 0.6 * self.coarse
            self._paint(np.minimum(ball, liver - 2), hu, 0.9)

    def _heart(self) -> None:
        turn = self.torso.heart_turn
        reach = np.sqrt(max(0.0, 1 - ((self.z - 22) / 70) ** 2))
        if reach < 0.15:
            return
        x, y = 22.0, -34.0
        sac = self._ellipse(x, y, 66 * reach, 46 * reach, turn)
        sac = np.minimum(sac, self.cavity - 2)
        self._paint(sac + 1.3, MUSCLE, 0.5)
        self._paint(sac, FAT + 18 + 10 * self.coarse)
        muscle = np.minimum(self._ellipse(x + 3, y + 2, 58 * reach, 38 * reach, turn), sac - 3)
        self._paint(muscle, MYOCARDIUM + 3 * self.coarse, 0.7)
        chambers = (
            (20, 8, 27, 15, turn + 0.1, BLOOD + 8),
            (-4, -16, 30, 13, turn - 0.05, BLOOD - 12),
            (-28, 10, 17, 21, 0.2, BLOOD - 18),
        )
        for dx, dy, half_x, half_y, angle, hu in chambers:
            room = self._ellipse(x + dx, y + dy, half_x * reach, half_y * reach, angle)
            self._paint(np.minimum(room + 0.8 * self.fine, muscle - 3), hu + 3 * self.coarse, 1.2)
        groove = np.minimum(1.6 - np.abs(self._ellipse(x - 12, y, 30, 44, turn)), muscle + 3)
        self._paint(np.minimum(groove, -muscle + 4), FAT + 45, 0.8)

    def _great_vessels(self) -> None:
        aorta = self._ellipse(20, 52, 12.5, 12.5)
        self._paint(aorta + 4, FAT + 12, 1.5)
        self._paint(aorta, MUSCLE + 10)
        self._paint(aorta - 1.4, BLOOD + 5 + 2 * self.coarse)
        plaque = np.minimum(1.0 - np.abs(aorta - 0.8), 4 - np.hypot(self.x - 28, self.y - 44))
        self._paint(plaque, 520 * (0.5 + 0.5 * np.cos(self.z / 9)), 0.6)
        gullet = self._ellipse(2, 38, 9, 6.5)
        self._paint(gullet, MUSCLE - 8)
        self._paint(gullet - 4.6, -380, 0.8)
        self._paint(self._ellipse(-6, 54, 2.6, 2.6), BLOOD - 30)

    def _spine(self) -> None:
        y = self.torso.half_depth - 45
        body = self._ellipse(0, y, 18.5, 15.5)
        dent = self._ellipse(0, y + 18, 9.5, 8.0)
        disc = 0.5 + 0.5 * np.tanh((np.abs((self.z + 60) % 26 - 13) - 10.5) / 0.8)
        body = -_smooth_max(-body, dent, 2.0)
        arch_z = 0.5 + 0.5 * np.tanh((9 - abs((self.z + 52) % 26 - 13)) / 1.5)
        for side in (-1, 1):
            pedicle = self._ellipse(side * 12, y + 15, 4.8, 9)
            process = self._ellipse(side * 26, y + 26, 17 * (0.4 + 0.6 * arch_z), 5, side * 0.5)
            self._bone(np.maximum(pedicle, process), cortex_mm=1.4)
            self._bone(self._ellipse(side * 9, y + 29, 11, 4.2, side * 0.6), cortex_mm=1.3)
        self._bone(self._ellipse(0, y + 40, 3.6, 14 * (0.5 + 0.5 * arch_z)), cortex_mm=1.2)
        self._paint(np.minimum(body + 0.3, dent + 60), CORTEX - 180)
        marrow = CANCELLOUS + 45 * self.fine + 15 * self.coarse
        self._paint(body - 1.4, marrow * (1 - disc) + 95 * disc, 0.8)
        canal = self._ellipse(0, y + 20.5, 9.5, 8.5)
        self._paint(canal, FAT + 55)
        self._paint(canal - 1.5, 18)
        self._paint(self._ellipse(0, y + 20.5, 4.6, 3.6), 42)

    def _ribs(self) -> None:
        """Ribs fall from the spine forwards, so a slice cuts several of them at a slant."""
        spine_side = np.arctan2(self.y - 10, np.abs(self.x))  # +90 deg at the spine
        turned = np.pi / 2 - spine_side
        across = np.abs(self.cavity + 4.0 - 1.2 * np.sin(turned))
        fall = 46 * turned + 6 * np.sin(2 * turned)
        shift = np.where(self.x < 0, 0.0, 1.5)
        along = (self.z + fall + shift + self.torso.rib_phase) % 28 - 14
        outline = _ellipse_level(across, along, 4.6, 6.4)
        at_side = np.minimum(turned - 0.42, 2.25 - turned) * 60
        rib = np.minimum(outline * 1.0, at_side)
        self._bone(rib, cortex_mm=1.3)
        front = np.minimum(np.minimum(outline + 0.8, turned * 60 - 135), 60 * (2.95 - turned))
        self._paint(front, CARTILAGE + 8 * self.fine, 0.8)

    def _bone(self, level: NDArray, *, cortex_mm: float) -> None:
        self._paint(level, CORTEX + 40 * self.coarse, 0.5)
        self._paint(level - cortex_mm, CANCELLOUS + 60 * self.fine, 0.6)

    def _sternum(self) -> None:
        y = -self.torso.half_depth + self.torso.fat * 0.75 + 9
        self._bone(self._ellipse(0, y, 17, 5.5), cortex_mm=1.2)

    def _couch(self) -> None:
        x, y = self.straight
        top = self.torso.half_depth + 8 - x**2 / 1500
        depth = y - top
        outside = np.where(self.image < -900, 1.0, 0.0)
        shell = np.maximum(0.7 - np.abs(depth), 0.7 - np.abs(depth - 24 + x**2 / 1800))
        shell = np.minimum(shell, 185 - np.abs(x))
        self.image += _share(shell, self.softness) * outside * (-150 - self.image)
        foam = np.minimum(np.minimum(depth, 24 - x**2 / 1800 - depth), 185 - np.abs(x))
        self.image += _share(foam, self.softness) * outside * 35


def _share(level: NDArray, softness: float) -> NDArray:
    """0 outside, 1 inside, smooth over the edge."""
    return 0.5 + 0.5 * np.tanh(np.clip(level / softness, -8, 8))


def _ellipse_level(
    x: NDArray, y: NDArray, half_x: float, half_y: float, turn: float = 0.0
) -> NDArray:
    """Distance to an ellipse to first order, positive inside."""
    cosine, sine = np.cos(turn), np.sin(turn)
    u, v = x * cosine + y * sine, y * cosine - x * sine
    radius = np.hypot(u / half_x, v / half_y) + 1e-4
    slope = np.hypot(u / half_x**2, v / half_y**2) + 1e-4 / min(half_x, half_y)
    return (1 - radius) * radius / slope


def _smooth_max(a: NDArray, b: NDArray, width: float) -> NDArray:
    """Rounds the corner where two outlines meet."""
    return np.logaddexp(a / width, b / width) * width


def _dome(height: float, largest: float) -> float:
    """Half width of a rounded organ at this depth below its top."""
    if height <= 0:
        return 0.0
    return largest * float(np.sqrt(1 - (1 - min(height / 70, 1.0)) ** 2))
