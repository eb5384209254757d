from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from isocenter.physics.ct_kernels import KERNELS, RAMP, Kernel
from isocenter.physics.ct_projection import (
    FanBeam,
    backproject,
    filtered_backprojection,
    project,
)

SPACING_MM = (2.0, 2.0)
GEOMETRY = FanBeam.covering(190, pitch_at_isocenter_mm=1.4, num_views=180)
TINY = FanBeam.covering(60, pitch_at_isocenter_mm=4.0, num_views=12)
WATER = 0.0193


def cylinder(
    radius_mm: float, *, row_mm: float = 0.0, column_mm: float = 0.0, size: int = 64
) -> torch.Tensor:
    """(1, 1, size, size) of water, the edge blurred over a pixel."""
    axis = (torch.arange(size) - (size - 1) / 2) * SPACING_MM[0]
    away = torch.hypot(axis[:, None] - row_mm, axis[None, :] - column_mm)
    return (WATER * torch.sigmoid((radius_mm - away) / 0.6))[None, None]


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "changes"),
    [
        ((12, 12), (4.0, 4.0), {}),
        ((12, 12), (4.0, 4.0), {"rotation_center_mm": (8.0, -4.0)}),
        ((10, 14), (4.0, 4.0), {"first_view_deg": 17.0}),
        ((10, 13), (4.0, 3.0), {}),
        ((12, 12), (4.0, 4.0), {"num_views": 11}),
    ],
)
def test_backprojection_is_the_adjoint_of_projection(
    shape: Any, spacing_mm: Any, changes: Any
) -> None:
    geometry = replace(TINY, **changes)
    torch.manual_seed(0)
    image = torch.randn(2, 1, *shape, dtype=torch.float64)
    sinogram = torch.randn(2, 1, geometry.num_views, geometry.num_channels, dtype=torch.float64)
    there = (project(image, geometry, spacing_mm) * sinogram).sum()
    back = (image * backproject(sinogram, geometry, shape, spacing_mm)).sum()
    assert there.item() == pytest.approx(back.item(), rel=1e-10)


def test_projection_and_reconstruction_are_linear() -> Any:
    torch.manual_seed(1)
    a, b = torch.randn(2, 1, 1, 16, 16, dtype=torch.float64)

    def there_and_back(image: Any) -> Any:
        sinogram = project(image, TINY, (4.0, 4.0))
        return filtered_backprojection(sinogram, TINY, shape=(16, 16), spacing_mm=(4.0, 4.0))

    torch.testing.assert_close(
        there_and_back(2 * a - 3 * b), 2 * there_and_back(a) - 3 * there_and_back(b)
    )


def test_gradients_agree_with_finite_differences() -> None:
    torch.manual_seed(2)
    image = torch.randn(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    geometry = FanBeam.covering(40, pitch_at_isocenter_mm=6.0, num_views=8)
    shape, spacing_mm = (6, 6), (5.0, 5.0)
    assert torch.autograd.gradcheck(lambda x: project(x, geometry, spacing_mm), image)
    sinogram = project(image.detach(), geometry, spacing_mm).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: filtered_backprojection(x, geometry, shape=shape, spacing_mm=spacing_mm), sinogram
    )
    assert torch.autograd.gradcheck(lambda x: backproject(x, geometry, shape, spacing_mm), sinogram)


def test_images_of_a_batch_do_not_mix() -> None:
    images = torch.cat([cylinder(20), cylinder(35, column_mm=10)])
    together = project(images, GEOMETRY, SPACING_MM)
    torch.testing.assert_close(together[1:], project(images[1:], GEOMETRY, SPACING_MM))


def test_line_integrals_of_a_cylinder_are_its_chords() -> None:
    row_mm, column_mm, radius_mm = 11.0, -17.0, 30.0
    sinogram = project(
        cylinder(radius_mm, row_mm=row_mm, column_mm=column_mm), GEOMETRY, SPACING_MM
    )
    view = GEOMETRY.view_angles_rad()[:, None]
    fan = GEOMETRY.fan_angles_rad()[None, :]
    # a ray passes (x, y) at a distance of R sin(fan) - (x cos + y sin) of the ray's own direction
    ray = view - fan
    miss = GEOMETRY.source_to_isocenter_mm * fan.sin() - (
        column_mm * ray.cos() + row_mm * ray.sin()
    )
    chord = 2 * (radius_mm**2 - miss**2).clamp(min=0).sqrt() * WATER
    error = (sinogram[0, 0] - chord)[miss.abs() < radius_mm - 4]
    assert error.abs().max() < 0.02 * 2 * radius_mm * WATER


@pytest.mark.parametrize("kernel", [RAMP, KERNELS["B30f"], KERNELS["B70f"]])
@pytest.mark.parametrize(("row_mm", "column_mm"), [(0.0, 0.0), (14.0, -20.0)])
@pytest.mark.parametrize("rotation_center_mm", [(0.0, 0.0), (-10.0, 6.0)])
def test_water_stays_zero_hu(
    kernel: Any, row_mm: Any, column_mm: Any, rotation_center_mm: Any
) -> None:
    geometry = replace(GEOMETRY, rotation_center_mm=rotation_center_mm)
    image = cylinder(36, row_mm=row_mm, column_mm=column_mm)
    sinogram = project(image, geometry, SPACING_MM)
    again = filtered_backprojection(
        sinogram, geometry, kernel, shape=(64, 64), spacing_mm=SPACING_MM
    )
    hu = (again / WATER - 1) * 1000
    inside, outside = cylinder(28, row_mm=row_mm, column_mm=column_mm) > 0.99 * WATER, image < 1e-5
    assert hu[inside].mean().abs() < 2.0
    assert (hu[outside].mean() + 1000).abs() < 2.0


def test_every_geometry_reconstructs_the_same_image() -> None:
    image = cylinder(30, column_mm=8)
    variants = [
        GEOMETRY,
        replace(GEOMETRY, num_views=178),  # no quarter turns to share
        replace(GEOMETRY, first_view_deg=33.0),
        FanBeam.covering(190, pitch_at_isocenter_mm=0.9, num_views=240, source_to_isocenter_mm=500),
    ]
    inside = cylinder(24, column_mm=8)[0, 0] > 0.99 * WATER
    for geometry in variants:
        sinogram = project(image, geometry, SPACING_MM)
        again = filtered_backprojection(sinogram, geometry, shape=(64, 64), spacing_mm=SPACING_MM)
        assert (again[0, 0][inside] / WATER - 1).abs().mean() < 0.01


def test_covering_sees_the_asked_circle() -> None:
    geometry = FanBeam.covering(320)
    assert 320 <= geometry.field_of_view_mm < 325


def test_kernel_keeps_low_frequencies_and_rolls_off() -> None:
    frequency = torch.linspace(0, 1.5, 50)
    for kernel in KERNELS.values():
        response = kernel.response(frequency)
        assert response[0] == 1
        assert response[-1] < 0.05


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: FanBeam(source_to_isocenter_mm=1200.0), "behind the isocenter"),
        (lambda: FanBeam(num_channels=5000), "rad"),
        (lambda: FanBeam.covering(2000), "field_of_view_mm"),
        (lambda: Kernel(half_frequency_per_mm=0), "positive"),
        (lambda: project(torch.zeros(4, 4), TINY, (1.0, 1.0)), "batch"),
        (
            lambda: filtered_backprojection(
                torch.zeros(1, 1, 3, 4), TINY, shape=(4, 4), spacing_mm=(1.0, 1.0)
            ),
            "does not fit",
        ),
    ],
)
def test_refusals_say_what_is_accepted(make: Any, part: Any) -> None:
    with pytest.raises(ValueError, match=part):
        make()


def test_view_angles_go_once_around() -> None:
    angles = replace(TINY, first_view_deg=90.0).view_angles_rad()
    assert angles[0] == pytest.approx(math.pi / 2)
    assert angles[-1] - angles[0] == pytest.approx(2 * math.pi * (1 - 1 / TINY.num_views))
