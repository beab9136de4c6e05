r"""The compiled walk by programs: cells as rows, depth-first, with every sign proved.

Theory.  A cell is full-dimensional and given by rows ``r_i(u) >= 0`` in a base domain: the box ``[-1, 1]^n``, a
product of ``[-1, 1]`` and R, or the unit ball.  A function f that is not zero takes a sign in the cell's interior when
some point of the *closed* cell has it, and there are two proofs:

* *a point* strictly inside, at which the filter of :mod:`verifier.geometry.filtered_network` decides all signs (beyond
  the box its bounds grow with the largest coordinate);
* *multipliers* ``m >= 0``: ``f = sum m_i r_i + A . u + C`` with a rest that is nonnegative on the base domain.  On the
  box that is ``C - |A|_1 >= 0``, on the ball ``C - |A|_2 >= 0``.  In floats, with the errors and sizes of the rows
  combined in the same way, ``C - |A| - error - g size >= 0`` proves ``f >= 0`` on the cell.  Multipliers may be any
  numbers, so nothing is asked of how they were found.  *Where coordinates are unbounded* nothing absorbs A, which has
  to be exactly 0: the multipliers of n independent rows are then enclosed (:func:`combined`).

In the box and in space both are found by the primal simplex method from a vertex of the cell.  Each cell owns a point
strictly inside, which gives one sign of f; the method then walks to vertices where f is smaller (in that orientation)
until the sign changes or f is minimal, where the reduced costs are the multipliers.  An objective never makes a vertex
infeasible, and where f vanishes on an edge that is walked is a vertex of *both* parts: one phase-1 start
(:func:`crash`) serves a long path.  The other part's inner point lies between its end of the edge and the parent's
inner point.  In the ball, the other part's point nearest to the centre is looked for (:func:`approach`): it lies in the
ball, or its multipliers prove that the part does not meet it.

What neither proof settles (ties above all), :func:`run` asks for: it stops with ``STOP_ASK``, no step half done, and
its caller answers exactly.  Tolerances below choose pivots and starting points; no sign rests on them.

References: Dantzig's method with steepest edges, for the dense tableau of few columns (Chvatal, Linear Programming);
Goldfarb and Idnani (1983) for the nearest point, as in :mod:`verifier.geometry.nearest`.

All of it is one file, for the reason that :mod:`verifier.geometry.just_in_time` gives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from verifier.geometry.filtered_network import HUGE, TINY, Bytes, Indices, Plan
from verifier.geometry.just_in_time import entry, inlined, inner
from verifier.kernel.rational import FloatArray

FINISHED, STOP_WORK, STOP_OUTPUT, STOP_ASK = range(4)
# counters
ACTIVE, UNIT, FACETS, WAITING, CELLS, WRITTEN, WORK, PIVOTS, SPLITS, ANSWER, DOMAIN, HELD = range(12)
COUNTERS = 12
BOX, SPACE, BALL = range(3)  # the base domain; SPACE: some coordinates are unbounded
# answers: one sign; not known; no part, one part or both parts are to be walked, and which of them first
NEGATIVE, POSITIVE, UNDECIDED, DROP, ONLY_NEGATIVE, ONLY_POSITIVE, NEGATIVE_FIRST, POSITIVE_FIRST = range(8)
FREE = -1            # in ``basis``: no constraint yet;  -2 - j and -2 - n - j: the bounds u_j >= -1 and u_j <= 1
LINE = -2**40        # no constraint, and none in the way: the cell contains a line, as far as is known
FRESH = 60           # pivots after which a vertex is computed anew
NEAR = 2.0**-30      # of a row scaled to size 1: closer to zero than this, a point lies on the hyperplane
FLAT = 2.0**-33      # slopes below this do not block, nor improve


class Work(NamedTuple):
    """The changing arrays.  ``rows`` to ``slack`` as in ``Plan``, valid up to the layer of the current unit.

    The current cell has ``FACETS`` facets besides the bounds of the box.  Facet i is row ``facet[i]``, times
    ``orient[i]`` (1 or -1) and a power of two, in column i of ``table`` (n + 1, facets), with the filter's ``margin``
    and what its proof needs, ``error_of`` and ``size_of``, in the same scale.  ``inside`` is its inner point.
    ``reach`` is 1 for the coordinates in [-1, 1], else infinite; ``central`` tells which rows have the constant 0,
    exactly; ``alive`` how many units of each layer are not known to be constantly 0.

    *Box and space.*  ``x`` is one of the cell's vertices when ``basis[0] != FREE``: column k of ``edges`` is the
    direction in which constraint ``basis[k]`` grows at rate 1 and the others of the basis stay zero; ``value`` holds
    all facets at x.  *Ball.*  When ``HELD >= 0``, x is the cell's point nearest to 0, the sum of the gradients of the
    first ``HELD`` facets of ``active`` times their multipliers ``force``; these gradients are the columns of ``edges``,
    which are orthonormal, times the triangle ``upper``.  ``kept_...`` is room for a copy.

    The waiting
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
    reach: FloatArray
    central: Bytes
    alive: Indices
    force: FloatArray
    upper: FloatArray
    active: Indices
    kept_x: FloatArray
    kept_edges: FloatArray
    kept_upper: FloatArray
    kept_active: Indices
    kept_force: FloatArray
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
        w.central[i] = plan.bias_error[i] == 0.0
        w.norm[i] = 0.0
    at = plan.weight_at[layer]
    w.alive[layer - 1] = 0
    for f in range(plan.first[layer - 1], begin):
        factor, factor_size = (1.0, 1.0) if w.sign[f] == 1 else (plan.slope[f], plan.slope_magnitude[f])
        if w.error[f] != 0.0 and factor_size != 0.0:
            w.alive[layer - 1] += 1
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
            if w.central[f] == 0:
                for i in range(width):
                    if plan.magnitude[at + i] > 0.0:
                        w.central[begin + i] = 0
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
def forget(w: Work) -> None:
    """There is no vertex, and no nearest point."""
    w.basis[0] = FREE
    w.counters[HELD] = -1


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
    """The first constraint that blocks the way from x along column k of ``edges``, and the length of that way: FREE and
    infinite when nothing does.  ``slope`` becomes the facets' slopes on the way.
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
            t = ((w.reach[j] - w.x[j]) if d > 0 else (w.reach[j] + w.x[j])) / abs(d)
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


@inlined
def look(w: Work, m: int) -> None:
    """The values of the first m facets at x."""
    n = w.x.shape[0]
    for i in range(m):
        w.value[i] = w.table[n, i]
    for j in range(n):
        for i in range(m):
            w.value[i] += w.table[j, i] * w.x[j]


@inlined
def turn(w: Work, k: int) -> None:
    """Column k of ``edges`` the other way."""
    for j in range(w.x.shape[0]):
        w.edges[j, k] = -w.edges[j, k]


@inner
def start_inside(w: Work) -> None:
    """x becomes the inner point, and the edges the unit vectors; there is no basis."""
    n, m = w.x.shape[0], w.counters[FACETS]
    for j in range(n):
        w.x[j] = w.inside[j]
        for c in range(n):
            w.edges[j, c] = 0.0
        w.edges[j, j] = 1.0
    look(w, m)
    forget(w)


@inner
def crash(w: Work) -> None:
    """A vertex, from the inner point along n directions, each in all hyperplanes that stopped the ones before."""
    start_inside(w)
    n = w.x.shape[0]
    for k in range(n):
        w.basis[k] = LINE
    found = True
    while found:  # what changes one direction may put something in the way of another
        found = False
        for k in range(n):
            if w.basis[k] != LINE:
                continue
            constraint, step = shoot(w, k)
            if constraint == FREE:
                turn(w, k)
                constraint, step = shoot(w, k)
            if constraint == FREE and w.counters[DOMAIN] == BOX:  # not a number somewhere
                w.basis[0] = FREE
                return
            if constraint != FREE:
                go(w, k, step)
                exchange(w, k, constraint)
                found = True
    w.counters[PIVOTS] = 0


@inlined
def way(w: Work, k: int) -> float:
    """How far it is from x along column k of ``edges`` to the boundary of the cell."""
    _, step = shoot(w, k)
    if w.counters[DOMAIN] == BALL:
        here, along, square = 0.0, 0.0, 0.0
        for j in range(w.x.shape[0]):
            here += w.x[j] * w.x[j]
            along += w.x[j] * w.edges[j, k]
            square += w.edges[j, k] * w.edges[j, k]
        step = min(step, to_sphere(here, along, square))
    return step


@inlined
def to_sphere(here: float, along: float, square: float) -> float:
    """How far it is from x to the unit sphere along d: by ``x . x``, ``x . d`` and ``d . d``."""
    return float((np.sqrt(along * along + square * max(1.0 - here, 0.0)) - along) / square)


@inner
def recentre(w: Work) -> bool:
    """Move the inner point to the middle of the cell, one coordinate after another; False when it stays.

    Inner points between a vertex and their parent's come closer to the boundary with each generation, until the filter
    cannot see them inside.
    """
    start_inside(w)
    n = w.x.shape[0]
    for k in range(n):
        ahead = way(w, k)
        w.edges[k, k] = -1.0
        back = way(w, k)
        if back < np.inf and ahead < np.inf:
            go(w, k, 0.5 * (back - ahead))
        elif back < np.inf or ahead < np.inf:
            go(w, k, back - max(back, 1.0) if back < np.inf else max(ahead, 1.0) - ahead)
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
        if w.cost[c] > 0.0 and w.basis[c] == LINE:
            turn(w, c)
            w.cost[c] = -w.cost[c]
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
    largest, square = 1.0, 0.0
    for i in range(m):
        w.slope[i] = w.table[n, i]
    for j in range(n):
        v = w.candidate[j]
        if not abs(v) < w.reach[j]:
            return False
        largest = max(largest, abs(v))
        square += v * v
        goal += w.goal[j] * v
        for i in range(m):
            w.slope[i] += w.table[j, i] * v
    if not largest < HUGE or (w.counters[DOMAIN] == BALL and not square < 1.0 - (n + 4) * 2.0**-50):
        return False
    for i in range(m):
        if not w.slope[i] > w.margin[i] * largest:
            return False
    return bool(goal < -margin * largest)


@inner
def witness(w: Work, k: int, step: float, at_end: float, at_inside: float, margin: float) -> bool:
    """Look for a point with a negative goal between the vertex ``x + step * edges[k]``, where the goal is ``at_end``,
    and the inner point; leave it in ``candidate``."""
    part = 0.5 * at_end / (at_end - at_inside)
    for j in range(w.x.shape[0]):
        end = w.x[j] + step * w.edges[j, k]
        w.candidate[j] = end + part * (w.inside[j] - end)
    return strictly_inside(w, margin)


@inlined
def belongs(plan: Plan, w: Work, constraint: int, layer: int) -> bool:
    """Whether the gradient of a constraint of the basis lies in the span of those of the layer's live units; layer -1:
    whether it has one."""
    if constraint < 0 or layer < 0:
        return constraint != LINE and layer < 0
    f = w.facet[constraint]
    return bool(f >= plan.first[layer + 1] or
                (f >= plan.first[layer] and (w.sign[f] == 1 or plan.slope_magnitude[f] != 0.0)))


@inner
def combined(plan: Plan, w: Work, f: int, scale: float, layer: int) -> bool:
    """Whether the goal is proved to be a combination of constraints of the basis, with positive multipliers, and a
    nonnegative constant.

    The goal's gradient g lies in the span of the gradients of the units of an earlier ``layer`` that are alive, not
    constantly 0; so do those of some constraints of the basis.  If these are as many as there are live units, and
    independent, they span g.  (Layer -1: so do any n that are independent.)  Let M have their gradients as rows, E
    their columns of ``edges``, ``q = g E`` and ``|M E - I| <= beta < 1/4`` in the row-sum norm.  Then they are
    independent, and ``g = m M`` gives ``q = m + m (M E - I)``, hence ``|m - q|_1 <= 1.5 beta |q|_1``.

    The constant is the same at all points, x among them: ``goal(x) - sum m_k r_k(x)``; and 0 if all constants are.
    """
    n = w.x.shape[0]
    error = scale * w.error[f]
    beta, largest, members, here = 0.0, 1.0, 0, w.goal[n]
    for i in range(n):
        if not abs(w.x[i]) < HUGE:
            return False
        largest = max(largest, abs(w.x[i]))
        members += belongs(plan, w, w.basis[i], layer)
        here += w.goal[i] * w.x[i]
    if members != (n if layer < 0 else w.alive[layer]):
        return False
    for i in range(n):
        constraint = w.basis[i]
        if not belongs(plan, w, constraint, layer):
            continue
        off = 0.0
        for k in range(n):
            if not belongs(plan, w, w.basis[k], layer):
                continue
            if constraint >= 0:
                product, size, longest = 0.0, 1.0, 0.0
                for j in range(n):
                    term = w.table[j, constraint] * w.edges[j, k]
                    product += term
                    size += abs(term)
                    longest = max(longest, abs(w.edges[j, k]))
                off += plan.g * size + w.error_of[constraint] * longest
            else:
                upper = -2 - constraint >= n
                product = w.edges[-2 - constraint - (n if upper else 0), k]
                product = -product if upper else product
                off += plan.g * (1.0 + abs(product))
            off += abs(product - (1.0 if i == k else 0.0))
        if not off < 0.125:
            return False
        beta = max(beta, off)
    total = 0.0
    for k in range(n):
        if belongs(plan, w, w.basis[k], layer):
            product, size, longest = 0.0, 0.0, 0.0
            for j in range(n):
                term = w.goal[j] * w.edges[j, k]
                product += term
                size += abs(term)
                longest = max(longest, abs(w.edges[j, k]))
            w.cost[k] = product
            w.candidate[k] = plan.g * size + error * longest
            total += abs(product) + w.candidate[k]
    away = scale * w.slack[f] * largest
    central = w.central[f] == 1
    for k in range(n):
        constraint = w.basis[k]
        if not belongs(plan, w, constraint, layer):
            continue
        if not w.cost[k] > 2.0 * (w.candidate[k] + 2.0 * beta * total):
            return False
        if constraint >= 0:
            value = w.table[n, constraint]
            for j in range(n):
                value += w.table[j, constraint] * w.x[j]
            away += 2.0 * w.cost[k] * (abs(value) + w.margin[constraint] * largest)
            central = central and w.central[w.facet[constraint]] == 1
        else:
            upper = -2 - constraint >= n
            x = w.x[-2 - constraint - (n if upper else 0)]
            away += 2.0 * w.cost[k] * (abs(1.0 - x if upper else 1.0 + x) + plan.g)
            central = False
    return bool(central or here >= 2.0 * away + TINY)


@inner
def decide(plan: Plan, w: Work, f: int) -> int:
    """NEGATIVE or POSITIVE when row f has that sign in the cell, UNDECIDED when floats do not tell.

    NEGATIVE_FIRST or POSITIVE_FIRST when it has both: then ``given`` holds an inner point of either part, and x is a
    vertex or the nearest point of the part named, or nothing is known of it.
    """
    n = w.x.shape[0]
    if w.error[f] == 0.0:
        return NEGATIVE
    slack = w.slack[f]
    at_inside, largest, square = w.rows[n, f], 1.0, 0.0
    for j in range(n):
        square += w.rows[j, f] * w.rows[j, f]
    reach = np.sqrt(square) * (1.0 + plan.g) if w.counters[DOMAIN] == BALL else w.norm[f]
    if w.counters[DOMAIN] != SPACE and at_inside - reach > slack:
        return POSITIVE
    if w.counters[DOMAIN] != SPACE and at_inside + reach < -slack:
        return NEGATIVE
    for j in range(n):
        at_inside += w.rows[j, f] * w.inside[j]
        largest = max(largest, abs(w.inside[j]))
    if not abs(at_inside) > slack * largest:
        return UNDECIDED
    same = POSITIVE if at_inside > 0.0 else NEGATIVE
    if w.counters[DOMAIN] == BALL:
        return decide_in_ball(plan, w, f, same)
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
        if w.counters[DOMAIN] == BOX:
            if here > NEAR and bounded_below(plan, w, f, scale):  # in deep networks often long before the minimum
                return same
            for j in range(n + 1):
                w.goal[j] = factor * w.rows[j, f]
        if k < 0:
            if here < 0.0 and witness(w, 0, 0.0, here, scale * abs(at_inside), scale * slack):
                return part_ways(w, 0, here, same)
            if w.counters[DOMAIN] == SPACE:
                for layer in range(-1, plan.first.shape[0] - 2):
                    if plan.first[layer + 1] <= f and combined(plan, w, f, scale, layer):
                        return same
                return UNDECIDED
            return same if bounded_below(plan, w, f, scale) else UNDECIDED
        if here < -NEAR and witness(w, k, 0.0, here, scale * abs(at_inside), scale * slack):
            return part_ways(w, k, here, same)
        constraint, step = shoot(w, k)
        if constraint == FREE and w.counters[DOMAIN] == SPACE:  # as far as is needed
            step = (min(-max(1.0, scale * abs(at_inside)), 2.0 * here) - here) / w.cost[k]
        elif constraint == FREE:
            break
        end = here + step * w.cost[k]
        if end < -NEAR and witness(w, k, step, end, scale * abs(at_inside), scale * slack):
            return part_ways(w, k, here, same)
        if constraint == FREE:
            break
        go(w, k, step)
        exchange(w, k, constraint)
        here = end
        tries -= 1
    forget(w)
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


# --- in the ball -----------------------------------------------------------------------------------------------------


@inlined
def append(w: Work, i: int) -> bool:
    """Facet i becomes the last active one, with no multiplier; False when its gradient depends on those before."""
    n, q = w.x.shape[0], w.counters[HELD]
    if q == n:
        return False
    square = 0.0
    for j in range(n):
        w.candidate[j] = w.table[j, i]
    for _ in range(2):  # the second time for what rounding has left over in the first
        for c in range(q):
            product = 0.0
            for j in range(n):
                product += w.edges[j, c] * w.candidate[j]
            for j in range(n):
                w.candidate[j] -= product * w.edges[j, c]
    for j in range(n):
        square += w.candidate[j] * w.candidate[j]
    if not square > FLAT * FLAT:
        return False
    length = np.sqrt(square)
    for j in range(n):
        w.edges[j, q] = w.candidate[j] / length
    for c in range(q + 1):
        w.upper[c, q] = 0.0
        for j in range(n):
            w.upper[c, q] += w.edges[j, c] * w.table[j, i]
    w.active[q] = i
    w.force[q] = 0.0
    w.counters[HELD] = q + 1
    return True


@inlined
def release(w: Work, k: int) -> None:
    """The active facet number k becomes inactive."""
    q = w.counters[HELD]
    w.counters[HELD] = k
    for c in range(k + 1, q):
        force = w.force[c]
        if append(w, w.active[c]):
            w.force[w.counters[HELD] - 1] = force


@inner
def enforce(w: Work, p: int) -> bool:
    """Move x until facet p, which is negative there, is 0, and what the active facets hold with it.

    False when that cannot be: then ``force`` are multipliers of a contradiction, of one facet more than ``HELD``.
    """
    n = w.x.shape[0]
    own = 0.0
    for _ in range(4 * n + 4):
        q = w.counters[HELD]
        value, square = w.table[n, p], 0.0
        for j in range(n):
            value += w.table[j, p] * w.x[j]
            w.goal[j] = w.table[j, p]
        for c in range(q):
            w.cost[c] = 0.0
            for j in range(n):
                w.cost[c] += w.edges[j, c] * w.table[j, p]
            for j in range(n):
                w.goal[j] -= w.cost[c] * w.edges[j, c]
        for j in range(n):
            square += w.goal[j] * w.goal[j]
        least, out = np.inf, -1
        for c in range(q - 1, -1, -1):  # the gradient's coefficients on those of the active facets
            for b in range(c + 1, q):
                w.cost[c] -= w.upper[c, b] * w.cost[b]
            w.cost[c] /= w.upper[c, c]
            if w.cost[c] > FLAT and max(w.force[c], 0.0) < least * w.cost[c]:
                least, out = max(w.force[c], 0.0) / w.cost[c], c
        w.counters[WORK] += n * (2 * q + 2) + q * q
        full = -value / square if q < n and square > FLAT * FLAT else np.inf
        if full == np.inf and out < 0:
            for c in range(q):
                w.force[c] = -w.cost[c]
            w.active[q], w.force[q] = p, 1.0
            return False
        step = min(full, least)
        if full < np.inf:
            for j in range(n):
                w.x[j] += step * w.goal[j]
        for c in range(q):
            w.force[c] -= step * w.cost[c]
        own += step
        if full <= least:
            if not append(w, p):
                return False
            w.force[w.counters[HELD] - 1] = own
            return True
        release(w, out)
    return False


@inner
def approach(w: Work, m: int) -> bool:
    """Move x to the point nearest to 0 of the first m facets, from such a point of some of them.

    False when the search is over before: ``outside`` may prove then that there is none in the ball.
    """
    n = w.x.shape[0]
    w.force[w.counters[HELD]] = 0.0
    for _ in range(20 * (n + m)):
        square = 0.0
        for j in range(n):
            square += w.x[j] * w.x[j]
        if not square < 1.0:
            return False
        look(w, m)
        w.counters[WORK] += m * n
        worst, p = -NEAR * 2.0**-10, -1
        for i in range(m):
            if w.value[i] < worst:
                worst, p = w.value[i], i
        if p < 0:
            return True
        if not enforce(w, p):
            return False
        w.force[w.counters[HELD]] = 0.0
    return False


@inner
def outside(plan: Plan, w: Work) -> bool:
    """Whether the multipliers prove that nowhere in the open ball the cell's facets and the one after are positive."""
    n = w.x.shape[0]
    for j in range(n + 1):
        w.goal[j] = 0.0
    error, size, square = 0.0, 0.0, 0.0
    for c in range(w.counters[HELD] + 1):
        multiplier, i = w.force[c], w.active[c]
        if multiplier > 0.0 and i <= w.counters[FACETS]:  # those of the cell, and the goal
            for j in range(n + 1):
                w.goal[j] += multiplier * w.table[j, i]
            error += multiplier * w.error_of[i]
            size += multiplier * w.size_of[i]
    for j in range(n):
        square += w.goal[j] * w.goal[j]
    most = w.goal[n] + np.sqrt(square) * (1.0 + plan.g)
    return bool(most + (error + plan.g * size) * (1.0 + plan.g) + TINY <= 0.0 and size > 0.0)


@inner
def enter(w: Work, m: int) -> bool:
    """Leave in ``candidate`` a point of the ball, near x, where the first m facets grow that are 0 at x.

    Facets that are 0 without being active are made so when they do not grow with the others.
    """
    n = w.x.shape[0]
    look(w, m)
    while True:
        q = w.counters[HELD]
        here, along, square = 0.0, 0.0, 0.0
        for c in range(q):  # the direction in which all active facets grow at rate 1
            w.cost[c] = 1.0
            for b in range(c):
                w.cost[c] -= w.upper[b, c] * w.cost[b]
            w.cost[c] /= w.upper[c, c]
        for j in range(n):
            d = 0.0
            for c in range(q):
                d += w.cost[c] * w.edges[j, c]
            w.goal[j] = d
            here += w.x[j] * w.x[j]
            along += w.x[j] * d
            square += d * d
        step, blocked = to_sphere(here, along, square) if square > 0.0 else 0.0, -1
        for i in range(m):
            slope = 0.0
            for j in range(n):
                slope += w.table[j, i] * w.goal[j]
            if w.value[i] < NEAR and slope < FLAT:
                blocked = i
            elif slope < 0.0:
                step = min(step, w.value[i] / -slope)
        w.counters[WORK] += m * n
        if blocked < 0:
            for j in range(n):
                w.candidate[j] = w.x[j] + 0.5 * step * w.goal[j]
            return True
        if not append(w, blocked):
            return False


@inlined
def keep(w: Work) -> None:
    """Keep a copy of the nearest point and its active facets."""
    n = w.x.shape[0]
    for c in range(w.counters[HELD]):
        w.kept_active[c], w.kept_force[c] = w.active[c], w.force[c]
        for j in range(n):
            w.kept_edges[j, c], w.kept_upper[j, c] = w.edges[j, c], w.upper[j, c]
    for j in range(n):
        w.kept_x[j] = w.x[j]


@inlined
def restore(w: Work, q: int) -> None:
    """The copy back, of q active facets."""
    n = w.x.shape[0]
    for c in range(q):
        w.active[c], w.force[c] = w.kept_active[c], w.kept_force[c]
        for j in range(n):
            w.edges[j, c], w.upper[j, c] = w.kept_edges[j, c], w.kept_upper[j, c]
    for j in range(n):
        w.x[j] = w.kept_x[j]
    w.counters[HELD] = q


@inner
def decide_in_ball(plan: Plan, w: Work, f: int, same: int) -> int:
    """As :func:`decide`, for a row whose sign at the inner point is ``same``."""
    n, m = w.x.shape[0], w.counters[FACETS]
    if w.counters[HELD] < 0:
        w.counters[HELD] = 0
        for j in range(n):
            w.x[j] = 0.0
        if not approach(w, m):
            forget(w)
            return UNDECIDED
    q = w.counters[HELD]
    keep(w)
    add_facet(w, f, -1.0 if same == POSITIVE else 1.0)
    w.counters[FACETS] = m
    if approach(w, m + 1):
        if enter(w, m + 1):
            for j in range(n + 1):
                w.goal[j] = -w.table[j, m]
            if strictly_inside(w, w.margin[m]):
                for j in range(n):
                    w.given[same, j] = w.inside[j]
                    w.given[1 - same, j] = w.candidate[j]
                return NEGATIVE_FIRST if same == POSITIVE else POSITIVE_FIRST
    elif outside(plan, w):
        restore(w, q)
        return same
    forget(w)
    return UNDECIDED


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
    forget(w)


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


@entry
def run(plan: Plan, w: Work, out: Output, collect: bool, limit: int) -> int:
    """Walk until something stops it; see the module.  ``limit`` is one of ``WORK``: multiplications, roughly."""
    total = plan.first[plan.first.shape[0] - 1]
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
                forget(w)
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


@entry
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
    forget(w)
    w.counters[UNIT], w.counters[ACTIVE] = first + signs, 1


@entry
def push_out(w: Work, m: int, goals: FloatArray, multipliers: FloatArray, limit: int) -> int:
    """For each of the ``goals`` (., n + 1), functions scaled as facets are, ``multipliers`` (., m + 1) of the first m
    facets in ``table`` and of the goal's negative, as found on the way from 0 to the nearest point at which none of
    these is negative, or until it leaves the unit ball.  They are proposals; the current cell is spoilt.

    Negative multipliers are not known yet: after ``STOP_WORK`` (``limit`` is one of ``WORK``) it goes on with those.
    """
    n = w.x.shape[0]
    for g in range(goals.shape[0]):
        if multipliers[g, m] >= 0.0:
            continue
        if w.counters[WORK] > limit:
            return STOP_WORK
        for j in range(n + 1):
            w.table[j, m] = -goals[g, j]
        for j in range(n):
            w.x[j] = 0.0
        w.counters[HELD] = 0
        approach(w, m + 1)
        for i in range(m + 1):
            multipliers[g, i] = 0.0
        for c in range(w.counters[HELD] + 1):
            if w.force[c] > 0.0:
                multipliers[g, w.active[c]] = w.force[c]
    return FINISHED
