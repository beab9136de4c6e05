"""Branches on which the network is linear, decided by exact linear programs.

On a branch where every unit has a decided sign the network is affine, so the question is whether a polyhedron is
empty: rows for the disjunct, rows for the signs that the search has *chosen* (signs that were proved hold anyway).
``solvers.two_lps`` decides it with a point or with multipliers, and the multipliers become an :class:`ExactLeaf`.

On an unbounded domain nothing is known of the units, and branches are pruned early: with the units of the first
layers decided, the chosen signs alone may already exclude every input.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from flint import fmpz_mat

from verifier.kernel.branches import Branches, Mask
from verifier.kernel.certificate import ExactLeaf
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, Point
from verifier.solvers.two_lps import Witness, strict_feasibility


def exact_box(query: Query, branches: Branches, branch: int) -> Box | None:
    """The domain and the branch's box together, as exact numbers; None when they do not meet."""
    lower, upper = [], []
    for k in range(query.network.inputs):
        ends = [[v for v in (exact, Fraction(own) if np.isfinite(own) else None) if v is not None]
                for exact, own in ((query.domain.lower[k], float(branches.lo[branch, k])),
                                   (query.domain.upper[k], float(branches.hi[branch, k])))]
        low, high = max(ends[0], default=None), min(ends[1], default=None)
        if low is not None and high is not None and low > high:
            return None
        lower.append(low)
        upper.append(high)
    return Box(tuple(lower), tuple(upper))


class LinearBranch:
    """The exact affine maps of the units of one branch, as far as their signs are decided.

    ``chosen`` marks, through all layers, the units whose sign was fixed by a split; ``signs`` holds their rows
    ``a . x <= b``, and ``output`` the affine map of the outputs, or None while a unit is undecided.
    """

    def __init__(self, query: Query, branches: Branches, branch: int, chosen: Mask) -> None:
        network = query.network
        self.query = query
        self.branch = branch
        self.box = exact_box(query, branches, branch)
        self.units: list[int] = []
        self.signs: list[tuple[Point, Fraction]] = []
        self.output: list[tuple[Point, Fraction]] | None = None
        # rows of [A | c] with y = A x + c, over one denominator
        size = network.inputs
        table = fmpz_mat(size, size + 1, [int(i == j) for i in range(size) for j in range(size + 1)])
        denominator = 1
        first = 0
        for j, layer in enumerate(network.layers):
            weight, own = layer.weight.integers()
            bias, bias_own = layer.bias.integers()
            rows = [[int(v) * bias_own for v in row] for row in (weight * table).table()]
            denominator *= own
            shift = denominator
            denominator *= bias_own
            for row, b in zip(rows, bias.entries(), strict=True):
                row[-1] += int(b) * shift
            low, high = branches.lower[j][branch], branches.upper[j][branch]
            scale = 1
            factors: list[Fraction | None] = []
            for i, (slope,) in enumerate(layer.slope.rows()):
                factor = Fraction(1) if slope == 1 or low[i] >= 0 else slope if high[i] <= 0 else None
                if factor is not None and chosen[first + i]:
                    sign = -1 if low[i] >= 0 else 1
                    row = rows[i]
                    self.units.append(first + i)
                    self.signs.append((tuple(Fraction(sign * v, denominator) for v in row[:-1]),
                                       Fraction(-sign * row[-1], denominator)))
                factors.append(factor)
                scale = scale * factor.denominator if factor else scale
            first += layer.units
            if any(f is None for f in factors):
                return
            flat = [v * int(f * scale) for row, f in zip(rows, factors, strict=True) for v in row]  # type: ignore[operator]
            table = fmpz_mat(layer.units, size + 1, flat)
            denominator *= scale
        self.output = [(tuple(Fraction(int(v), denominator) for v in row[:-1]), Fraction(int(row[-1]), denominator))
                       for row in table.table()]

    def on_inputs(self, coefficients: Sequence[Fraction]) -> tuple[Point, Fraction] | None:
        """``coefficients . (x, N(x))`` on the branch, as a linear function of x and a constant; None when it needs
        outputs and a unit is undecided."""
        inputs = self.query.network.inputs
        linear, constant = tuple(coefficients[:inputs]), Fraction(0)
        if any(coefficients[inputs:]):
            if self.output is None:
                return None
            for c, (row, own) in zip(coefficients[inputs:], self.output, strict=True):
                if c:
                    linear = tuple(v + c * w for v, w in zip(linear, row, strict=True))
                    constant += c * own
        return linear, constant

    def decide(self, disjunct: int) -> ExactLeaf | Point | None:
        """A refutation of the disjunct, or a point of it; None when units are undecided and the signs alone exclude
        nothing (with rows on outputs left out, only a refutation counts)."""
        half_spaces = self.query.disjuncts[disjunct]
        rows, strict, numbers = [], [], []
        for number, h in enumerate(half_spaces):
            function = self.on_inputs(h.normal)
            if function is None:
                continue
            rows.append((*function[0], h.offset - function[1]))
            strict.append(h.strict)
            numbers.append(number)
        if self.box is None:  # only outward rounding of the domain made this branch: its box alone refutes
            return ExactLeaf(self.branch, disjunct, (Fraction(0),) * len(half_spaces), ())
        rows += [(*normal, offset) for normal, offset in self.signs]
        strict += [False] * len(self.signs)
        answer = strict_feasibility(Matrix.from_rationals(rows, self.query.network.inputs + 1), strict, self.box)
        if isinstance(answer, Witness):
            return answer.x if self.output is not None else None
        multipliers = [Fraction(0)] * len(half_spaces)
        for number, value in zip(numbers, answer.multipliers, strict=False):
            multipliers[number] = value
        units = tuple((unit, value) for unit, value in zip(self.units, answer.multipliers[len(numbers):], strict=True)
                      if value)
        return ExactLeaf(self.branch, disjunct, tuple(multipliers), units)


def piece(query: Query, pattern: Sequence[Mask]) -> LinearBranch:
    """The closed piece of the domain with this activation pattern: for each layer, which units are active."""
    branches = Branches.root(query)
    phases = [layer.has_phase for layer in query.network.layers]
    for lower, upper, phase, active in zip(branches.lower, branches.upper, phases, pattern, strict=True):
        lower[0, phase & active] = 0.0
        upper[0, phase & ~active] = 0.0
    return LinearBranch(query, branches, 0, np.concatenate(phases))


def pattern_at(network: Network, x: Sequence[Fraction]) -> list[Mask]:
    """The activation pattern at ``x``, exactly; pre-activations of 0 count as active."""
    return [np.array([v >= 0 for v in z]) for z in network.pre_activations(x)]
