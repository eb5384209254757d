"""Fan-beam projection of CT slices and filtered backprojection, in torch.

Both directions sum a few interpolated table entries per ray or per pixel, which
``torch.nn.functional.embedding_bag`` does in one pass over memory. The same weights serve the four
quarter turns of the gantry and all images of the batch. Gradients flow through both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from isocenter.physics.ct_kernels import RAMP, Kernel

Spacing = tuple[float, float]

_ENTRIES_PER_CHUNK = 4_000_000  # table entries gathered at once: about 50 MB of indices and weights


@dataclass(frozen=True, kw_only=True)
class FanBeam:
    """One full turn of a scanner with a curved (equiangular) detector.

    The defaults are those of a 64-row clinical scanner (500 mm scan field) with fewer views.

    Attributes:
        source_to_isocenter_mm, source_to_detector_mm: radii of the source's and detector's path.
        num_views: source positions, evenly spaced over the full turn; the first is above the
            patient (smallest row), the next ones follow towards larger columns.
        num_channels: detector elements.
        channel_pitch_mm: distance between channels, measured on the detector.
        rotation_center_mm: (row, column) offset of the isocenter from the centre of the image. It
            is rounded to whole pixels, so that quarter turns map pixels on pixels.
        first_view_deg: angle of the first source position.
    """

    source_to_isocenter_mm: float = 595.0
    source_to_detector_mm: float = 1085.6
    num_views: int = 720
    num_channels: int = 736
    channel_pitch_mm: float = 1.2858
    rotation_center_mm: tuple[float, float] = (0.0, 0.0)
    first_view_deg: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.source_to_isocenter_mm < self.source_to_detector_mm:
            raise ValueError(
                "the detector must lie behind the isocenter: got source_to_isocenter_mm "
                f"{self.source_to_isocenter_mm}, source_to_detector_mm {self.source_to_detector_mm}"
            )
        if self.num_views < 1 or self.num_channels < 2 or not self.channel_pitch_mm > 0:
            raise ValueError(
                f"needs views, channels and a positive pitch, got {self.num_views} views, "
                f"{self.num_channels} channels, channel_pitch_mm {self.channel_pitch_mm}"
            )
        if self.fan_angle_rad >= math.pi:
            raise ValueError(f"the fan opens {self.fan_angle_rad:.2f} rad; below pi is accepted")

    @property
    def channel_angle_rad(self) -> float:
        """Angle between neighbouring channels, seen from the source."""
        return self.channel_pitch_mm / self.source_to_detector_mm

    @property
    def fan_angle_rad(self) -> float:
        """Angle over all channels."""
        return self.num_channels * self.channel_angle_rad

    @property
    def pitch_at_isocenter_mm(self) -> float:
        """Distance between neighbouring rays where they pass the isocenter."""
        return self.channel_angle_rad * self.source_to_isocenter_mm

    @property
    def field_of_view_mm(self) -> float:
        """Diameter of the circle that every view sees whole."""
        return 2 * self.source_to_isocenter_mm * math.sin(min(self.fan_angle_rad, math.pi) / 2)

    @classmethod
    def covering(
        cls,
        field_of_view_mm: float,
        *,
        pitch_at_isocenter_mm: float = 0.7047,
        num_views: int = 720,
        rotation_center_mm: tuple[float, float] = (0.0, 0.0),
        source_to_isocenter_mm: float = 595.0,
        source_to_detector_mm: float = 1085.6,
    ) -> FanBeam:
        """As few channels as see a circle of this diameter around the isocenter."""
        radius_mm = field_of_view_mm / 2
        if not 0 < radius_mm < 0.98 * source_to_isocenter_mm:
            raise ValueError(
                f"field_of_view_mm must lie between 0 and {1.96 * source_to_isocenter_mm:.0f}, "
                f"got {field_of_view_mm}"
            )
        channel_angle = pitch_at_isocenter_mm / source_to_isocenter_mm
        half = math.ceil(math.asin(radius_mm / source_to_isocenter_mm) / channel_angle) + 1
        return cls(
            source_to_isocenter_mm=source_to_isocenter_mm,
            source_to_detector_mm=source_to_detector_mm,
            num_views=num_views,
            num_channels=2 * half,
            channel_pitch_mm=channel_angle * source_to_detector_mm,
            rotation_center_mm=rotation_center_mm,
        )

    def fan_angles_rad(self, like: Tensor | None = None) -> Tensor:
        """Angle of each channel against the central ray, shape (channels,)."""
        where = {} if like is None else {"dtype": like.dtype, "device": like.device}
        index = torch.arange(self.num_channels, **where)  # type: ignore[call-overload]
        return (index - (self.num_channels - 1) / 2) * self.channel_angle_rad

    def view_angles_rad(self, like: Tensor | None = None) -> Tensor:
        """Angle of each source position, shape (views,)."""
        where = {} if like is None else {"dtype": like.dtype, "device": like.device}
        index = torch.arange(self.num_views, **where)  # type: ignore[call-overload]
        return index * (2 * math.pi / self.num_views) + math.radians(self.first_view_deg)


def project(image_per_mm: Tensor, geometry: FanBeam, spacing_mm: Spacing) -> Tensor:
    """Line integrals of attenuation along every ray.

    Args:
        image_per_mm: (batch, 1, row, column) linear attenuation; nothing lies outside it.
        geometry: the scanner.
        spacing_mm: distance between rows and between columns.

    Returns:
        (batch, 1, views, channels) line integrals, without unit.
    """
    _check_batch(image_per_mm, "image_per_mm", "row, column")
    canvas = _Canvas.around(image_per_mm.shape[-2:], geometry, spacing_mm)
    table = canvas.table(image_per_mm)
    angles = geometry.view_angles_rad(table)[: geometry.num_views // canvas.turns]
    per_chunk = _views_per_chunk(4 * geometry.num_channels * canvas.ray_samples)
    with _one_thread():
        chunks = [
            _differentiable(
                partial(_line_integrals, angles=part, geometry=geometry, canvas=canvas), table
            )
            for part in angles.split(per_chunk)
        ]
    return _unfold_turns(torch.cat(chunks), canvas.turns, geometry.num_channels)


def backproject(
    sinogram: Tensor, geometry: FanBeam, shape: tuple[int, int], spacing_mm: Spacing
) -> Tensor:
    """The exact adjoint of :func:`project`: (batch, 1, views, channels) to (batch, 1, *shape)."""
    _check_sinogram(sinogram, geometry)
    adjoint: Tensor = _Adjoint.apply(sinogram, geometry, shape, spacing_mm)
    return adjoint


class _Adjoint(torch.autograd.Function):
    """The gradient of the projection, whose own gradient is the projection again."""

    @staticmethod
    def forward(
        ctx: Any,
        sinogram: Tensor,
        geometry: FanBeam,
        shape: tuple[int, int],
        spacing_mm: Spacing,
    ) -> Tensor:
        ctx.geometry, ctx.spacing_mm = geometry, spacing_mm
        image = sinogram.new_zeros(sinogram.shape[0], 1, *shape, requires_grad=True)
        with torch.enable_grad():
            projected = project(image, geometry, spacing_mm)
        return torch.autograd.grad(projected, image, sinogram)[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return project(gradients[0], ctx.geometry, ctx.spacing_mm), None, None, None


def filtered_backprojection(
    sinogram: Tensor,
    geometry: FanBeam,
    kernel: Kernel = RAMP,
    *,
    shape: tuple[int, int],
    spacing_mm: Spacing,
) -> Tensor:
    """Attenuation per mm from line integrals.

    Args:
        sinogram: (batch, 1, views, channels) line integrals.
        geometry: the scanner.
        kernel: how the ramp filter ends, from smooth to sharp.
        shape: rows and columns of the image.
        spacing_mm: distance between rows and between columns.

    Returns:
        (batch, 1, row, column) attenuation per mm.

    Source: Kak & Slaney, Principles of Computerized Tomographic Imaging, 1988, section 3.4.1. The
    backprojection is driven by pixels: it is not the adjoint of :func:`project`, which is driven
    by rays; :func:`backproject` is.
    """
    _check_sinogram(sinogram, geometry)
    canvas = _Canvas.around(shape, geometry, spacing_mm)
    cosine = geometry.fan_angles_rad(sinogram).cos() * geometry.source_to_isocenter_mm
    filtered = kernel.filter(
        sinogram * cosine,
        channel_angle_rad=geometry.channel_angle_rad,
        pitch_at_isocenter_mm=geometry.pitch_at_isocenter_mm,
    )
    rows = _fold_turns(filtered, canvas.turns)
    angles = geometry.view_angles_rad(sinogram)[: geometry.num_views // canvas.turns]
    per_chunk = _views_per_chunk(2 * canvas.rows * canvas.columns)
    image = torch.zeros((), dtype=sinogram.dtype, device=sinogram.device)
    tables = rows.split(per_chunk * geometry.num_channels)
    with _one_thread():
        for part, table in zip(angles.split(per_chunk), tables, strict=True):
            image = image + _differentiable(
                partial(_weighted_sum_over_views, angles=part, geometry=geometry, canvas=canvas),
                table,
            )
    return canvas.image(image) * (2 * math.pi / geometry.num_views)


@dataclass(frozen=True, kw_only=True)
class _Canvas:
    """The pixels that quarter turns about the isocenter map on themselves."""

    rows: int
    columns: int
    spacing_mm: Spacing
    center: tuple[float, float]  # row and column index of the isocenter
    turns: int  # 4 where quarter turns can share their weights, else 1
    shape: tuple[int, int]  # of the image that lies in it
    corner: tuple[int, int]  # row and column of the image's first pixel
    radius_mm: float

    @classmethod
    def around(cls, shape: tuple[int, ...], geometry: FanBeam, spacing_mm: Spacing) -> _Canvas:
        rows, columns = shape
        shift = [
            round(offset / step)
            for offset, step in zip(geometry.rotation_center_mm, spacing_mm, strict=True)
        ]
        same_parity = (rows - columns) % 2 == 0
        square_pixels = math.isclose(*spacing_mm, rel_tol=1e-6)
        if not (square_pixels and same_parity and geometry.num_views % 4 == 0):
            center = ((rows - 1) / 2 + shift[0], (columns - 1) / 2 + shift[1])
            size, corner, turns = (rows, columns), (0, 0), 1
        else:
            side = max(rows + 2 * abs(shift[0]), columns + 2 * abs(shift[1]))
            corner = ((side - rows) // 2 - shift[0], (side - columns) // 2 - shift[1])
            center, size, turns = ((side - 1) / 2, (side - 1) / 2), (side, side), 4
        image_center = (corner[0] + (rows - 1) / 2, corner[1] + (columns - 1) / 2)
        reach = [
            (abs(middle - origin) + length / 2) * step
            for middle, origin, length, step in zip(
                image_center, center, (rows, columns), spacing_mm, strict=True
            )
        ]
        radius_mm = min(
            math.hypot(*reach) + max(spacing_mm), 0.98 * geometry.source_to_isocenter_mm
        )
        return cls(
            rows=size[0],
            columns=size[1],
            spacing_mm=spacing_mm,
            center=center,
            turns=turns,
            shape=(rows, columns),
            corner=corner,
            radius_mm=radius_mm,
        )

    @property
    def ray_samples(self) -> int:
        return math.ceil(2 * self.radius_mm / min(self.spacing_mm))

    def table(self, image: Tensor) -> Tensor:
        """Pixels with a border of zeros as rows, (turns x batch) as columns."""
        (top, left), (rows, columns) = self.corner, self.shape
        bottom, right = self.rows - rows - top, self.columns - columns - left
        padded = functional.pad(image[:, 0], (left + 1, right + 1, top + 1, bottom + 1))
        turned = [torch.rot90(padded, turn, dims=(-2, -1)) for turn in range(self.turns)]
        return torch.stack(turned).flatten(0, 1).flatten(1).T.contiguous()

    def image(self, table: Tensor) -> Tensor:
        """The sum over turns, cut back to (batch, 1, row, column)."""
        turned = table.T.reshape(self.turns, -1, self.rows, self.columns)
        canvas = torch.rot90(turned[0], 0, dims=(-2, -1))
        for turn in range(1, self.turns):
            canvas = canvas + torch.rot90(turned[turn], -turn, dims=(-2, -1))
        (top, left), (rows, columns) = self.corner, self.shape
        return canvas[:, None, top : top + rows, left : left + columns]


def _line_integrals(table: Tensor, angles: Tensor, geometry: FanBeam, canvas: _Canvas) -> Tensor:
    """(views x channels, table columns): bilinear samples along each ray, summed."""
    step_mm = 2 * canvas.radius_mm / canvas.ray_samples
    along = torch.arange(canvas.ray_samples, dtype=table.dtype, device=table.device)
    distance = geometry.source_to_isocenter_mm - canvas.radius_mm + (along + 0.5) * step_mm
    fan = geometry.fan_angles_rad(table)
    # The ray leaves the source R (sin a, -cos a) in (x, y) along angle (a - fan) of the gantry.
    ray = angles[:, None] - fan[None, :]
    source_x = geometry.source_to_isocenter_mm * angles.sin()[:, None]
    source_y = -geometry.source_to_isocenter_mm * angles.cos()[:, None]
    row_step, column_step = canvas.spacing_mm
    start_column = (source_x / column_step + canvas.center[1] + 1).expand_as(ray).reshape(-1, 1)
    start_row = (source_y / row_step + canvas.center[0] + 1).expand_as(ray).reshape(-1, 1)
    column = torch.addcmul(start_column, -ray.sin().reshape(-1, 1) / column_step, distance)
    row = torch.addcmul(start_row, ray.cos().reshape(-1, 1) / row_step, distance)
    # Outside the image a ray meets the border of zeros.
    row = row.clamp_(0, canvas.rows + 0.999)
    column = column.clamp_(0, canvas.columns + 0.999)
    return _bilinear_sums(table, row, column, width=canvas.columns + 2) * step_mm


def _bilinear_sums(table: Tensor, row: Tensor, column: Tensor, *, width: int) -> Tensor:
    """Sums over the second axis of values between four table entries."""
    top, left = row.floor(), column.floor()
    below, right = row - top, column - left
    both = below * right
    weights = torch.cat([1 - below - right + both, right - both, below - both, both], dim=1)
    first = top.to(torch.int32).mul_(width).add_(left.to(torch.int32))
    entries = torch.cat([first, first + 1, first + width, first + (width + 1)], dim=1)
    return functional.embedding_bag(entries, table, mode="sum", per_sample_weights=weights)


def _weighted_sum_over_views(
    table: Tensor, angles: Tensor, geometry: FanBeam, canvas: _Canvas
) -> Tensor:
    """(pixels, table columns): filtered values where each view's ray meets the pixel, over L^2."""
    row = torch.arange(canvas.rows, dtype=table.dtype, device=table.device)
    column = torch.arange(canvas.columns, dtype=table.dtype, device=table.device)
    y = ((row - canvas.center[0]) * canvas.spacing_mm[0])[:, None, None]
    x = ((column - canvas.center[1]) * canvas.spacing_mm[1])[None, :, None]
    sine, cosine = angles.sin(), angles.cos()
    across = x * cosine + y * sine
    depth = geometry.source_to_isocenter_mm - x * sine + y * cosine
    num_channels = geometry.num_channels
    channel = torch.atan2(across, depth).div_(geometry.channel_angle_rad)
    channel = channel.add_((num_channels - 1) / 2).flatten(0, 1)
    weight = (across.square_() + depth.square_()).reciprocal_().flatten(0, 1)
    weight = weight * ((channel >= 0) & (channel <= num_channels - 1))
    left = channel.floor().clamp_(0, num_channels - 2)
    right_weight = weight * (channel - left)
    view = torch.arange(len(angles), dtype=torch.int32, device=table.device) * num_channels
    first = left.to(torch.int32) + view
    entries = torch.cat([first, first + 1], dim=1)
    weights = torch.cat([weight - right_weight, right_weight], dim=1)
    return functional.embedding_bag(entries, table, mode="sum", per_sample_weights=weights)


def _fold_turns(sinogram: Tensor, turns: int) -> Tensor:
    """(batch, 1, views, channels) to (views/turns x channels, turns x batch)."""
    batch, _, views, channels = sinogram.shape
    folded = sinogram.reshape(batch, turns, (views // turns) * channels)
    return folded.permute(2, 1, 0).flatten(1).contiguous()


def _unfold_turns(rows: Tensor, turns: int, num_channels: int) -> Tensor:
    """The inverse of :func:`_fold_turns`."""
    batch = rows.shape[1] // turns
    folded = rows.reshape(-1, turns, batch).permute(2, 1, 0)
    return folded.reshape(batch, 1, -1, num_channels)


def _views_per_chunk(entries_per_view: int) -> int:
    return max(1, _ENTRIES_PER_CHUNK // entries_per_view)


def _differentiable(function: Callable[[Tensor], Tensor], table: Tensor) -> Tensor:
    """Weights are made again for the gradient rather than kept: memory stays that of one chunk."""
    if torch.is_grad_enabled() and table.requires_grad:
        result: Tensor = checkpoint(function, table, use_reentrant=False)
        return result
    return function(table)


@contextmanager
def _one_thread() -> Iterator[None]:
    """embedding_bag on a CPU is several times slower with two threads than with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_batch(tensor: Tensor, name: str, axes: str) -> None:
    if tensor.ndim != 4 or tensor.shape[1] != 1:
        raise ValueError(f"{name} must be (batch, 1, {axes}), got shape {tuple(tensor.shape)}")


def _check_sinogram(sinogram: Tensor, geometry: FanBeam) -> None:
    _check_batch(sinogram, "sinogram", "view, channel")
    expected = (geometry.num_views, geometry.num_channels)
    if tuple(sinogram.shape[-2:]) != expected:
        raise ValueError(
            f"sinogram of shape {tuple(sinogram.shape)} does not fit the geometry's "
            f"{expected[0]} views and {expected[1]} channels"
        )
