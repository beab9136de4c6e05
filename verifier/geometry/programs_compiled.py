r"""The compiled walk by linear programs: cells as rows, depth-first, with every sign proved.

Theory.  A cell is full-dimensional and given by rows ``r_i(u) >= 0`` in the box ``[-1, 1]^n``.  A function f that is
not zero takes a sign in the cell's interior when some point of the *closed* cell has it, and there are two proofs:

* *a point* strictly inside, at which the filter of :mod:`verifier.geometry.filtered_network` decides all signs;
* *multipliers* ``m >= 0``: ``f - sum m_i r_i`` is at least ``C - |A|_1`` on the box, where ``(A, C)`` is the combined
  row.  In floats, with the errors and sizes of the rows combined in the same way, ``C - |A|_1 - error - g size >= 0``
  proves ``f >= 0`` on the cell.  Multipliers may be any numbers, so nothing is asked of how they were found.

Both are found by the primal simplex method from a vertex of the cell.  Each cell owns a point strictly inside, which
gives one sign of f; the method then walks to vertices where f is smaller (in that orientation) until the sign changes
or f is minimal, where the reduced costs are the multipliers.  An objective never makes a vertex infeasible, and where f
vanishes on an edge that is walked is a vertex of *both* parts: one phase-1 start (:func:`crash`) serves a long path.
The other part's inner point lies between its end of the edge and the parent's inner point.

What neither proof settles (ties above all), :func:`run` asks for: it stops with ``STOP_ASK``, no step half done, and
its caller answers exactly.  Tolerances below choose pivots and starting points; no sign rests on them.

Reference: Dantzig's method with steepest edges, for the dense tableau of few columns; Chvatal, Linear Programming.

All of it is one file, for the reason that :mod:`verifier.geometry.just_in_time` gives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from verifier.geometry.filtered_network import HUGE, TINY, Bytes, Indices, Plan
from verifier.geometry.just_in_time import compiled, inlined, inner
from verifier.kernel.rational import FloatArray

FINISHED, STOP_WORK, STOP_OUTPUT, STOP_ASK = range(4)
# counters
ACTIVE, UNIT, FACETS, WAITING, CELLS, WRITTEN, WORK, PIVOTS, SPLITS, ANSWER = range(10)
COUNTERS = 10
# answers: one sign; not known; no part, one part or both parts are to be walked, and which of them first
NEGATIVE, POSITIVE, UNDECIDED, DROP, ONLY_NEGATIVE, ONLY_POSITIVE, NEGATIVE_FIRST, POSITIVE_FIRST = range(8)
FREE = -1            # in ``basis``: no constraint yet;  -2 - j and -2 - n - j: the bounds u_j >= -1 and u_j <= 1
FRESH = 60           # pivots after which a vertex is computed anew
NEAR = 2.0**-30      # of a row scaled to size 1: closer to zero than this, a vertex lies on the hyperplane
FLAT = 2.0**-33      # slopes below this do not block, nor improve


class Work(NamedTuple):
    """The changing arrays.  ``rows`` to ``slack`` as in ``Plan``, valid up to the layer of the current unit.

    The current cell has ``FACETS`` facets besides the bounds of the box.  Facet i is row ``facet[i]``, times
    ``orient[i]`` (1 or -1) and a power of two, in column i of ``table`` (n + 1, facets), with the filter's ``margin``
    and what its proof needs, ``error_of`` and ``size_of``, in the same scale.  ``inside`` is its inner point.  ``x`` is
    one of its vertices when ``basis[0] != FREE``: column k of ``edges`` is the direction in which constraint
    ``basis[k]`` grows at rate 1 and the others of the basis stay zero; ``value`` holds all facets at x.  The waiting
    cell d is the path up to row ``at_unit[d]`` with its other sign, with the first ``at_facets[d]`` facets and the
    inner point ``at_inside[d]``.
    ``given`` takes the inner points of an answer (negative, positive).
    """

    rows: FloatArray
    error: FloatArray
    size: FloatArray
    norm: FloatArray
    slack: FloatArray
    sign: Bytes
    facet: Indices
    orient: FloatArray
    table: FloatArray
    margin: FloatArray
    error_of: FloatArray
    size_of: FloatArray
    value: FloatArray
    slope: FloatArray
    x: FloatArray
    edges: FloatArray
    basis: Indices
    inside: FloatArray
    candidate: FloatArray
    goal: FloatArray
    cost: FloatArray
    at_unit: Indices
    at_facets: Indices
    at_inside: FloatArray
    given: FloatArray
    counters: Indices


class Output(NamedTuple):
    """Buffers for finished cells: signs, row numbers of the facets (then -1), an inner point."""

    sign: Bytes
    facet: Indices
    inside: FloatArray


# --- rows ------------------------------------------------------------------------------------------------------------


@inner
def form_rows(plan: Plan, w: Work, layer: int) -> None:
    """The rows of a layer from those of the one before and its signs."""
    n = w.rows.shape[0] - 1
    begin, end, width = plan.first[layer], plan.first[layer + 1], plan.first[layer + 1] - plan.first[layer]
    for i in range(begin, end):
        for j in range(n):
            w.rows[j, i] = 0.0
        w.rows[n, i] = plan.bias[i]
        w.error[i] = plan.bias_error[i]
        w.norm[i] = 0.0
    at = plan.weight_at[layer]
    for f in range(plan.first[layer - 1], begin):
        factor, factor_size = (1.0, 1.0) if w.sign[f] == 1 else (plan.slope[f], plan.slope_magnitude[f])
        if w.error[f] != 0.0 and factor_size != 0.0:
            for j in range(n + 1):
                c = factor * w.rows[j, f]
                for i in range(width):
                    w.rows[j, begin + i] += c * plan.weight[at + i]
            e = factor_size * (w.error[f] + plan.g * w.size[f] + TINY)
            if e < np.inf:
                for i in range(width):
                    w.error[begin + i] += e * plan.magnitude[at + i]
            else:  # what is not known at all still does not matter where the weight is zero
                for i in range(width):
                    if plan.magnitude[at + i] > 0.0:
                        w.error[begin + i] = np.inf
        at += width
    for j in range(n):
        for i in range(begin, end):
            w.norm[i] += abs(w.rows[j, i])
    for i in range(begin, end):
        w.error[i] *= 1.0 + plan.g
        w.norm[i] *= 1.0 + plan.g
        w.size[i] = w.norm[i] + abs(w.rows[n, i])
        if not w.size[i] <= HUGE:
            for j in range(n + 1):
                w.rows[j, i] = 0.0
            w.norm[i] = w.size[i] = 0.0
            w.error[i] = np.inf
        w.slack[i] = (w.error[i] + plan.g * w.size[i]) * (1.0 + plan.g)


@inner
def scale_of(w: Work, f: int) -> float:
    """A power of two that brings the row to size 1, roughly; 1 where that is out of reach."""
    norm = w.norm[f]
    if not (2.0**-200 < norm < 2.0**200):
        return 1.0
    scale = 1.0
    while norm * scale > 1.0:
        scale *= 0.5
    while norm * scale <= 0.5:
        scale *= 2.0
    return scale


@inner
def add_facet(w: Work, f: int, orient: float) -> None:
    """Row f, oriented, becomes the last facet of the current cell."""
    m = w.counters[FACETS]
    scale = scale_of(w, f)
    total = 0.0
    for j in range(w.x.shape[0]):
        w.table[j, m] = orient * scale * w.rows[j, f]
        total += w.table[j, m] * w.x[j]
    w.table[w.x.shape[0], m] = orient * scale * w.rows[w.x.shape[0], f]
    w.value[m] = total + w.table[w.x.shape[0], m]
    w.margin[m] = scale * w.slack[f]
    w.error_of[m] = scale * w.error[f]
    w.size_of[m] = scale * w.size[f]
    w.facet[m] = f
    w.orient[m] = orient
    w.counters[FACETS] = m + 1


# --- the simplex method ----------------------------------------------------------------------------------------------


@inlined
def shoot(w: Work, k: int) -> tuple[int, float]:
    """The first constraint that blocks the way from x along column k of ``edges``, and the length of that way.

    ``slope`` becomes the facets' slopes on the way.
    """
    n, m = w.x.shape[0], w.counters[FACETS]
    for i in range(m):
        w.slope[i] = 0.0
    w.counters[WORK] += n * (m + n)
    longest = 0.0
    for j in range(n):
        d = w.edges[j, k]
        longest = max(longest, abs(d))
        for i in range(m):
            w.slope[i] += w.table[j, i] * d
    flat = longest * FLAT
    best, step = FREE, np.inf
    for i in range(m):
        s = -w.slope[i]
        if s > flat and w.value[i] < step * s:
            best, step = i, max(w.value[i], 0.0) / s
    for j in range(n):
        d = w.edges[j, k]
        if abs(d) > flat:
            t = ((1.0 - w.x[j]) if d > 0 else (1.0 + w.x[j])) / abs(d)
            if t < step:
                best, step = -2 - j - (n if d > 0 else 0), max(t, 0.0)
    w.counters[PIVOTS] += 1
    return best, step


@inlined
def go(w: Work, k: int, step: float) -> None:
    """Move x along column k, as far as ``step``; ``slope`` is that of the column."""
    for j in range(w.x.shape[0]):
        w.x[j] += step * w.edges[j, k]
    for i in range(w.counters[FACETS]):
        w.value[i] += step * w.slope[i]


@inlined
def exchange(w: Work, k: int, constraint: int) -> None:
    """``constraint`` (not FREE) takes the place of ``basis[k]``; its slopes along the edges are left in ``cost``."""
    n = w.x.shape[0]
    for c in range(n):
        w.cost[c] = 0.0
    if constraint >= 0:
        for j in range(n):
            a = w.table[j, constraint]
            for c in range(n):
                w.cost[c] += a * w.edges[j, c]
    else:
        upper = -2 - constraint >= n
        j = -2 - constraint - (n if upper else 0)
        for c in range(n):
            w.cost[c] = -w.edges[j, c] if upper else w.edges[j, c]
    replace(w, k)
    w.basis[k] = constraint


@inlined
def replace(w: Work, k: int) -> None:
    """Make column k of ``edges`` the direction in which a function with slopes ``cost`` along the edges grows at rate
    1, and let it stay zero along the others."""
    n = w.x.shape[0]
    pivot = 1.0 / w.cost[k]
    for j in range(n):
        d = w.edges[j, k] * pivot
        for c in range(n):
            w.edges[j, c] -= d * w.cost[c]
        w.edges[j, k] = d


@inner
def start_inside(w: Work) -> None:
    """x becomes the inner point, and the edges the unit vectors; there is no basis."""
    n, m = w.x.shape[0], w.counters[FACETS]
    for j in range(n):
        w.x[j] = w.inside[j]
        for c in range(n):
            w.edges[j, c] = 0.0
        w.edges[j, j] = 1.0
    for i in range(m):
        w.value[i] = w.table[n, i]
    for j in range(n):
        for i in range(m):
            w.value[i] += w.table[j, i] * w.x[j]
    w.basis[0] = FREE


@inner
def crash(w: Work) -> None:
    """A vertex, from the inner point along n directions, each in all hyperplanes that stopped the ones before."""
    start_inside(w)
    for k in range(w.x.shape[0]):
        constraint, step = shoot(w, k)
        if constraint == FREE:  # not a number somewhere
            w.basis[0] = FREE
            return
        go(w, k, step)
        exchange(w, k, constraint)
    w.counters[PIVOTS] = 0


@inner
def recentre(w: Work) -> bool:
    """Move the inner point to the middle of the cell, one coordinate after another; False when it stays.

    Inner points between a vertex and their parent's come closer to the boundary with each generation, until the filter
    cannot see them inside.
    """
    start_inside(w)
    n = w.x.shape[0]
    for k in range(n):
        _, ahead = shoot(w, k)
        w.edges[k, k] = -1.0
        constraint, back = shoot(w, k)
        if constraint == FREE:
            return False
        go(w, k, 0.5 * (back - ahead))
    for j in range(n):
        w.candidate[j] = w.x[j]
        w.goal[j] = 0.0
    w.goal[n] = -1.0
    if not strictly_inside(w, 0.0):
        return False
    for j in range(n):
        w.inside[j] = w.x[j]
    return True


@inlined
def steepest(w: Work) -> int:
    """The edge along which the goal falls fastest, or -1; slopes of the goal are left in ``cost``."""
    n = w.x.shape[0]
    for c in range(n):
        w.cost[c] = 0.0
        w.candidate[c] = 0.0
    for j in range(n):
        a = w.goal[j]
        for c in range(n):
            w.cost[c] += a * w.edges[j, c]
            w.candidate[c] += w.edges[j, c] * w.edges[j, c]
    best, k = FLAT * FLAT, -1
    for c in range(n):
        if w.cost[c] < 0.0:
            rate = w.cost[c] * w.cost[c] / w.candidate[c]
            if rate > best:
                best, k = rate, c
    return k


# --- the two proofs --------------------------------------------------------------------------------------------------


@inlined
def bounded_below(plan: Plan, w: Work, f: int, scale: float) -> bool:
    """Whether the slopes of the goal along the edges, as multipliers, prove it nonnegative on the cell."""
    n = w.x.shape[0]
    error, size = scale * w.error[f], scale * w.size[f]
    for k in range(n):
        i, multiplier = w.basis[k], w.cost[k]
        if i >= 0 and multiplier > 0.0:  # those of the bounds come out of the absolute values below
            for j in range(n + 1):
                w.goal[j] -= multiplier * w.table[j, i]
            error += multiplier * w.error_of[i]
            size += multiplier * w.size_of[i]
    least = w.goal[n]
    for j in range(n):
        least -= abs(w.goal[j])
    return bool(least >= (error + plan.g * size) * (1.0 + plan.g) + TINY)


@inner
def strictly_inside(w: Work, margin: float) -> bool:
    """Whether ``candidate`` is proved to be in the cell's interior, with the goal proved to be negative."""
    n = w.x.shape[0]
    m = w.counters[FACETS]
    goal = w.goal[n]
    for i in range(m):
        w.slope[i] = w.table[n, i]
    for j in range(n):
        v = w.candidate[j]
        if not abs(v) < 1.0:
            return False
        goal += w.goal[j] * v
        for i in range(m):
            w.slope[i] += w.table[j, i] * v
    for i in range(m):
        if not w.slope[i] > w.margin[i]:
            return False
    return bool(goal < -margin)


@inner
def witness(w: Work, k: int, step: float, at_end: float, at_inside: float, margin: float) -> bool:
    """Look for a point with a negative goal between the vertex ``x + step * edges[k]``, where the goal is ``at_end``,
    and the inner point; leave it in ``candidate``."""
    part = 0.5 * at_end / (at_end - at_inside)
    for j in range(w.x.shape[0]):
        end = w.x[j] + step * w.edges[j, k]
        w.candidate[j] = end + part * (w.inside[j] - end)
    return strictly_inside(w, margin)


@inner
def decide(plan: Plan, w: Work, f: int) -> int:
    """NEGATIVE or POSITIVE when row f has that sign in the cell, UNDECIDED when floats do not tell.

    NEGATIVE_FIRST or POSITIVE_FIRST when it has both: then ``given`` holds an inner point of either part, and x is a
    vertex of the part named, or none (``basis[0] == FREE``).
    """
    n = w.x.shape[0]
    if w.error[f] == 0.0:
        return NEGATIVE
    slack = w.slack[f]
    at_inside = w.rows[n, f]
    if at_inside - w.norm[f] > slack:
        return POSITIVE
    if at_inside + w.norm[f] < -slack:
        return NEGATIVE
    for j in range(n):
        at_inside += w.rows[j, f] * w.inside[j]
    if not abs(at_inside) > slack:
        return UNDECIDED
    same = POSITIVE if at_inside > 0.0 else NEGATIVE
    scale = scale_of(w, f)
    factor = scale if at_inside > 0.0 else -scale
    if w.basis[0] == FREE or w.counters[PIVOTS] > FRESH:
        crash(w)
    here = factor * w.rows[n, f]
    for j in range(n):
        here += factor * w.rows[j, f] * w.x[j]
    tries = 20 * (n + w.counters[FACETS])
    while w.basis[0] != FREE and tries > 0:
        for j in range(n + 1):
            w.goal[j] = factor * w.rows[j, f]
        k = steepest(w)
        if here > NEAR and bounded_below(plan, w, f, scale):  # in deep networks often long before the minimum
            return same
        for j in range(n + 1):
            w.goal[j] = factor * w.rows[j, f]
        if k < 0:
            if here < 0.0 and witness(w, 0, 0.0, here, scale * abs(at_inside), scale * slack):
                return part_ways(w, 0, here, same)
            return same if bounded_below(plan, w, f, scale) else UNDECIDED
        if here < -NEAR and witness(w, k, 0.0, here, scale * abs(at_inside), scale * slack):
            return part_ways(w, k, here, same)
        constraint, step = shoot(w, k)
        if constraint == FREE:
            break
        end = here + step * w.cost[k]
        if end < -NEAR and witness(w, k, step, end, scale * abs(at_inside), scale * slack):
            return part_ways(w, k, here, same)
        go(w, k, step)
        exchange(w, k, constraint)
        here = end
        tries -= 1
    w.basis[0] = FREE
    return UNDECIDED


@inner
def part_ways(w: Work, k: int, here: float, same: int) -> int:
    """The goal, ``here`` at x, takes both signs: ``inside`` and ``candidate`` are inner points of the parts; make x a
    vertex of one, by a step along edge k if the goal vanishes there."""
    for j in range(w.x.shape[0]):
        w.given[same, j] = w.inside[j]
        w.given[1 - same, j] = w.candidate[j]
    if here < -NEAR:
        return NEGATIVE_FIRST if same == POSITIVE else POSITIVE_FIRST
    if here > NEAR:
        for i in range(w.counters[FACETS]):  # of edge k again: the search for the point has overwritten them
            w.slope[i] = 0.0
            for j in range(w.x.shape[0]):
                w.slope[i] += w.table[j, i] * w.edges[j, k]
        go(w, k, -here / w.cost[k])
        replace(w, k)
        w.basis[k] = w.counters[FACETS]
    return POSITIVE_FIRST if same == POSITIVE else NEGATIVE_FIRST


# --- the walk --------------------------------------------------------------------------------------------------------


@inner
def take(w: Work, f: int, sign: int) -> None:
    """The current cell becomes its part where row f has the sign."""
    add_facet(w, f, 1.0 if sign == POSITIVE else -1.0)
    w.sign[f] = sign
    for j in range(w.x.shape[0]):
        w.inside[j] = w.given[sign, j]
    w.counters[UNIT] = f + 1


@inner
def resume(w: Work) -> None:
    """The last waiting cell becomes the current one."""
    d = w.counters[WAITING] - 1
    w.counters[WAITING] = d
    f, m = w.at_unit[d], w.at_facets[d]
    for j in range(w.x.shape[0] + 1):
        w.table[j, m - 1] = -w.table[j, m - 1]
    for j in range(w.x.shape[0]):
        w.inside[j] = w.at_inside[d, j]
    w.orient[m - 1] = -w.orient[m - 1]
    w.sign[f] = 1 - w.sign[f]
    w.counters[FACETS], w.counters[UNIT], w.counters[ACTIVE] = m, f + 1, 1
    w.basis[0] = FREE


@inner
def write(plan: Plan, w: Work, out: Output) -> bool:
    """Append the current cell to the output; False when there is no room."""
    c = w.counters[WRITTEN]
    if c >= out.sign.shape[0]:
        return False
    for i in range(out.sign.shape[1]):
        out.sign[c, i] = w.sign[plan.first[0] + i]
    for i in range(out.facet.shape[1]):
        out.facet[c, i] = w.facet[i] if i < w.counters[FACETS] else -1
    for j in range(w.x.shape[0]):
        out.inside[c, j] = w.inside[j]
    w.counters[WRITTEN] = c + 1
    return True


@compiled
def run(plan: Plan, w: Work, out: Output, collect: bool, budget: int) -> int:
    """Walk until something stops it; see the module.  ``budget`` counts multiplications, roughly."""
    total = plan.first[plan.first.shape[0] - 1]
    limit = w.counters[WORK] + budget
    while True:
        if w.counters[ACTIVE] == 0:
            if w.counters[WAITING] == 0:
                return FINISHED
            resume(w)
        if w.counters[WORK] > limit:
            return STOP_WORK
        f = w.counters[UNIT]
        for layer in range(1, plan.first.shape[0] - 1):
            if plan.first[layer] == f:
                form_rows(plan, w, layer)
                w.counters[WORK] += (f - plan.first[layer - 1]) * (plan.first[layer + 1] - f) * w.rows.shape[0]
        if f == total:
            if collect and not write(plan, w, out):
                return STOP_OUTPUT
            w.counters[CELLS] += 1
            w.counters[ACTIVE] = 0
            continue
        if plan.phase[f] == 0:
            w.sign[f] = 1
            w.counters[UNIT] = f + 1
            continue
        answer = w.counters[ANSWER]
        if answer == UNDECIDED:
            answer = decide(plan, w, f)
            if answer == UNDECIDED and recentre(w):
                answer = decide(plan, w, f)
            if answer == UNDECIDED:
                return STOP_ASK
        else:
            w.counters[ANSWER] = UNDECIDED
            if answer > POSITIVE:
                w.basis[0] = FREE
        if answer <= POSITIVE:
            w.sign[f] = answer
            w.counters[UNIT] = f + 1
        elif answer == DROP:
            w.counters[ACTIVE] = 0
        elif answer in (ONLY_NEGATIVE, ONLY_POSITIVE):
            take(w, f, answer - ONLY_NEGATIVE)
        else:
            w.counters[SPLITS] += 1
            if not collect and f + 1 == total:
                w.counters[CELLS] += 2
                w.counters[ACTIVE] = 0
                continue
            first = answer - NEGATIVE_FIRST
            d = w.counters[WAITING]
            w.at_unit[d], w.at_facets[d] = f, w.counters[FACETS] + 1
            for j in range(w.x.shape[0]):
                w.at_inside[d, j] = w.given[1 - first, j]
            w.counters[WAITING] = d + 1
            take(w, f, first)


@compiled
def load(plan: Plan, w: Work, facets: Indices, signs: int) -> None:
    """The part of the box bounded by the rows ``facets`` (the domain's, then those of units), with the signs of the
    first ``signs`` units, becomes the current cell; its inner point is left to the caller."""
    first = plan.first[0]
    for layer in range(1, plan.first.shape[0] - 1):
        if plan.first[layer] < first + signs:
            form_rows(plan, w, layer)
    w.counters[FACETS] = 0
    for f in facets:
        add_facet(w, f, 1.0 if f >= first and w.sign[f] == 1 else -1.0)  # a domain's rows are <= 0 in it
    w.basis[0] = FREE
    w.counters[UNIT], w.counters[ACTIVE] = first + signs, 1
