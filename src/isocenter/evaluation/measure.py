"""One walk over matched slices, any number of measurements.

A measurement is an object with :meth:`Measurement.add` and :meth:`Measurement.result`. Comparison,
report and benchmark differ only in which measurements they send along::

    fidelity, noise = FidelityScores(PROTOCOLS), NoiseMeter()
    measure(array_pairs(reference, test, spacing_mm=(3.0, 0.7, 0.7)), [fidelity, noise])
    print(fidelity.result()[0].psnr_db, noise.result())
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from isocenter.core.volume import SliceSource

Result_co = TypeVar("Result_co", covariant=True)
FindBody = Callable[[NDArray, NDArray], NDArray]
"""From a slice of the reference and its valid mask to the mask of the patient."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One slice of a reference and of a test at the same place; all arrays (row, column).

    Attributes:
        index: of the slice in the reference. Slices come in rising order.
        reference, test: in one unit.
        valid: False where either holds no measurement.
        body: where the patient is, decided on the reference.
        spacing_mm: row and column spacing.
        guide: what decides which tissue is where and what is even; the reference where None.
            Before and after one process, give the mean of both: then the noise of neither decides.
        interval: lower and upper limit stated for each value; None where none is stated.
    """

    index: int
    reference: NDArray
    test: NDArray
    valid: NDArray
    body: NDArray
    spacing_mm: tuple[float, float]
    guide: NDArray | None = None
    interval: tuple[NDArray, NDArray] | None = None

    @property
    def guiding(self) -> NDArray:
        """The guide, or the reference where none was given."""
        return self.reference if self.guide is None else self.guide


class Measurement(Protocol[Result_co]):
    """Something measured slice by slice; what it keeps does not grow with the images."""

    def add(self, pair: Pair, /) -> None:
        """Take in one pair; pairs come in rising order of their index."""
        ...

    def result(self) -> Result_co:
        """What was found in all pairs so far."""
        ...


@dataclass(frozen=True)
class OnSlices:
    """A measurement that sees some slices only.

    Attributes:
        measurement: what measures.
        indices: of the pairs that it sees.
    """

    measurement: Measurement[Any]
    indices: Collection[int]

    def add(self, pair: Pair, /) -> None:
        """Pass a chosen pair on."""
        if pair.index in self.indices:
            self.measurement.add(pair)

    def result(self) -> Any:
        """What was found in the chosen pairs."""
        return self.measurement.result()


def measure(pairs: Iterable[Pair], measurements: Sequence[Measurement[Any]]) -> tuple[Any, ...]:
    """Walk once over the pairs; the result of each measurement, in order."""
    for pair in pairs:
        for measurement in measurements:
            measurement.add(pair)
    return tuple(measurement.result() for measurement in measurements)


def matched_pair(
    reference: SliceSource,
    test: SliceSource,
    indices: tuple[int, int],
    *,
    find_body: FindBody | None = None,
) -> Pair:
    """Read one slice of each series.

    Args:
        reference, test: on one grid, see :mod:`isocenter.evaluation.matching`.
        indices: of the slice in the reference and in the test.
        find_body: where None, the body is all that was measured.
    """
    image, other = reference.values(indices[0]), test.values(indices[1])
    valid = reference.valid(indices[0]) & test.valid(indices[1])
    return Pair(
        index=indices[0],
        reference=image,
        test=other,
        valid=valid,
        body=valid if find_body is None else find_body(image, valid) & valid,
        spacing_mm=reference.geometry.spacing_mm[1:],
    )


def array_pairs(
    reference: NDArray,
    test: NDArray,
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    mask: NDArray | None = None,
    find_body: FindBody | None = None,
) -> Iterator[Pair]:
    """Pairs of two arrays (slice, row, column).

    Args:
        spacing_mm: distance between slices, rows and columns.
        mask: the body, same shape; where None, ``find_body`` finds it, or all counts.

    Raises:
        ValueError: the arrays differ in shape or have no three axes.
    """
    if reference.ndim != 3 or reference.shape != test.shape:
        raise ValueError(
            "reference and test must be (slice, row, column) of one shape, got "
            f"{reference.shape} and {test.shape}; add an axis to a single slice by array[None]"
        )
    if mask is not None and mask.shape != reference.shape:
        raise ValueError(f"mask of shape {mask.shape} does not fit {reference.shape}")
    everywhere = np.ones(reference.shape[1:], bool)
    for index, (image, other) in enumerate(zip(reference, test, strict=True)):
        if mask is not None:
            body = np.asarray(mask[index], bool)
        else:
            body = everywhere if find_body is None else find_body(image, everywhere)
        yield Pair(
            index=index,
            reference=image,
            test=other,
            valid=everywhere,
            body=body,
            spacing_mm=spacing_mm[1:],
        )
