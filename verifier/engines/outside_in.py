r"""Proofs from the last layers inward: that a query has no point, when what bounds it lies near the outputs.

Requirement
    A query, on any domain; few of its units should matter.
Return
    Blocks of a proof, or a point.
Method
    The half-spaces and the network as one linear program in the inputs and the activations ``y``.  A decided unit is
    linear; an undecided one, with no bounds known, is ``y >= z`` and ``y >= s z`` (for a slope ``s > 1``, which is
    concave, ``<=``).  Exact programs (:mod:`verifier.solvers.two_lps`) decide whether that has a solution, strict rows
    included.  If not, the multipliers are an exact leaf: with ``m_1, m_2`` of the two rows of an undecided unit, its
    multiplier is ``m_1 + s m_2``, because the coefficient of a free variable y vanishes.  If so, and each y is the
    activation of its z, the solution is a point.  Else a unit of the last layer where it is not is split, the one that
    is furthest off.
Property
    Complete: with all units decided the programs decide.  The proof is short when the last layers bound the expression
    whatever the layers before them do, as a clipped output is bounded, ``relu(f) - relu(f - 1) <= 1``; however large
    the set is on which the bound is attained.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from verifier.engines.branch_and_bound import SearchBatch
from verifier.engines.cell_proof import split_units
from verifier.engines.exact_leaf import exact_box
from verifier.engines.subtrees import SearchResult
from verifier.kernel.certificate import ExactLeaf
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, Point
from verifier.solvers.two_lps import Witness, strict_feasibility

Form = list[Fraction]
"""A linear function of all variables, its constant last."""


def prove_outside_in(query: Query, deadline: float | None = None, most: int | None = None) -> SearchResult:
    """See the module.  ``deadline`` is compared with ``time.time()``; when it comes first, or after ``most`` branches,
    there is nothing."""
    return split_units(query, _decide, deadline, most)


class _Program:
    """The program of one branch; ``labels`` names for every row ``<= 0`` its unit and that unit's share of the
    multiplier."""

    def __init__(self, query: Query, batch: SearchBatch, b: int) -> None:
        network, branches = query.network, batch.branches
        self.inputs = network.inputs
        free = [(low[b] < 0) & (high[b] > 0) for low, high in zip(branches.lower, branches.upper, strict=True)]
        self.size = network.inputs + int(sum(mask.sum() for mask in free))
        self.rows: list[Form] = []
        self.labels: list[tuple[int, Fraction]] = []
        self.relaxed: list[tuple[int, int, Form, Fraction, int]] = []  # layer, unit, z, slope, variable
        values = [self._variable(k) for k in range(network.inputs)]
        self.given = list(values)
        variable, unit = network.inputs, 0
        for j, layer in enumerate(network.layers):
            after: list[Form] = []
            for i, (row, (bias,), (slope,)) in enumerate(zip(layer.weight.rows(), layer.bias.rows(),
                                                             layer.slope.rows(), strict=True)):
                z = self._combined(row, values, bias)
                if slope == 1:
                    after.append(z)
                elif free[j][i]:
                    y = self._variable(variable)
                    sign = 1 if slope < 1 else -1
                    for factor in (Fraction(1), slope):
                        self.rows.append([sign * (factor * v - w) for v, w in zip(z, y, strict=True)])
                        self.labels.append((unit, sign * factor))
                    self.relaxed.append((j, unit, z, slope, variable))
                    variable += 1
                    after.append(y)
                else:
                    active = branches.lower[j][b, i] >= 0
                    self.rows.append([-v for v in z] if active else z)
                    self.labels.append((unit, Fraction(1)))
                    after.append(z if active else [slope * v for v in z])
                unit += 1
            values = after
        self.given += values

    def _variable(self, k: int) -> Form:
        return [Fraction(i == k) for i in range(self.size + 1)]

    def _combined(self, factors: Sequence[Fraction], forms: Sequence[Form], constant: Fraction) -> Form:
        total = [Fraction(0)] * self.size + [constant]
        for factor, form in zip(factors, forms, strict=True):
            if factor:
                total = [t + factor * v for t, v in zip(total, form, strict=True)]
        return total

    def decide(self, query: Query, box: Box, b: int, disjunct: int) -> ExactLeaf | Point:
        """A solution, or a leaf of branch ``b``."""
        half_spaces = query.disjuncts[disjunct]
        rows = [self._combined(h.normal, self.given, -h.offset) for h in half_spaces] + self.rows
        strict = [h.strict for h in half_spaces] + [False] * len(self.rows)
        none = (None,) * (self.size - self.inputs)
        answer = strict_feasibility(Matrix.from_rationals([[*row[:-1], -row[-1]] for row in rows], self.size + 1),
                                    strict, Box(box.lower + none, box.upper + none))
        if isinstance(answer, Witness):
            return answer.x
        units: dict[int, Fraction] = {}
        for (unit, share), value in zip(self.labels, answer.multipliers[len(half_spaces):], strict=True):
            units[unit] = units.get(unit, Fraction(0)) + share * value
        return ExactLeaf(b, disjunct, tuple(answer.multipliers[:len(half_spaces)]),
                         tuple((unit, value) for unit, value in sorted(units.items()) if value))

    def furthest(self, solution: Point) -> int | None:
        """The unit of the last layer with a gap that has the largest one; None when the solution is a point."""
        gaps = []
        for layer, unit, z, slope, variable in self.relaxed:
            value = sum((a * v for a, v in zip(z, solution, strict=False) if a), z[-1])
            gap = abs(solution[variable] - (value if value >= 0 else slope * value))
            if gap:
                gaps.append((layer, gap, -unit))
        return -max(gaps)[2] if gaps else None


def _decide(query: Query, batch: SearchBatch, b: int, leaves: list[ExactLeaf]) -> Point | int:
    branches = batch.branches
    box = exact_box(query, branches, b)
    assert box is not None, "no input is split"
    program = _Program(query, batch, b)
    split = 0
    for d in np.flatnonzero(branches.open[b]).tolist():
        answer = program.decide(query, box, b, d)
        if isinstance(answer, ExactLeaf):
            leaves.append(answer)
            branches.open[b, d] = False
            continue
        unit = program.furthest(answer)
        if unit is None:
            return answer[:query.network.inputs]
        split = unit
    return split
