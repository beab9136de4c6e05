"""The proof of a partition as bytes: the writing side of CERTIFICATE.md, section 10.

The reading side is the checker's, :mod:`verifier.kernel.partition`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from types import MappingProxyType

import numpy as np

from verifier.kernel.cell_maps import Signs
from verifier.kernel.certificate import MAX_LEAF_BYTES
from verifier.kernel.network import Layer
from verifier.kernel.rational import Point, common_denominator, to_text

BATCH = 128
Weights = Sequence[tuple[int, Fraction]]
"""Pairs of a number and its multiplier."""


@dataclass
class CellProof:
    """What the checker is told of one cell: an interior point (free coordinates), how each of its rows is dealt with
    (``NEIGHBOUR``, ``FACET``, ``MULTIPLIERS`` or ``BASES + b`` of :mod:`verifier.kernel.partition`), and, in the order
    of the rows that need them, neighbours, facet points and multipliers; last the bases."""

    point: Point
    how: list[int] = field(default_factory=list)
    neighbours: list[int] = field(default_factory=list)
    joins: list[Point] = field(default_factory=list)
    multipliers: list[Weights] = field(default_factory=list)
    bases: list[Sequence[int]] = field(default_factory=list)


def encode_head(layers: Sequence[Layer], patterns: Sequence[Signs], complete: bool,
                equations: Mapping[int, int] = MappingProxyType({})) -> bytes:
    """The head frame; ``patterns`` have one byte for each unit of the layers; ``equations`` are as ``hull_of`` takes
    them."""
    phases = np.concatenate([layer.has_phase for layer in layers] or [np.zeros(0, dtype=np.bool_)])
    signs = np.frombuffer(b"".join(patterns), dtype=np.uint8).reshape(len(patterns), len(phases))
    packed = np.packbits(signs[:, phases], axis=1) if phases.any() else np.zeros(0, dtype=np.uint8)
    return _fields(_numbers([len(patterns), int(complete)]), _integers(equations.items()).encode(), packed.tobytes())


def encode_batches(cells: Iterable[CellProof], complete: bool = True) -> Iterator[bytes]:
    """Batch frames of so many cells that each can be read, of a proof that is ``complete`` or not."""
    left = iter(cells)
    while batch := list(islice(left, BATCH)):
        yield from _short_enough(batch, complete)


def _short_enough(cells: Sequence[CellProof], complete: bool) -> list[bytes]:
    frame = encode_batch(cells, complete)
    if len(frame) <= MAX_LEAF_BYTES or len(cells) == 1:
        return [frame]
    half = len(cells) // 2
    return _short_enough(cells[:half], complete) + _short_enough(cells[half:], complete)


def encode_batch(cells: Sequence[CellProof], complete: bool = True) -> bytes:
    """A batch frame of at least one cell, of a proof that is ``complete`` or not."""
    bases = [v for cell in cells for v in (len(cell.bases), *(row for basis in cell.bases for row in basis))]
    return _fields(
        _numbers([len(cells)]),
        _lines(_point(cell.point) for cell in cells),
        _numbers([v for cell in cells for v in cell.how]),
        _numbers([v for cell in cells for v in cell.neighbours]),
        _lines(_point(point) for cell in cells for point in cell.joins),
        _lines(_weights(weights) for cell in cells for weights in cell.multipliers),
        _numbers(bases if complete else []))


def _fields(*fields: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(part)) + part for part in fields)


def _numbers(values: Iterable[int]) -> bytes:
    return np.fromiter(values, dtype="<u4").tobytes()


def _point(point: Point) -> str:
    return " ".join(map(to_text, point))


def _weights(weights: Weights) -> str:
    scale = common_denominator(weight for _, weight in weights)
    terms = _integers((number, weight.numerator * (scale // weight.denominator)) for number, weight in weights)
    return f"{to_text(Fraction(scale))} {terms}".rstrip()


def _integers(weights: Iterable[tuple[int, int]]) -> str:
    return " ".join(f"{number}:{to_text(Fraction(weight))}" for number, weight in weights)


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
