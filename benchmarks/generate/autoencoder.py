"""How much of a real image the latents hold, beside what holds as many numbers without learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from benchmarks.generate.study import Study, in_network, in_unit, patients_of
from benchmarks.generate.tables import number, share, spread, table
from isocenter.core.seeds import generator_for
from isocenter.core.spread import spread_evenly
from isocenter.datasets.image_sets.image_set import ImageSet
from isocenter.datasets.splits import TEST
from isocenter.evaluation.fidelity import Protocol, psnr_db, ssim
from isocenter.image.ct_tissue import body_mask
from isocenter.modelpack.generator.family import Family
from isocenter.networks.autoencoder import Autoencoder

Way = Callable[[NDArray], NDArray]
"""From images (images, rows, columns) in [-1, 1] to what comes back of them."""

OURS = "the model's autoencoder"
DIAMETERS_MM = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0)
NODULE_HU = 30.0
KEPT_LINE, KEPT_AT_MM = 0.8, 6.0
_SLICES, _NODULES = 12, 4
_MARGIN_MM, _APART_MM = 16.0, 32.0
_RING_MM = (1.5, 5.0)
_FINER = 5  # samples along each side of a pixel that a disc's border crosses
_LUNG = "lung"


def measure(study: Study) -> dict[str, Any]:
    """Fidelity on test patients of each family, and the contrast that nodules in lungs keep."""
    ways = _ways(study)
    found: dict[str, Any] = {"fidelity": {}, "nodules": {}}
    for family in study.families:
        study.say(f"autoencoders on {family.name}")
        images = study.part(family.name, TEST, study.effort.reconstructed)
        protocol = _protocol(family)
        found["fidelity"][family.name] = {
            "protocol": _protocol_in_words(protocol),
            "images": len(images),
            "patients": len(set(patients_of(images))),
            "ways": {name: _fidelity(family, protocol, images, way) for name, way in ways.items()},
        }
        if _LUNG in family.guide and family.pixel_mm:
            nodules = _nodules(study, family, images, ways)
            if nodules:
                found["nodules"][family.name] = nodules
    return found


def markdown(figures: Mapping[str, Any]) -> str:
    """Both tables."""
    parts = []
    for name, one in figures["fidelity"].items():
        parts.append(
            f"**{name}**: {one['images']} images of {one['patients']} test patients; "
            f"{one['protocol']}.\n\n"
            + table(
                ("through", "PSNR dB (95 %)", "SSIM (95 %)"),
                (
                    (
                        way,
                        spread(row["psnr_db"]["mean"], row["psnr_db"]["low"],
                               row["psnr_db"]["high"], "{:.2f}"),
                        spread(row["ssim"]["mean"], row["ssim"]["low"], row["ssim"]["high"],
                               "{:.3f}"),
                    )
                    for way, row in one["ways"].items()
                ),
            )
        )  # fmt: skip
    for name, one in figures["nodules"].items():
        heads = [f"{diameter:g} mm" for diameter in one["diameter_mm"]]
        rows = [
            (
                way,
                *(number(kept, "{:.2f}") for kept in row["kept"]),
                number(row["smallest_mm"], "{:.1f}") or "none",
            )
            for way, row in one["ways"].items()
        ]
        parts.append(
            f"**{name}**: contrast kept of discs of {one['nodule_hu']:g} HU put into lungs of real "
            f"test slices ({one['discs']} discs, {one['patients']} patients), by diameter. At "
            f"{KEPT_AT_MM:g} mm at least {100 * KEPT_LINE:.0f} % should be kept; the last column "
            "says from which diameter on it is:\n\n"
            + table(("through", *heads, f"{100 * KEPT_LINE:.0f} % from, mm"), rows)
        )
    return "\n\n".join(parts)


def _ways(study: Study) -> dict[str, Way]:
    networks = {OURS: study.model.autoencoder, **study.autoencoders}
    ways: dict[str, Way] = {name: _through(network) for name, network in networks.items()}
    for network in networks.values():
        factor, latents = network.factor, network.latent_channels
        size = f"f{factor}, {latents} channels"
        ways.setdefault(f"cosine transform, {size}", _through(cosine_transform(factor, latents)))
        as_many = latents**0.5 / factor
        ways.setdefault(f"bicubic to as many numbers, {size}", lambda x, s=as_many: _bicubic(x, s))  # type: ignore[misc]
        ways.setdefault(f"bicubic by {factor}", lambda x, s=1 / factor: _bicubic(x, s))  # type: ignore[misc]
    return ways


def cosine_transform(factor: int, latents: int) -> Autoencoder:
    """The block transform that an autoencoder of this shape begins as."""
    levels = (factor // 2).bit_length()
    return Autoencoder(channels=(16,) * levels, latent_channels=latents, norm_groups=16).eval()


def _through(network: Autoencoder) -> Way:
    @torch.inference_mode()
    def way(images: NDArray) -> NDArray:
        device = next(network.parameters()).device
        found = []
        for one in images:
            image = torch.from_numpy(np.ascontiguousarray(one, np.float32))[None, None].to(device)
            back: Tensor = network.decode(network.encode(image).mean)
            found.append(back[0, 0].float().clamp(-1, 1).cpu().numpy())
        return np.stack(found)

    return way


def _bicubic(images: NDArray, scale: float) -> NDArray:
    batch = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None]
    size = [max(1, round(side * scale)) for side in images.shape[1:]]
    down = functional.interpolate(batch, size, mode="bicubic", antialias=True, align_corners=False)
    back = functional.interpolate(
        down, tuple(images.shape[1:]), mode="bicubic", align_corners=False
    )
    return back[:, 0].clamp(-1, 1).numpy()


def _protocol(family: Family) -> Protocol:
    if family.unit == "HU":
        center, width = family.window
        return Protocol(
            name=f"window {center:g}/{width:g}",
            low=center - width / 2,
            high=center + width / 2,
            unit="HU",
        )
    return Protocol(
        name="8-bit range", low=family.low, high=family.high, unit=family.unit,
        mask_policy="whole image",
    )  # fmt: skip


def _protocol_in_words(protocol: Protocol) -> str:
    unit = f" {protocol.unit}" if protocol.unit else ""
    return (
        f"values clipped to {protocol.low:g} to {protocol.high:g}{unit} ({protocol.name}), "
        f"{protocol.mask_policy}, SSIM with Gaussian windows of 1.5 pixels, each image scored by "
        "itself"
    )


def _fidelity(family: Family, protocol: Protocol, images: ImageSet, way: Way) -> dict[str, Any]:
    decibels, similar = [], []
    for k in range(len(images)):
        values = images.values([k])
        real, back = in_unit(family, values[0]), in_unit(family, way(values)[0])
        inside = protocol.mask_policy == "inside the body"
        mask = body_mask(real) if inside else np.ones(real.shape, bool)
        decibels.append(psnr_db(real, back, protocol=protocol, mask=mask))
        similar.append(ssim(real, back, protocol=protocol, mask=mask))
    patients = patients_of(images)
    return {"psnr_db": share(decibels, patients), "ssim": share(similar, patients)}


def _nodules(
    study: Study, family: Family, images: ImageSet, ways: Mapping[str, Way]
) -> dict[str, Any]:
    """Contrast kept by way and diameter, each patient counting alike; {} where there is no lung."""
    assert family.pixel_mm
    assert images.guides is not None
    kept: dict[str, list[list[float]]] = {name: [] for name in ways}
    owners = []
    for k in spread_evenly(len(images), _SLICES):
        lung = images.guides[k] == 1 + family.guide.index(_LUNG)
        centers = _centers(lung, family.pixel_mm, generator_for(study.seed, "nodules", k))
        if not centers:
            continue
        owners += [images.labels[k].patient] * len(centers)
        found = _kept_in(family, in_unit(family, images.values([k])[0]), centers, ways)
        for name, of_centers in found.items():
            kept[name] += of_centers
    if not owners:
        return {}
    return {
        "nodule_hu": NODULE_HU,
        "diameter_mm": list(DIAMETERS_MM),
        "discs": len(owners),
        "patients": len(set(owners)),
        "ways": {name: _pooled(np.array(of), owners) for name, of in kept.items()},
    }


def _kept_in(
    family: Family, real_hu: NDArray, centers: list[NDArray], ways: Mapping[str, Way]
) -> dict[str, list[list[float]]]:
    """For each way, each center and each diameter."""
    assert family.pixel_mm
    before = {name: in_unit(family, way(in_network(family, real_hu[None]))[0])
              for name, way in ways.items()}  # fmt: skip
    found = {name: [[0.0] * len(DIAMETERS_MM) for _ in centers] for name in ways}
    for column, diameter_mm in enumerate(DIAMETERS_MM):
        covers = [covered(real_hu.shape, center, diameter_mm / family.pixel_mm)
                  for center in centers]  # fmt: skip
        cover = np.sum(covers, axis=0)
        with_nodules = real_hu * (1 - cover) + NODULE_HU * cover
        wanted = with_nodules - real_hu
        for name, way in ways.items():
            after = in_unit(family, way(in_network(family, with_nodules[None]))[0])
            for row, (center, own) in enumerate(zip(centers, covers, strict=True)):
                ring = _ring(real_hu.shape, center, diameter_mm, family.pixel_mm)
                found[name][row][column] = _contrast(after - before[name], own, ring) / _contrast(
                    wanted, own, ring
                )
    return found


def _contrast(change: NDArray, own: NDArray, ring: NDArray) -> float:
    return float((change * own).sum() / own.sum() - change[ring].mean())


def covered(shape: tuple[int, ...], center: NDArray, diameter: float) -> NDArray:
    """(row, column) share of each pixel that a disc covers; all in pixels."""
    offsets = (np.arange(_FINER) + 0.5) / _FINER - 0.5
    rows = (np.arange(shape[0])[:, None] + offsets).ravel() - center[0]
    columns = (np.arange(shape[1])[:, None] + offsets).ravel() - center[1]
    inside = rows[:, None] ** 2 + columns[None, :] ** 2 <= (diameter / 2) ** 2
    share_of: NDArray = inside.reshape(shape[0], _FINER, shape[1], _FINER).mean(axis=(1, 3))
    return share_of


def _ring(shape: tuple[int, ...], center: NDArray, diameter_mm: float, pixel_mm: float) -> NDArray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    away = np.hypot(rows - center[0], columns - center[1]) * pixel_mm - diameter_mm / 2
    near, far = _RING_MM
    return (away > near) & (away <= max(far, near + 2 * pixel_mm))


def _centers(lung: NDArray, pixel_mm: float, rng: np.random.Generator) -> list[NDArray]:
    """Up to four places deep in a lung, apart from each other."""
    depth_mm = ndimage.distance_transform_edt(lung) * pixel_mm
    chosen: list[NDArray] = []
    for place in rng.permutation(np.argwhere(depth_mm > _MARGIN_MM)):
        away = [np.hypot(*(place - one)) * pixel_mm for one in chosen]
        if not away or min(away) > _APART_MM:
            chosen.append(place)
        if len(chosen) == _NODULES:
            break
    return chosen


def _pooled(kept: NDArray, owners: list[str]) -> dict[str, Any]:
    """Means over patients; ``smallest_mm`` is the diameter from which the line is kept."""
    names = np.array(owners)
    means = np.mean([kept[names == one].mean(axis=0) for one in np.unique(names)], axis=0)
    at = means[DIAMETERS_MM.index(KEPT_AT_MM)]
    return {
        "kept": means.tolist(),
        "smallest_mm": from_which(DIAMETERS_MM, means, KEPT_LINE),
        "kept_enough": bool(at >= KEPT_LINE),
    }


def from_which(sizes: tuple[float, ...], values: NDArray, line: float) -> float | None:
    """The size from which values stay at a line or above, read between two; None where never."""
    below = np.flatnonzero(values < line)
    if not len(below):
        return sizes[0]
    last = int(below[-1])
    if last == len(sizes) - 1:
        return None
    part = (line - values[last]) / (values[last + 1] - values[last])
    return float(sizes[last] + part * (sizes[last + 1] - sizes[last]))
