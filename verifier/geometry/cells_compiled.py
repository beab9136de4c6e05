"""The compiled traversal: cells by vertices and incidence, depth-first, with every sign filtered.

One call of :func:`run` works on the stack of open cells until something stops it (see the ``STOP_*`` codes): nothing is
left, the work of a call is used up, an output buffer is full, an array is too small, or signs are needed that the
float filter cannot decide.  In each case the caller puts it right and calls again; no step is half done.
:mod:`verifier.geometry.filtered_network` has the error analysis and :mod:`verifier.geometry.vertex_cell` the same
algorithm in plain exact form.

*Order of work.*  When a cell enters a layer, its bounding box and then its vertices tell which units keep one sign; the
others are *open* and split it, one after another.  All parts share the layer's rows, so one set of rows a layer is
kept, the one of the current path.  The rows of the next layer are a sum over this layer's units: the part that all
siblings have in common is formed once, then the open units are added in their order.  Siblings have the first of them
in common, too, up to the split that parts them: so partial sums are kept, one for every ``STRIDE`` open units, and each
cell goes on from the last one whose signs are its own (with n inputs and many open units, that leaves about one in
n + 1 to be added).

All of it is one file, for the reason that :mod:`verifier.geometry.just_in_time` gives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from verifier.geometry.filtered_network import HUGE, TINY, Bytes, Indices, Plan
from verifier.geometry.just_in_time import entry, inlined, inner
from verifier.kernel.rational import FloatArray

Words = npt.NDArray[np.uint64]

FINISHED, STOP_WORK, STOP_OUTPUT, STOP_VERTICES, STOP_WORDS, STOP_ASK = range(6)
# counters
TOP, CELLS, UID, WRITTEN, WRITTEN_VERTICES, ASKED, ASKED_ROW, KNOWN_ROW, REFINED, SPLITS, WORK, ROUNDS = range(12)
COUNTERS = 12
UNKNOWN = 2   # the sign of a unit, or a vertex, that is not known yet
OPEN = 3      # the sign of a unit that splits the cell
SCANNED = -1
STRIDE = 8    # partial sums of rows are kept after so many units each
BLURRED = 2.0**-10  # a new vertex with a larger radius is refined at once, for both parts: a matter of speed alone


class Work(NamedTuple):
    """The changing arrays.  ``rows`` to ``slack`` as in ``Plan``; ``sums[s]`` are partial sums of a layer's rows and,
    last, errors (see :func:`first_sum`), made with the signs of the first ``summed[l]`` open units of layer l before.

    ``sign[f]`` is the sign of unit f on the current path; ``open_units`` lists, from ``first[l]`` on, the open ones of
    layer l.  Entry d of the stack owns the vertices ``start[d]`` to ``stop[d]``; the last is the current cell.
    ``table[d, bit]`` is the row behind an incidence bit.  ``saved`` holds the signs of its layer for a waiting cell.
    """

    rows: FloatArray
    error: FloatArray
    size: FloatArray
    norm: FloatArray
    slack: FloatArray
    sums: FloatArray
    summed: Indices
    sign: Bytes
    open_units: Indices
    open_count: Indices
    start: Indices
    stop: Indices
    layer: Indices
    scan: Indices
    position: Indices
    table: Indices
    saved: Bytes
    x: FloatArray
    radius: FloatArray
    incidence: Words
    uid: Indices
    value: FloatArray
    bits: Indices
    side: npt.NDArray[np.int8]
    known: npt.NDArray[np.int8]
    ask: Indices
    word: Words
    counters: Indices
    corner: FloatArray
    matrix: FloatArray
    inverse: FloatArray
    pick: Indices


class Output(NamedTuple):
    """Buffers for finished cells: cell c owns vertices ``start[c]`` to ``start[c + 1]``."""

    sign: Bytes
    table: Indices
    start: Indices
    x: FloatArray
    radius: FloatArray
    incidence: Words


@inlined
def popcount(word: np.uint64) -> int:
    """The number of ones (LLVM knows the idiom)."""
    x = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inlined
def add_unit(plan: Plan, w: Work, layer: int, f: int, factor: float, factor_size: float) -> None:
    """Add ``factor`` times row f of the layer, through the weights, to ``rows`` of the next layer."""
    n = w.rows.shape[0] - 1
    begin, end = plan.first[layer + 1], plan.first[layer + 2]
    width = end - begin
    at = plan.weight_at[layer + 1] + (f - plan.first[layer]) * width
    if w.error[f] == 0.0:
        return
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


@inlined
def add(plan: Plan, w: Work, layer: int, f: int) -> None:
    """Add unit f of the layer, with the sign it has, to the next layer's rows."""
    if w.sign[f] == 1:
        add_unit(plan, w, layer, f, 1.0, 1.0)
    elif plan.slope_magnitude[f] != 0.0:
        add_unit(plan, w, layer, f, plan.slope[f], plan.slope_magnitude[f])


@inlined
def first_sum(plan: Plan, layer: int) -> int:
    """Where the partial sums of the rows after the layer begin in ``sums``."""
    return int((plan.first[layer] - plan.first[0]) // STRIDE + layer)


@inlined
def keep_sum(plan: Plan, w: Work, layer: int, k: int) -> None:
    """The next layer's rows as they are now become partial sum k."""
    begin, end = plan.first[layer + 1], plan.first[layer + 2]
    s = first_sum(plan, layer) + k
    n = w.rows.shape[0] - 1
    for j in range(n + 1):
        for i in range(begin, end):
            w.sums[s, j, i - begin] = w.rows[j, i]
    for i in range(begin, end):
        w.sums[s, n + 1, i - begin] = w.error[i]


@inlined
def form_base(plan: Plan, w: Work, layer: int) -> None:
    """The part of the next layer's rows that all parts of a cell in ``layer`` have in common: the first partial sum."""
    n = w.rows.shape[0] - 1
    begin, end = plan.first[layer + 1], plan.first[layer + 2]
    for i in range(begin, end):
        for j in range(n):
            w.rows[j, i] = 0.0
        w.rows[n, i] = plan.bias[i]
        w.error[i] = plan.bias_error[i]
    at = plan.first[layer]
    for k in range(w.open_count[layer] + 1):
        stop = w.open_units[plan.first[layer] + k] if k < w.open_count[layer] else plan.first[layer + 1]
        for f in range(at, stop):
            add(plan, w, layer, f)
        at = stop + 1
    keep_sum(plan, w, layer, 0)
    w.summed[layer] = 0


@inlined
def enter_next(plan: Plan, w: Work, layer: int) -> int:
    """The next layer's rows on the current cell, whose signs in ``layer`` are known: from the last partial sum with the
    same signs on.  The number of units that were added."""
    n = w.rows.shape[0] - 1
    begin, end = plan.first[layer + 1], plan.first[layer + 2]
    k = w.summed[layer] // STRIDE
    s = first_sum(plan, layer) + k
    for j in range(n + 1):
        for i in range(begin, end):
            w.rows[j, i] = w.sums[s, j, i - begin]
    for i in range(begin, end):
        w.error[i] = w.sums[s, n + 1, i - begin]
    added = w.open_count[layer] - STRIDE * k
    for at in range(STRIDE * k, w.open_count[layer]):
        add(plan, w, layer, w.open_units[plan.first[layer] + at])
        if (at + 1) % STRIDE == 0:
            keep_sum(plan, w, layer, (at + 1) // STRIDE)
    w.summed[layer] = w.open_count[layer]
    for i in range(begin, end):
        w.norm[i] = 0.0
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
    return int(added)


@inlined
def evaluate(w: Work, f: int, begin: int, end: int) -> None:
    """``value[v]`` of row f at the vertices."""
    n = w.rows.shape[0] - 1
    c = w.rows[n, f]
    for v in range(begin, end):
        w.value[v] = c
    for j in range(n):
        a = w.rows[j, f]
        for v in range(begin, end):
            w.value[v] += a * w.x[j, v]


@inlined
def classify(w: Work, f: int, begin: int, end: int) -> tuple[int, int, int]:
    """Signs of row f at the vertices into ``side``: the numbers of positive, negative and undecided ones.

    Undecided vertices are listed in ``ask``; answers are read from ``known`` when they speak of this row.
    """
    if w.error[f] == 0.0:
        return 0, 0, 0
    evaluate(w, f, begin, end)
    slack, norm = w.slack[f], w.norm[f]
    answered = w.counters[KNOWN_ROW] == f
    positive = negative = asked = 0
    for v in range(begin, end):
        bound = slack + norm * w.radius[v]
        side = UNKNOWN
        if w.value[v] > bound:
            side = 1
        elif w.value[v] < -bound:
            side = -1
        elif answered:
            side = w.known[v - begin]
        w.side[v] = side
        if side == 1:
            positive += 1
        elif side == -1:
            negative += 1
        elif side == UNKNOWN:
            w.ask[asked] = v
            asked += 1
    if asked > 0:
        w.counters[ASKED] = asked
        w.counters[ASKED_ROW] = f
    return positive, negative, asked


@inlined
def box_signs(plan: Plan, w: Work, layer: int, begin: int, end: int) -> None:
    """Signs of the layer's units that the bounding box of the vertices decides; UNKNOWN for the others."""
    n = w.rows.shape[0] - 1
    radius = 0.0
    for v in range(begin, end):
        if w.radius[v] > radius or w.radius[v] != w.radius[v]:
            radius = w.radius[v]
    for j in range(n):
        low = w.x[j, begin]
        high = low
        for v in range(begin, end):
            low = min(low, w.x[j, v])
            high = max(high, w.x[j, v])
        w.corner[0, j] = 0.5 * (low + high)
        w.corner[1, j] = 0.5 * (high - low)
    for f in range(plan.first[layer], plan.first[layer + 1]):
        if plan.phase[f] == 0:
            w.sign[f] = 1
            continue
        middle = w.rows[n, f]
        extent = w.slack[f] + w.norm[f] * radius
        for j in range(n):
            middle += w.rows[j, f] * w.corner[0, j]
            extent += abs(w.rows[j, f]) * w.corner[1, j]
        extent *= 1.0 + plan.g
        if middle > extent:
            w.sign[f] = 1
        elif middle < -extent or w.error[f] == 0.0:
            w.sign[f] = 0
        else:
            w.sign[f] = UNKNOWN


@inlined
def adjacent(w: Work, p: int, q: int, begin: int, end: int) -> bool:
    """Whether the segment of the vertices, which share n - 1 facets or more, is an edge of the cell."""
    n = w.x.shape[0]
    words = w.incidence.shape[1]
    if w.bits[p] == n or w.bits[q] == n:  # simple vertices: every n - 1 of their facets meet in an edge
        return True
    for r in range(begin, end):
        if r not in (p, q):
            inside = True
            for k in range(words):
                both = w.incidence[p, k] & w.incidence[q, k]
                if w.incidence[r, k] & both != both:
                    inside = False
                    break
            if inside:
                return False
    return True


@inner
def refine(plan: Plan, w: Work, top: int, v: int) -> None:
    """Compute vertex v anew from n of its facets, if that proves a smaller radius."""
    n = w.x.shape[0]
    count = 0
    for k in range(w.incidence.shape[1]):
        word = w.incidence[v, k]
        bit = 64 * k
        while word:
            if word & np.uint64(1):
                w.pick[count] = w.table[top, bit]
                count += 1
            word >>= np.uint64(1)
            bit += 1
    if count < n:
        return
    if count > n and not independent(w, count):
        return
    # Gauss-Jordan on [M | I]: the right half becomes B
    for r in range(n):
        for c in range(n):
            w.matrix[r, c] = w.rows[c, w.pick[r]]
            w.inverse[r, c] = w.matrix[r, c]
            w.inverse[r, n + c] = 1.0 if r == c else 0.0
    for j in range(n):
        best = j
        for r in range(j + 1, n):
            if abs(w.inverse[r, j]) > abs(w.inverse[best, j]):
                best = r
        if not abs(w.inverse[best, j]) > 0.0:
            return
        if best != j:
            for c in range(j, 2 * n):
                w.inverse[best, c], w.inverse[j, c] = w.inverse[j, c], w.inverse[best, c]
        pivot = 1.0 / w.inverse[j, j]
        for c in range(j, 2 * n):
            w.inverse[j, c] *= pivot
        for r in range(n):
            if r != j:
                factor = w.inverse[r, j]
                for c in range(j, 2 * n):
                    w.inverse[r, c] -= factor * w.inverse[j, c]
    beta = 0.0
    for i in range(n):
        total = 0.0
        for j in range(n):
            entry = 1.0 if i == j else 0.0
            for f in range(n):
                entry -= w.inverse[i, n + f] * w.matrix[f, j]
            total += abs(entry)
        for f in range(n):
            total += abs(w.inverse[i, n + f]) * w.slack[w.pick[f]]
        if total > beta or total != total:  # noqa: PLR0124  a NaN stays
            beta = total
    beta = (beta + plan.g) * (1.0 + plan.g)
    if not beta < 0.5:
        return
    for f in range(n):  # one Newton step
        residual = w.rows[n, w.pick[f]]
        for j in range(n):
            residual += w.matrix[f, j] * w.x[j, v]
        w.inverse[f, 0] = residual
    for i in range(n):
        step = 0.0
        for f in range(n):
            step += w.inverse[i, n + f] * w.inverse[f, 0]
        w.inverse[i, 2 * n] = w.x[i, v] - step
        if not abs(w.inverse[i, 2 * n]) <= 2.0:
            return
    for f in range(n):
        residual = w.rows[n, w.pick[f]]
        for j in range(n):
            residual += w.matrix[f, j] * w.inverse[j, 2 * n]
        w.inverse[f, 0] = abs(residual) + 2.0 * w.slack[w.pick[f]]
    radius = 0.0
    for i in range(n):
        total = TINY
        for f in range(n):
            total += abs(w.inverse[i, n + f]) * w.inverse[f, 0]
        if total > radius or total != total:  # noqa: PLR0124  a NaN stays
            radius = total
    radius *= (1.0 + plan.g) / (1.0 - beta) * (1.0 + plan.g)
    if radius < w.radius[v] or (radius < np.inf and w.radius[v] != w.radius[v]):
        w.radius[v] = radius
        for i in range(n):
            w.x[i, v] = w.inverse[i, 2 * n]


@inner
def independent(w: Work, count: int) -> bool:
    """Bring n independent rows to the front of ``pick``, by elimination; False when it finds fewer."""
    n = w.x.shape[0]
    for r in range(count):
        for j in range(n):
            w.inverse[r, j] = w.rows[j, w.pick[r]] / w.norm[w.pick[r]]
    for j in range(n):
        best = j
        for r in range(j + 1, count):
            if abs(w.inverse[r, j]) > abs(w.inverse[best, j]):
                best = r
        if not abs(w.inverse[best, j]) > 0.0:
            return False
        if best != j:
            w.pick[best], w.pick[j] = w.pick[j], w.pick[best]
            for c in range(j, n):
                w.inverse[best, c], w.inverse[j, c] = w.inverse[j, c], w.inverse[best, c]
        for r in range(j + 1, count):
            factor = w.inverse[r, j] / w.inverse[j, j]
            for c in range(j, n):
                w.inverse[r, c] -= factor * w.inverse[j, c]
    return True


@inlined
def refine_asked(plan: Plan, w: Work, top: int) -> bool:
    """Refine the undecided vertices; whether that can decide one of them."""
    f = w.counters[ASKED_ROW]
    better = False
    for k in range(w.counters[ASKED]):
        v = w.ask[k]
        if not w.norm[f] * w.radius[v] <= 4.0 * w.slack[f] and not w.radius[v] <= 2.0**-50:
            before = w.radius[v]
            refine(plan, w, top, v)
            w.counters[REFINED] += 1
            if w.radius[v] < 0.5 * before:
                better = True
    return better


@inlined
def decide(plan: Plan, w: Work, f: int) -> tuple[int, int, int]:
    """:func:`classify` on the current cell, with refinement where that helps."""
    top = w.counters[TOP]
    while True:
        found = classify(w, f, w.start[top], w.stop[top])
        if found[2] == 0 or not refine_asked(plan, w, top):
            return found


@inlined
def cross(plan: Plan, w: Work, f: int, p: int, q: int, v: int) -> None:
    """Vertex v becomes the point of the edge pq on row f; its radius is rigorous (infinite or NaN when unknown)."""
    n = w.x.shape[0]
    at_p, at_q = w.value[p], w.value[q]
    e_p = w.slack[f] + w.norm[f] * w.radius[p]
    e_q = w.slack[f] + w.norm[f] * w.radius[q]
    t = at_p / (at_p - at_q)
    length = 0.0
    for j in range(n):
        d = w.x[j, q] - w.x[j, p]
        w.x[j, v] = w.x[j, p] + t * d
        length = max(length, abs(d))
    w.radius[v] = np.inf
    gap = (at_p - at_q) * (1.0 - plan.g) - e_p - e_q
    if at_p > e_p and -at_q > e_q and gap > 0.0:  # signs that were decided exactly leave the quotient unproved
        slip = (t * e_q + (1.0 - t) * e_p) / gap * (1.0 + plan.g) + 2.0 * plan.g
        w.radius[v] = (((1.0 - t) * w.radius[p] + t * w.radius[q] + slip * (length + plan.g)) * (1.0 + plan.g)
                       + 4.0 * plan.g)


@inlined
def copy_vertex(w: Work, source: int, target: int) -> None:
    """Vertex ``target`` becomes ``source``."""
    for j in range(w.x.shape[0]):
        w.x[j, target] = w.x[j, source]
    w.radius[target] = w.radius[source]
    w.uid[target] = w.uid[source]
    for k in range(w.incidence.shape[1]):
        w.incidence[target, k] = w.incidence[source, k]


@inner
def forget_touching(w: Work, begin: int, end: int) -> None:
    """Clear the bits of hyperplanes with fewer than n vertices of the cell: they hold no facet of it."""
    for k in range(w.incidence.shape[1]):
        for bit in range(64):
            mask = np.uint64(1) << np.uint64(bit)
            count = 0
            for v in range(begin, end):
                if w.incidence[v, k] & mask:
                    count += 1
            if 0 < count < w.x.shape[0]:
                for v in range(begin, end):
                    w.incidence[v, k] &= ~mask


@inlined
def split(plan: Plan, w: Work, f: int) -> int:
    """Cut the current cell by row f, whose sides are in ``side``: the negative part waits, the positive is current."""
    top = w.counters[TOP]
    begin, end = w.start[top], w.stop[top]
    words = w.incidence.shape[1]
    room = w.radius.shape[0]
    bit = -1
    for k in range(words):
        used = np.uint64(0)
        for v in range(begin, end):
            used |= w.incidence[v, k]
        if bit < 0 and ~used != np.uint64(0):
            for b in range(64):
                if not used >> np.uint64(b) & np.uint64(1):
                    bit = 64 * k + b
                    break
    if bit < 0:
        return STOP_WORDS
    for v in range(begin, end):
        count = 0
        for k in range(words):
            count += popcount(w.incidence[v, k])
        w.bits[v] = count
    negative = zero = 0
    for v in range(begin, end):
        if w.side[v] == 0:
            zero += 1
        elif w.side[v] == -1:
            w.ask[negative] = v
            w.word[negative] = w.incidence[v, 0]
            negative += 1
    # new vertices are written above the cell
    n = w.x.shape[0]
    new = end
    for p in range(begin, end):
        if w.side[p] != 1:
            continue
        own = w.incidence[p, 0]
        for i in range(negative):
            common = popcount(own & w.word[i])
            if words > 1:
                for k in range(1, words):
                    common += popcount(w.incidence[p, k] & w.incidence[w.ask[i], k])
            if common >= n - 1 and adjacent(w, p, w.ask[i], begin, end):
                if new >= room:
                    return STOP_VERTICES
                for k in range(words):
                    w.incidence[new, k] = w.incidence[p, k] & w.incidence[w.ask[i], k]
                w.value[new] = p
                w.bits[new] = w.ask[i]
                new += 1
    if new + (end - begin - negative) + (new - end) > room:
        return STOP_VERTICES
    mask = np.uint64(1) << np.uint64(bit & 63)
    word = bit >> 6
    w.table[top, bit] = f
    for v in range(end, new):
        p, q = int(w.value[v]), int(w.bits[v])
        cross(plan, w, f, p, q, v)
        w.incidence[v, word] |= mask
        w.uid[v] = w.counters[UID]
        w.counters[UID] += 1
        if not w.radius[v] <= BLURRED:  # NaN included
            w.radius[v] = np.inf
            refine(plan, w, top, v)
            w.counters[REFINED] += 1
    for v in range(begin, end):
        if w.side[v] == 0:
            w.incidence[v, word] |= mask
    # the positive part goes above the new vertices; the negative one moves up to what is left of it
    at = new
    for v in range(begin, end):
        if w.side[v] >= 0:
            copy_vertex(w, v, at)
            at += 1
    for v in range(end, new):
        copy_vertex(w, v, at)
        at += 1
    middle = begin
    for v in range(begin, new):
        if v >= end or w.side[v] <= 0:
            if middle != v:
                copy_vertex(w, v, middle)
            middle += 1
    w.stop[top] = middle
    w.start[top + 1] = new
    w.stop[top + 1] = at
    if zero > 0:
        forget_touching(w, begin, middle)
        forget_touching(w, new, at)
    layer = w.layer[top]
    w.position[top] += 1
    w.sign[f] = 0
    for i in range(plan.first[layer], plan.first[layer + 1]):
        w.saved[top, i - plan.first[layer]] = w.sign[i]
    w.sign[f] = 1
    w.layer[top + 1] = layer
    w.scan[top + 1] = SCANNED
    w.position[top + 1] = w.position[top]
    for k in range(w.table.shape[1]):
        w.table[top + 1, k] = w.table[top, k]
    w.counters[TOP] = top + 1
    w.counters[SPLITS] += 1
    return FINISHED


@inlined
def pop(plan: Plan, w: Work) -> None:
    """The current cell is done: the one that waits below is next."""
    top = w.counters[TOP] - 1
    w.counters[TOP] = top
    if top >= 0:
        layer = w.layer[top]
        for f in range(plan.first[layer], plan.first[layer + 1]):
            w.sign[f] = w.saved[top, f - plan.first[layer]]
        w.summed[layer] = min(w.summed[layer], w.position[top] - 1)


@inlined
def write(plan: Plan, w: Work, out: Output) -> bool:
    """Append the current cell to the output; False when there is no room."""
    top = w.counters[TOP]
    begin, end = w.start[top], w.stop[top]
    c = w.counters[WRITTEN]
    at = out.start[c]
    if c >= out.sign.shape[0] or at + end - begin > out.radius.shape[0]:
        return False
    for i in range(out.sign.shape[1]):
        out.sign[c, i] = w.sign[plan.first[0] + i]
    for k in range(out.table.shape[1]):
        out.table[c, k] = w.table[top, k]
    for v in range(begin, end):
        for j in range(w.x.shape[0]):
            out.x[j, at] = w.x[j, v]
        out.radius[at] = w.radius[v]
        for k in range(w.incidence.shape[1]):
            out.incidence[at, k] = w.incidence[v, k]
        at += 1
    out.start[c + 1] = at
    w.counters[WRITTEN] = c + 1
    return True


@entry
def run(plan: Plan, w: Work, out: Output, collect: bool, limit: int) -> int:
    """Traverse until something stops it; see the module.  ``limit`` is one of ``WORK``: multiplications, roughly."""
    n = w.x.shape[0]
    depth = plan.first.shape[0] - 1
    while w.counters[TOP] >= 0:
        # two rounds take a cell that was handed over past what its first owner had begun
        if w.counters[WORK] > limit and w.counters[ROUNDS] >= 2:
            return STOP_WORK
        w.counters[ROUNDS] += 1
        top = w.counters[TOP]
        layer = w.layer[top]
        begin, end = w.start[top], w.stop[top]
        first, last = plan.first[layer], plan.first[layer + 1]
        if w.scan[top] != SCANNED:
            if w.scan[top] == 0:
                box_signs(plan, w, layer, begin, end)
                w.counters[WORK] += (end - begin + last - first) * n + 100
            for f in range(first + w.scan[top], last):
                if w.sign[f] == UNKNOWN:
                    positive, negative, asked = decide(plan, w, f)
                    w.counters[WORK] += (end - begin) * (n + 3)
                    if asked > 0:
                        w.scan[top] = f - first
                        return STOP_ASK
                    w.counters[KNOWN_ROW] = -1
                    w.sign[f] = (OPEN if negative > 0 else 1) if positive > 0 else 0
            count = 0
            for f in range(first, last):
                if w.sign[f] == OPEN:
                    w.open_units[first + count] = f
                    count += 1
            w.open_count[layer] = count
            if layer + 1 < depth:
                form_base(plan, w, layer)
                w.counters[WORK] += (last - first) * (plan.first[layer + 2] - last) * (n + 1)
            w.scan[top] = SCANNED
            w.position[top] = 0
        if w.position[top] < w.open_count[layer]:
            f = w.open_units[first + w.position[top]]
            positive, negative, asked = decide(plan, w, f)
            w.counters[WORK] += (end - begin) * (n + 3)
            if asked > 0:
                return STOP_ASK
            if positive > 0 and negative > 0:
                if not collect and layer + 1 == depth and w.position[top] + 1 == w.open_count[layer]:
                    w.counters[CELLS] += 2
                    w.counters[KNOWN_ROW] = -1
                    pop(plan, w)
                    continue
                stop = split(plan, w, f)
                w.counters[WORK] += positive * negative * 3 + (end - begin) * (4 * n + 10)
                if stop != FINISHED:
                    return stop
                w.counters[KNOWN_ROW] = -1
            else:
                w.counters[KNOWN_ROW] = -1
                w.sign[f] = 1 if positive > 0 else 0
                w.position[top] += 1
        elif layer + 1 < depth:
            added = enter_next(plan, w, layer)
            w.counters[WORK] += (last - first) + (added + 3) * (plan.first[layer + 2] - last) * (n + 1)
            w.layer[top] = layer + 1
            w.scan[top] = 0
        else:
            if collect and not write(plan, w, out):
                return STOP_OUTPUT
            w.counters[CELLS] += 1
            pop(plan, w)
    return FINISHED


@entry
def restore(plan: Plan, w: Work, layer: int) -> None:
    """The rows of all layers up to ``layer``, and its base, from the signs and open units that are set."""
    for k in range(layer + 1):
        if k + 2 < plan.first.shape[0]:
            form_base(plan, w, k)
            if k < layer:
                enter_next(plan, w, k)
