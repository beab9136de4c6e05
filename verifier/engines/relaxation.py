"""The triangle relaxation of a branch as one linear program; its duals become an exact leaf.

Variables are the inputs and the outputs ``y_i`` of the undecided units; every pre-activation is an affine function of
these.  An undecided unit contributes its three edges (Ehlers 2017)

    y >= z,      y >= s z,      y <= (u (z - l) - s l (u - z)) / (u - l)            (all reversed where s > 1),

a unit with a chosen sign contributes the sign.  The disjunct's rows, the signs and the upper edges are relaxed by one
slack ``t`` to be minimised, so that the program always has points.
``t* > 0`` means that the relaxation is empty.  Then the multipliers of a unit's edges, combined, are the coefficient
``d`` of its ``z`` in the kernel's theorem on exact leaves, so rounding them to short dyadics costs margin but never
soundness.  ``t* = 0`` may still be a proof where a row is strict: a second program, with the slack on strict rows only,
finds multipliers with weight on them (as in ``solvers/two_lps.py``).  Nothing can absorb their rounding, but those of
touching sets are mostly short numbers, which rounding to a grid or to the simplest fraction restores; the kernel's test
says whether it did.  Otherwise the minimiser is where to look for a point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from verifier.kernel.bounds import FloatBounds
from verifier.kernel.branches import Branches, Mask
from verifier.kernel.certificate import ExactLeaf
from verifier.kernel.rational import FloatArray
from verifier.solvers.highs import FloatLp, FloatSolution, FloatStatus, SolverError, solve

MULTIPLIER_BITS = 30
GRID_BITS = 36        # of the multipliers of touching relaxations
DENOMINATORS = 2**16  # of the same, when they are no multiples of a power of two
WORTH = 1e-7  # a smaller relaxed violation is not worth turning into a leaf: effort only


@dataclass(frozen=True)
class Relaxed:
    """What the program says of one branch and disjunct: leaves to try, and the input at which the relaxation is
    tightest, with the amount by which each undecided unit leaves its activation there (flat unit numbers)."""

    leaves: tuple[ExactLeaf, ...]
    x: FloatArray
    units: list[int]
    errors: FloatArray


def relax(bounds: FloatBounds, branches: Branches, branch: int, chosen: Mask, disjunct: int) -> Relaxed | None:
    """Solve the relaxation of one bounded branch; None when the solver has no answer."""
    inputs = bounds.query.network.inputs
    undecided = [(branches.lower[j][branch] < 0) & (branches.upper[j][branch] > 0) for j in range(len(bounds.weight))]
    size = inputs + sum(int(mask.sum()) for mask in undecided)
    # y = linear . v + constant, with v the inputs and then the outputs of undecided units
    linear = np.zeros((inputs, size + 1))  # the last column is the slack's
    linear[:, :inputs] = np.eye(inputs)
    constant = np.zeros(inputs)
    rows: list[FloatArray] = []
    sides: list[float] = []
    units: list[int] = []
    relaxed: list[tuple[FloatArray, float, float]] = []
    owners: list[tuple[int, float | None]] = []  # of each row the unit and the factor of its z (None: its sign)
    first, column = 0, inputs
    for j, mask in enumerate(undecided):
        z_linear = bounds.weight[j] @ linear
        z_constant = bounds.weight[j] @ constant + bounds.bias[j]
        low, high, slope = branches.lower[j][branch], branches.upper[j][branch], bounds.slope[j]
        factor = np.where(bounds.has_phase[j] & (high <= 0) & ~(low >= 0), slope, 1.0)
        linear, constant = factor[:, None] * z_linear, factor * z_constant
        for i in np.nonzero(bounds.has_phase[j] & chosen[first:first + len(mask)] & ~mask)[0]:
            sign = -1.0 if low[i] >= 0 else 1.0
            owners.append((first + int(i), None))
            row = sign * z_linear[i]
            row[-1] = -1.0
            rows.append(row)
            sides.append(-sign * z_constant[i])
        for i in np.nonzero(mask)[0]:
            lo, hi, s = float(low[i]), float(high[i]), float(slope[i])
            chord = (hi - s * lo) / (hi - lo)
            orientation = -1.0 if s > 1 else 1.0
            y = np.zeros(size + 1)
            y[column] = 1.0
            for multiple, side, offset in ((1.0, 1.0, 0.0), (s, 1.0, 0.0), (chord, -1.0, hi - chord * hi)):
                # side * orientation * (multiple z + offset - y) <= 0
                row = side * orientation * (multiple * z_linear[i] - y)
                row[-1] = -1.0 if side < 0 else 0.0
                rows.append(row)
                sides.append(-side * orientation * (multiple * z_constant[i] + offset))
                owners.append((first + int(i), side * orientation * multiple))
            units.append(first + int(i))
            relaxed.append((z_linear[i], float(z_constant[i]), s))
            linear[i], constant[i] = y, 0.0
            column += 1
        first += len(mask)
    columns = np.nonzero(bounds.row_disjunct == disjunct)[0]
    query_rows = bounds.row_output[columns] @ linear
    query_rows[:, :inputs] += bounds.row_input[columns]
    query_sides = bounds.row_offset[columns] - bounds.row_output[columns] @ constant
    query_rows[:, -1] = -1.0
    matrix = np.array([*query_rows, *rows]).reshape(-1, size + 1)
    cost = np.zeros(size + 1)
    cost[-1] = 1.0
    lower = np.concatenate([branches.lo[branch], np.full(size - inputs, -np.inf), [-1.0]])
    upper = np.concatenate([branches.hi[branch], np.full(size - inputs + 1, np.inf)])
    right = np.array([*query_sides, *sides])
    program = FloatLp(cost, matrix, np.full(len(matrix), -np.inf), right, lower, upper)
    answer = _optimum(program)
    if answer is None:
        return None
    roundings: tuple[Callable[[float], Fraction], ...] = (_short,) if answer.objective > WORTH else ()
    if not roundings and answer.objective > -WORTH and bounds.row_strict[columns].any():
        hard = matrix.copy()
        hard[len(columns):, -1] = 0.0
        hard[:len(columns), -1] = -bounds.row_strict[columns].astype(np.float64)
        touching = _optimum(replace(program, matrix=hard))
        if touching is not None and abs(touching.objective) <= WORTH:
            answer, roundings = touching, (_on_grid, _simplest)
    z = np.array([row @ answer.primal + offset for row, offset, _ in relaxed])
    active = np.array([s for _, _, s in relaxed])
    errors = np.abs(answer.primal[inputs:size] - np.where(z >= 0, z, active * z))
    leaves = tuple(_leaf(branch, disjunct, -answer.row_duals, len(columns), owners, rounded) for rounded in roundings)
    return Relaxed(leaves, answer.primal[:inputs], units, errors)


def _optimum(program: FloatLp) -> FloatSolution | None:
    """What the solver proposes, if it is an optimum with all its numbers."""
    try:
        answer = solve(program)
    except SolverError:
        return None
    good = (answer.status is FloatStatus.OPTIMAL and usable(answer.primal, len(program.cost))
            and usable(answer.row_duals, len(program.matrix)))
    return answer if good else None


def usable(values: FloatArray, count: int) -> bool:
    """Whether a solver returned as many numbers as there are, and numbers."""
    return values.shape == (count,) and bool(np.isfinite(values).all())


def _leaf(branch: int, disjunct: int, duals: FloatArray, count: int,
          owners: list[tuple[int, float | None]], rounded: Callable[[float], Fraction]) -> ExactLeaf:
    """The multipliers of rows and units that these duals mean, each rounded."""
    rows = np.maximum(duals[:count], 0.0)
    units: dict[int, float] = {}
    for dual, (unit, factor) in zip(np.maximum(duals[count:], 0.0).tolist(), owners, strict=True):
        units[unit] = units.get(unit, 0.0) + dual * (1.0 if factor is None else factor)
    return ExactLeaf(branch, disjunct, tuple(rounded(float(v)) for v in rows),
                     tuple((unit, v) for unit, v in sorted((i, rounded(value)) for i, value in units.items()) if v))


def _short(value: float) -> Fraction:
    """``value`` rounded to MULTIPLIER_BITS significant bits."""
    mantissa, exponent = np.frexp(value)
    return Fraction(round(float(mantissa) * 2**MULTIPLIER_BITS)) * Fraction(2) ** (int(exponent) - MULTIPLIER_BITS)


def _on_grid(value: float) -> Fraction:
    """``value`` rounded to a multiple of 2^-GRID_BITS."""
    return Fraction(round(value * 2.0**GRID_BITS), 2**GRID_BITS)


def _simplest(value: float) -> Fraction:
    """The fraction nearest to ``value`` among those of a small denominator."""
    return Fraction(value).limit_denominator(DENOMINATORS)
