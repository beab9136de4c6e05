"""Counterexamples: cheap float candidates, confirmed exactly.

A candidate is found in floating point and then moved into the exact domain and evaluated exactly; only that decides.
Coordinates stay dyadic wherever the domain allows, so that a witness has a short finite decimal.  Numbers too large
for floats become infinite or NaN on the way; no exact evaluation is spent on such candidates, so that overflow is
harmless and silent here.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from verifier.kernel.bounds import FloatBounds
from verifier.kernel.branches import Indices
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, Point
from verifier.solvers.highs import FloatLp, FloatStatus, SolverError, solve

STEPS = 24
STARTS = 48
POLISHED = 4
POLISH_STEPS = 24
PROMISE = 0.1  # the share of what is missing that a climb's next step must promise, or the climb ends
NEAR = 1e-6  # how far from satisfying its rows a float candidate may be to deserve an exact evaluation: effort only

SILENT = np.errstate(over="ignore", invalid="ignore", divide="ignore")


@SILENT
def float_outputs(bounds: FloatBounds, x: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    """Outputs at the rows of ``x``, and the pre-activations of every layer."""
    activations = []
    y = x
    for weight, bias, slope in zip(bounds.weight, bounds.bias, bounds.slope, strict=True):
        z = y @ weight.T + bias
        activations.append(z)
        y = np.where(z >= 0, z, slope * z)
    return y, activations


@SILENT
def row_values(bounds: FloatBounds, x: FloatArray, y: FloatArray) -> FloatArray:
    """``normal . (x, y) - offset`` of every half-space at every row: positive means not satisfied."""
    return np.asarray(x @ bounds.row_input.T + y @ bounds.row_output.T - bounds.row_offset)


def worst_rows(bounds: FloatBounds, values: FloatArray) -> tuple[FloatArray, Indices]:
    """For each point and disjunct the largest row value and its row's flat number."""
    count = len(bounds.query.disjuncts)
    worst = np.full((len(values), count), -np.inf)
    row = np.zeros((len(values), count), dtype=np.int64)
    for d in range(count):
        columns = np.nonzero(bounds.row_disjunct == d)[0]
        if len(columns):
            chosen = values[:, columns].argmax(axis=1)
            row[:, d] = columns[chosen]
            worst[:, d] = values[np.arange(len(values)), row[:, d]]
    return worst, row


def confirmed(query: Query, candidates: Iterable[FloatArray]) -> Point | None:
    """The first candidate that, moved into the domain, is exactly a point of the query."""
    for candidate in candidates:
        if np.isfinite(candidate).all():
            x = tuple(_inside(Fraction(float(v)), lo, hi) for v, lo, hi in
                      zip(candidate, query.domain.lower, query.domain.upper, strict=True))
            if query.satisfied_disjunct(x) is not None:
                return x
    return None


def promising(bounds: FloatBounds, x: FloatArray) -> Point | None:
    """Evaluate all rows of ``x`` in floating point, and the best of them exactly."""
    y, _ = float_outputs(bounds, x)
    worst, _ = worst_rows(bounds, row_values(bounds, x, y))
    best = worst.min(axis=1)
    order = np.argsort(best, kind="stable")[:3]
    return confirmed(bounds.query, x[order[best[order] <= NEAR * (1 + np.abs(y[order]).max(axis=1))]])


@SILENT
def descend(bounds: FloatBounds, lo: FloatArray, hi: FloatArray, seed: int) -> Point | None:
    """Projected sign descent on the worst row of the nearest disjunct, from many starts in a bounded box."""
    generator = np.random.default_rng(seed)
    x = lo + (hi - lo) * generator.random((STARTS, len(lo)))
    x[0] = lo + (hi - lo) / 2
    width = hi - lo
    best_x, best = x.copy(), np.full(len(x), np.inf)
    for step in range(STEPS):
        y, activations = float_outputs(bounds, x)
        worst, row = worst_rows(bounds, row_values(bounds, x, y))
        disjunct = worst.argmin(axis=1)
        value = worst[np.arange(len(x)), disjunct]
        better = value < best
        best[better], best_x[better] = value[better], x[better]
        if (value <= 0).any() and (point := confirmed(bounds.query, x[np.argsort(value)[:2]])) is not None:
            return point
        chosen = row[np.arange(len(x)), disjunct]
        gradient = _gradients(bounds, bounds.row_output[chosen], activations) + bounds.row_input[chosen]
        x = np.clip(x - 0.25 * 0.85**step * width * np.sign(gradient), lo, hi)
    order = np.argsort(best, kind="stable")
    point = promising(bounds, best_x[order[:8]])
    for start in order[:POLISHED] if point is None else ():
        point = polish(bounds, best_x[start], lo, hi)
        if point is not None:
            return point
    return point


def polish(bounds: FloatBounds, x: FloatArray, lo: FloatArray, hi: FloatArray) -> Point | None:
    """Climb from ``x`` and confirm where the climb ends."""
    x, value = climb(bounds, x, lo, hi, enough=0.0)
    return confirmed(bounds.query, x[None]) if value <= 0 else None


@SILENT
def climb(bounds: FloatBounds, x: FloatArray, lo: FloatArray, hi: FloatArray,
          enough: float) -> tuple[FloatArray, float]:
    """Successive linear programs from ``x``: minimise the worst row of the network's linear piece at the current point,
    within a trust region that shrinks when the piece was left and nothing was gained.  Returns the last point and its
    worst row value, at most ``enough`` if that was reached.  A climb ends when even the piece promises little of what
    is missing: most climbs of a property that holds end after one program.  With ``enough`` minus infinity a climb
    goes on as long as something is gained.

    Rows that pull in different directions, where sign descent zigzags, are balanced exactly by one program.
    """
    radius = 0.25
    value, disjunct, normals = _linearised(bounds, x)
    for _ in range(POLISH_STEPS):
        if value <= enough or radius < 2.0**-16:
            break
        columns = np.nonzero(bounds.row_disjunct == disjunct)[0]
        gradient, level = normals[columns, :-1], normals[columns, -1]
        size = len(lo)
        step = radius * (hi - lo)
        free = np.append(np.zeros(size), 1.0)
        program = FloatLp(free, np.column_stack([gradient, -np.ones(len(columns))]), np.full(len(columns), -np.inf),
                          -level, np.append(np.maximum(lo - x, -step), -np.inf),
                          np.append(np.minimum(hi - x, step), np.inf))
        try:
            answer = solve(program)
        except SolverError:
            break
        if answer.status is not FloatStatus.OPTIMAL or answer.primal.shape != (size + 1,):
            break
        promised, missing = value - answer.primal[size], value - enough if np.isfinite(enough) else 0.0
        if promised <= 0 or promised < PROMISE * missing:
            break
        moved = np.clip(x + answer.primal[:size], lo, hi)
        new_value, new_disjunct, new_normals = _linearised(bounds, moved)
        if new_value < value:
            x, value, disjunct, normals = moved, new_value, new_disjunct, new_normals
        else:
            radius /= 4
    return x, value


def _linearised(bounds: FloatBounds, x: FloatArray) -> tuple[float, int, FloatArray]:
    """At ``x``: the worst row value of the nearest disjunct, that disjunct, and every row's gradient and value."""
    y, activations = float_outputs(bounds, x[None])
    values = row_values(bounds, x[None], y)
    worst, _ = worst_rows(bounds, values)
    gradient = _gradients(bounds, bounds.row_output, activations) + bounds.row_input
    disjunct = int(worst[0].argmin())
    return float(worst[0, disjunct]), disjunct, np.column_stack([gradient, values[0]])


@SILENT
def _gradients(bounds: FloatBounds, gradient: FloatArray, activations: list[FloatArray]) -> FloatArray:
    """Back-propagate gradients on the outputs, one a row; the activations have as many rows, or one for all."""
    for weight, slope, z in zip(reversed(bounds.weight), reversed(bounds.slope), reversed(activations), strict=True):
        gradient = (gradient * np.where(z >= 0, 1.0, slope)) @ weight
    return gradient


def _inside(value: Fraction, lo: Fraction | None, hi: Fraction | None) -> Fraction:
    if lo is not None and value < lo:
        return _short(lo, hi) if hi is not None else lo
    if hi is not None and value > hi:
        return -_short(-hi, -lo) if lo is not None else hi
    return value


def _short(low: Fraction, high: Fraction) -> Fraction:
    """A dyadic number just above ``low`` when the interval holds one of 60 bits, else ``low`` itself."""
    scale = Fraction(1)
    while scale < 2**60 and abs(low) * scale < 2**52:
        scale *= 2
    rounded = Fraction(-((-low * scale).__floor__())) / scale
    return rounded if rounded <= high else low
