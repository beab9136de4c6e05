"""The checker of partitions: which cells a network has over a domain, how many, and that there are no others.

``CERTIFICATE.md``, sections 9 to 12, is the specification: format, definitions, what is checked of a cell, and the
theorem by which that is enough (*facet pairing*: across every facet of a listed cell that meets the interior lies a
listed cell).  Everything here is in integers; nothing is rounded.

Rule 1: nothing is believed but the network and the domain.  The proof's points, neighbours and multipliers only say
where to look.
Rule 2: cells are dealt with one by one; of those that are done, the digest of the affine map and the pairs are kept.
Frames stay bytes until an entry is needed, so that a check takes no more memory than a few times the frame.

Why bases: a row g that does not bound a cell has its minimum at a vertex, and g is a nonnegative combination of the
rows that meet there, plus a constant.  Naming the rows of a vertex costs a few bytes and serves all rows that have
their minimum there; the checker gets the multipliers from one small inverse matrix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from flint import fmpq_mat, fmpz_mat

from verifier.kernel.cell_maps import CellMaps, Homogeneous, Row, Signs, primitive
from verifier.kernel.certificate import (
    MAX_BATCH,
    MAX_LEAF_BYTES,
    Fields,
    InvalidCertificate,
    parse_natural,
    parse_point,
    parse_weights,
)
from verifier.kernel.checker import _KEY, EXACT, Theorem
from verifier.kernel.domain import Domain, Hull, Polytope, hull_of, value
from verifier.kernel.network import Network
from verifier.kernel.rational import common_denominator

T = TypeVar("T")
MOST_CELLS = 1 << 24
NEIGHBOUR, FACET, MULTIPLIERS, BASES = range(4)
"""How a row is dealt with: a neighbour; one with a facet point; multipliers; from BASES on, a basis."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The claim that ``patterns`` belong to different cells of the first ``layers`` layers over the domain; all cells,
    if ``complete``.  A pattern has one byte for each unit, 1 if it is active or has no phase.

    ``maps`` is the number of distinct affine maps among them (of the last of these layers).  ``linear`` bounds the
    number of linear regions of the whole domain from below and, if not None, from above.
    """

    network: Network
    layers: int
    domain: Domain
    patterns: tuple[Signs, ...]
    complete: bool
    maps: int
    linear: tuple[int, int | None]


def check_cells(network: Network, layers: int, domain: Domain, proof: Iterable[bytes],
                progress: Callable[[int, int], None] | None = None) -> Theorem:
    """What the frames of the proof (uncompressed) prove, as a theorem about :class:`Cells`.

    ``progress(done, open)`` is told the numbers of cells, after each, and may raise.  Raises InvalidCertificate when
    the frames prove nothing.
    """
    frames = iter(proof)
    try:
        machine = PartitionMachine(network, layers, domain, next(frames, b""))
        for frame in frames:
            for done in machine.batch(frame):
                if progress is not None:
                    progress(done, machine.count - done)
        claim = machine.claim()
    except MemoryError as error:
        raise InvalidCertificate("the proof needs more memory than there is") from error
    return Theorem(claim, EXACT, machine.count, _KEY)


class PartitionMachine:
    """Takes the frames of a proof, one after another.  It makes no theorems.  Raises InvalidCertificate."""

    def __init__(self, network: Network, layers: int, domain: Domain, head: bytes) -> None:
        if not 0 <= layers <= len(network.layers) or domain.dimension != network.inputs:
            raise InvalidCertificate("the domain or the number of layers does not fit the network")
        kept = network.layers[:layers]
        fields = Fields(head)
        numbers = fields.array("<u4").tolist()
        if len(numbers) != 2 or not 0 < numbers[0] <= MOST_CELLS or numbers[1] > 1:
            raise InvalidCertificate(f"a partition's head needs a number of cells up to {MOST_CELLS}, and whether they "
                                     "are all")
        self.count, self.complete = numbers[0], bool(numbers[1])
        most = 2 * domain.dimension + len(domain.rows) if isinstance(domain, Polytope) else 0
        self.hull = hull_of(domain, parse_weights(fields.text(MAX_LEAF_BYTES), most))
        self.phases = [layer.has_phase for layer in kept]
        self.units = int(sum(mask.sum() for mask in self.phases))
        self.width = (self.units + 7) // 8
        self.packed = fields.field()
        if len(self.packed) != self.count * self.width or (self.count > 1 and not self.width) or not fields.finished:
            raise InvalidCertificate(f"{self.count} patterns of {self.units} units do not fit {len(self.packed)} bytes")
        if self.width:
            last = np.frombuffer(self.packed, dtype=np.uint8)[self.width - 1::self.width]
            if (last & ((1 << 8 * self.width - self.units) - 1)).any():
                raise InvalidCertificate("a pattern has stray bits")
            if len(np.unique(np.frombuffer(self.packed, dtype=f"S{self.width}"))) != self.count:
                raise InvalidCertificate("two cells have the same pattern")
        self.network, self.layers = network, layers
        self.maps = CellMaps(kept, self.hull.table, self.hull.denominator)
        self.map_of: list[bytes] = []
        self.pairs: list[tuple[int, int]] = []
        self.joins: list[tuple[int, int]] = []

    @property
    def done(self) -> int:
        """The number of cells that were checked."""
        return len(self.map_of)

    def pattern(self, number: int) -> int:
        """The pattern of a cell as bits, the first unit highest."""
        return int.from_bytes(self.packed[number * self.width:(number + 1) * self.width], "big")

    def batch(self, frame: bytes) -> Iterator[int]:
        """Check the cells of one frame, one by one; yields the number of those that were checked."""
        fields = Fields(frame)
        head, most = fields.field(), min(self.count - self.done, MAX_BATCH)
        cells = int.from_bytes(head, "little")
        if len(head) != 4 or not 0 < cells <= most:
            raise InvalidCertificate(f"a batch has the number of its cells, from 1 to {most}")
        entries = _Entries(fields)
        for _ in range(cells):
            self._check_cell(entries)
            yield self.done
        if not entries.is_empty() or not fields.finished:
            raise InvalidCertificate("a batch has more entries than its cells need")

    def claim(self) -> Cells:
        """What is proved when all frames were taken."""
        if self.done != self.count:
            raise InvalidCertificate(f"the proof ends after {self.done} of {self.count} cells")
        maps = len(set(self.map_of))
        linear = (self._classes(self.pairs), self._classes(self.joins)) if self.complete else (maps, None)
        return Cells(self.network, self.layers, self.hull.domain, tuple(map(self._signs, range(self.count))),
                     self.complete, maps, linear)

    def _signs(self, number: int) -> Signs:
        packed = np.frombuffer(self.packed, dtype=np.uint8)[number * self.width:(number + 1) * self.width]
        bits = np.unpackbits(packed)[:self.units]
        phases: npt.NDArray[np.bool_] = np.concatenate(self.phases) if self.phases else np.zeros(0, dtype=np.bool_)
        signs = np.ones(len(phases), dtype=np.uint8)
        signs[phases] = bits
        return signs.tobytes()

    def _check_cell(self, entries: _Entries) -> None:
        number = self.done
        signs = self._signs(number)
        point = self._point(_take(entries.points, 1)[0])
        if not self.hull.contains_inside(point):
            raise InvalidCertificate(f"cell {number}: its point is not inside the domain")
        units, zeros = self._rows(number, signs, point)
        table, denominator = self.maps.output_table(signs)
        flat = primitive([denominator, *map(int, table.entries())])
        self.map_of.append(hashlib.sha256(" ".join(map(hex, flat)).encode()).digest())
        if self.complete:
            self._check_rows(number, units, zeros, entries)

    def _rows(self, number: int, signs: Signs, point: Homogeneous) -> tuple[dict[Row, int], int]:
        """The distinct oriented rows that are not constant, each with the units that have it, and the units whose row
        is zero; sets of units are bits of a pattern."""
        column = fmpz_mat(len(point), 1, list(point))
        units: dict[Row, int] = {}
        zeros, first, bit = 0, 0, 1 << 8 * self.width >> 1
        for layer, phases in enumerate(self.phases):
            if phases.any():
                table = self.maps.pre_activations(layer, signs)[0]
                own = signs[first:first + len(phases)]
                for entries, at_point, active, phase in zip(table.tolist(), (table * column).entries(), own,
                                                            phases.tolist(), strict=True):
                    if not phase:
                        continue
                    row = primitive([int(v) for v in entries])
                    if any(row):
                        if not (at_point > 0 if active else at_point < 0):
                            raise InvalidCertificate(f"cell {number}: its point has another pattern")
                        if any(row[:-1]):
                            oriented = row if active else tuple(-v for v in row)
                            units[oriented] = units.get(oriented, 0) | bit
                    elif active:
                        raise InvalidCertificate(f"cell {number}: a unit that is zero on it is not marked inactive")
                    else:
                        zeros |= bit
                    bit >>= 1
            first += len(phases)
        return units, zeros

    def _check_rows(self, number: int, units: dict[Row, int], zeros: int, entries: _Entries) -> None:
        rows = [*units, *self.hull.rows]
        on_basis: dict[int, list[int]] = {}
        for g, (how, own) in enumerate(zip(_take(entries.how, len(units)), units.values(), strict=True)):
            if how <= FACET:
                (other,) = _take(entries.neighbours, 1)
                if other >= self.count or other == number or (
                        (self.pattern(number) ^ self.pattern(other)) & ~(own | zeros)):
                    raise InvalidCertificate(f"cell {number}: cell {other} cannot lie across its row {g}")
                self.pairs.append((number, other))
                if how == FACET:
                    self._check_facet(number, list(units), g, self._point(_take(entries.joins, 1)[0]))
                    self.joins.append((number, other))
            elif how == MULTIPLIERS:
                scale, _, line = _take(entries.multipliers, 1)[0].partition(" ")
                if not multipliers_refute(self.hull, rows, g, parse_weights(line, len(rows)), parse_natural(scale)):
                    raise InvalidCertificate(f"cell {number}: the multipliers of row {g} prove nothing")
            else:
                on_basis.setdefault(how - BASES, []).append(g)
        size = len(self.hull.free)
        count = _take(entries.bases, 1)[0]
        if count > len(units):
            raise InvalidCertificate(f"cell {number}: {count} bases for {len(units)} rows")
        for index in range(count):
            basis = _take(entries.bases, size)
            if not basis_refutes(rows, basis, on_basis.pop(index, [])):
                raise InvalidCertificate(f"cell {number}: basis {index} proves nothing about one of its rows")
        if on_basis:
            raise InvalidCertificate(f"cell {number}: a row names a basis that is not given")

    def _check_facet(self, number: int, rows: Sequence[Row], g: int, point: Homogeneous) -> None:
        values = [value(row, point) for row in rows]
        if values.pop(g) != 0 or min(values, default=1) <= 0 or not self.hull.contains_inside(point):
            raise InvalidCertificate(f"cell {number}: the facet point of row {g} is none")

    def _point(self, line: str) -> Homogeneous:
        found = parse_point(line, len(self.hull.free))
        scale = common_denominator(found)
        return (*(v.numerator * (scale // v.denominator) for v in found), scale)

    def _classes(self, pairs: Iterable[tuple[int, int]]) -> int:
        """The number of classes of cells that the pairs with the same map join."""
        leader = list(range(self.count))

        def root(i: int) -> int:
            while leader[i] != i:
                leader[i] = i = leader[leader[i]]
            return i

        for i, j in pairs:
            if self.map_of[i] == self.map_of[j]:
                leader[root(i)] = root(j)
        return sum(i == j for i, j in enumerate(leader))


def multipliers_refute(hull: Hull, rows: Sequence[Row], g: int, weights: dict[int, int], scale: int) -> bool:
    """Whether multipliers ``w / scale`` of some rows prove that row g does not bound the cell (CERTIFICATE.md, section
    11)."""
    if scale <= 0 or max(weights, default=0) >= len(rows):
        return False
    f = tuple(sum((w * rows[i][j] for i, w in weights.items()), -scale * v) for j, v in enumerate(rows[g]))
    if any(f[:-1]):
        return hull.never_positive(f)
    return f[-1] < 0 or (f[-1] == 0 and any(w > 0 for i, w in weights.items() if i != g))


def basis_refutes(rows: Sequence[Row], basis: Sequence[int], targets: Sequence[int]) -> bool:
    """The same of all targets at once, by the multipliers that one basis gives: with the gradients of its rows as the
    rows of B, those of g are ``g B^-1``."""
    size = len(basis)
    if not targets:
        return True
    if max(basis, default=0) >= len(rows):
        return False
    try:
        inverse, scale = fmpq_mat(size, size, [v for i in basis for v in rows[i][:-1]]).inv().numer_denom()
    except ZeroDivisionError:
        return False
    weights = fmpz_mat(len(targets), size, [v for g in targets for v in rows[g][:-1]]) * inverse
    constants = (weights * fmpz_mat(size, 1, [rows[i][-1] for i in basis])).entries()
    for g, own, constant in zip(targets, weights.tolist(), constants, strict=True):
        f = constant - scale * rows[g][-1]
        if min(own) < 0 or f > 0 or (f == 0 and not any(w > 0 for i, w in zip(basis, own, strict=True) if i != g)):
            return False
    return True


class _Entries:
    """The fields of a batch, from which entries are taken one after another."""

    def __init__(self, fields: Fields) -> None:
        self.points = fields.lines(MAX_LEAF_BYTES)
        self.how, self.neighbours = (map(int, fields.array("<u4")) for _ in range(2))
        self.joins, self.multipliers = (fields.lines(MAX_LEAF_BYTES) for _ in range(2))
        self.bases = map(int, fields.array("<u4"))

    def is_empty(self) -> bool:
        """Whether nothing is left (asked once: it takes)."""
        return all(next(entries, None) is None for entries in vars(self).values())


def _take(entries: Iterator[T], count: int) -> list[T]:
    taken = list(islice(entries, count))
    if len(taken) != count:
        raise InvalidCertificate("a batch has fewer entries than its cells need")
    return taken
