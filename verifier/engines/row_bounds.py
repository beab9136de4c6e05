"""Bounds on the half-spaces of a batch, with slopes improved by ascent; and where their relaxation gap lies.

A linear lower bound of a half-space depends on the slopes chosen for undecided units.  For each branch and open
disjunct the half-space nearest to a refutation is kept, and its slopes are moved, a few times, towards the piece of the
activation that is better at the point where the bound is smallest (alpha-CROWN, Xu et al. 2021, with the sign of the
gradient only).  Slopes are whole numbers of SLOPE_STEPS, as a certificate writes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verifier.kernel.bounds import FloatBounds, LinearFunctions, Slopes
from verifier.kernel.branches import Branches, Indices, Mask
from verifier.kernel.certificate import SLOPE_STEPS, Refutations
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray

ASCENT = (0.7, 0.5)       # how far slopes move towards the better piece, step by step
MARGIN = 32.0             # stated bounds and refutations keep this many error terms in reserve for the other arithmetic

CUTS = 16                 # parts of a side at which a box may be cut where a linear bound excludes more than half of it

NO_REFUTATIONS = Refutations(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8))


@dataclass(frozen=True)
class UnitFunctions:
    """The linear bounds found for undecided units: the first half bounds ``z``, the second ``-z`` from below."""

    branch: Indices
    unit: Indices
    found: LinearFunctions


class RowBounds:
    """Linear bounds on the half-spaces of the open disjuncts of a batch, with slopes improved by ascent.

    ``count``: how many half-spaces were bounded; ``branch``, ``row``: one pair for every branch and open disjunct, the
    half-space nearest to a refutation; ``linear``: its linear lower bound; ``trace``: coefficients before and after
    every layer, last layer first.
    """

    def __init__(self, bounds: FloatBounds, branches: Branches, slopes: list[Slopes], useful: Mask) -> None:
        """``useful`` marks, through all disjuncts, the half-spaces that may be refuted by a bound."""
        self.bounds = bounds
        self.branches = branches
        self.default = slopes
        disjunct = self.bounds.row_disjunct
        branch, row = np.nonzero(branches.open[:, disjunct] & useful)
        self.count = len(branch)
        self.trace: list[tuple[FloatArray, FloatArray]] = []
        found = self.bounds.row_bounds(branches, row, branch, slopes, self.trace)
        keep = _largest_of_groups(branch * branches.open.shape[1] + disjunct[row], found.lower)
        self.branch, self.row = branch[keep], row[keep]
        self.trace = [(c[keep], d[keep]) for c, d in self.trace]
        self.linear, self.lower, self.error = found.linear[keep], found.lower[keep], found.error[keep]
        self.steps = [_default_steps(branches, j, self.bounds.slope[j])[self.branch] for j in range(len(slopes))]
        for distance in ASCENT:
            todo = np.nonzero(~self.proved)[0]
            if not len(todo):
                break
            self._ascend(todo, distance)

    @property
    def proved(self) -> Mask:
        """Whether the half-space is refuted, with a reserve for the other arithmetic."""
        return np.asarray(self.lower - MARGIN * self.error > 0)

    def refute(self) -> Refutations:
        """The refutations found; closes their disjuncts."""
        done = np.nonzero(self.proved)[0]
        branch, row = self.branch[done], self.row[done]
        steps = np.concatenate([s[done] for s in self.steps], axis=1)
        undecided = np.concatenate([((lo < 0) & (hi > 0))[branch] for lo, hi in
                                    zip(self.branches.lower, self.branches.upper, strict=True)], axis=1)
        self.branches.open[branch, self.bounds.row_disjunct[row]] = False
        open_ = np.nonzero(~self.proved)[0]
        self.branch, self.row, self.linear = self.branch[open_], self.row[open_], self.linear[open_]
        self.lower, self.error = self.lower[open_], self.error[open_]
        self.trace = [(c[open_], d[open_]) for c, d in self.trace]
        self.steps = [s[open_] for s in self.steps]
        return Refutations(branch, row, steps[undecided].astype(np.uint8))

    def _ascend(self, todo: Indices, distance: float) -> None:
        """Move the slopes of these bounds towards the piece that is better at the bound's minimiser; keep gains."""
        branches, bounds = self.branches, self.bounds
        branch, row = self.branch[todo], self.row[todo]
        y = np.where(self.linear[todo] >= 0, branches.lo[branch], branches.hi[branch])
        steps, slopes = [], []
        for j in range(len(bounds.weight)):
            z = y @ bounds.weight[j].T + bounds.bias[j]
            c, d = (a[todo] for a in self.trace[len(bounds.weight) - 1 - j])
            low, high, slope = branches.lower[j][branch], branches.upper[j][branch], bounds.slope[j]
            undecided = (low < 0) & (high > 0)
            concave = slope > 1
            on_piece = undecided & ((c >= 0) ^ concave)
            old = self.steps[j][todo]
            # the bound is linear in the slope: its derivative is c z (1 - s for each step), larger is better
            better = np.where((z > 0) ^ concave ^ (c < 0), float(SLOPE_STEPS), 0.0)
            new = np.where(on_piece, np.rint(old + distance * (better - old)), old)
            piece = slope + (1 - slope) * (new / SLOPE_STEPS)
            default = self.default[j]
            p, n = default.p[branch], default.n[branch]
            steps.append(new)
            slopes.append(Slopes(np.where(undecided & ~concave, piece, p), np.where(undecided & concave, piece, n),
                                 own_p=True, own_n=True) if concave.any() else
                          Slopes(np.where(undecided, piece, p), default.n, own_p=True))
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = np.where(c != 0, d / np.where(c != 0, c, 1.0), 0.0)
            # where the chord is in use the relaxed unit lies on it
            offset = np.where(undecided & ~on_piece, np.where(low >= 0, low, slope * low) - ratio * low, 0.0)
            y = ratio * z + offset
        trace: list[tuple[FloatArray, FloatArray]] = []
        found = bounds.row_bounds(branches, row, branch, slopes, trace)
        gain = found.lower > self.lower[todo]
        at = todo[gain]
        self.lower[at], self.error[at], self.linear[at] = found.lower[gain], found.error[gain], found.linear[gain]
        for j, new in enumerate(steps):
            self.steps[j][at] = new[gain]
        for (c, d), (new_c, new_d) in zip(self.trace, trace, strict=True):
            c[at], d[at] = new_c[gain], new_d[gain]

    def unit_gaps(self) -> list[FloatArray]:
        """For each layer, shape (B, units): how much of the open rows' relaxation gap each undecided unit makes."""
        branches, bounds = self.branches, self.bounds
        gaps = []
        for j in range(len(bounds.weight)):
            low, high, slope = branches.lower[j], branches.upper[j], bounds.slope[j]
            c, d = self.trace[len(bounds.weight) - 1 - j]
            lo, hi = low[self.branch], high[self.branch]
            undecided = (lo < 0) & (hi > 0)
            span = np.where(undecided, hi - lo, 1.0)
            chord = np.abs(1 - slope) * np.abs(c) * -lo * hi / span
            piece = 0.5 * np.maximum((d - slope * c) * -lo, (c - d) * hi)
            on_chord = (c < 0) ^ (slope > 1)
            value = np.where(undecided, np.where(on_chord, chord, np.abs(piece)), 0.0)
            total = np.zeros_like(low)
            np.add.at(total, self.branch, value)
            gaps.append(total)
        return gaps

    def input_scores(self, functions: list[UnitFunctions | None]) -> FloatArray:
        """Shape (B, inputs): how much each input carries of the relaxation gap of the open rows.

        A unit's gap is shared among the inputs in the proportion in which they move its linear bound; a small part
        of the row's own slope is added, so that a branch without gap is still cut along what moves the row.
        """
        branches = self.branches
        width = branches.hi - branches.lo
        score = np.zeros_like(width)
        np.add.at(score, self.branch, 0.025 * np.abs(self.linear) * width[self.branch])
        for j, (gap, function) in enumerate(zip(self.unit_gaps(), functions, strict=True)):
            if function is None:
                continue
            count = len(function.branch)
            move = np.abs(function.found.linear[:count]) * width[function.branch]
            stale = 0.5 * (branches.upper[j] - branches.lower[j])[function.branch, function.unit]
            norm = np.maximum(np.maximum(move.sum(axis=1), stale), 1e-300)
            np.add.at(score, function.branch, (gap[function.branch, function.unit] / norm)[:, None] * move)
        return score

    def half_spaces_left(self) -> tuple[Indices, Indices, FloatArray]:
        """Branches of which a linear bound excludes at least half along one input: which branches, which inputs, where.

        Where ``L(x) > 0`` for the linear bound ``L`` of the only open disjunct, nothing is left to find.  Along input
        ``i`` that holds beyond the share ``-min L / (|l_i| width_i)`` of the box.  The cut leaves a little more than
        this share, at most half, so that the other child is refuted again; it lies at a short number of the box.
        """
        branches = self.branches
        own = np.nonzero(branches.open.sum(axis=1)[self.branch] == 1)[0]
        branch, linear = self.branch[own], self.linear[own]
        lo, width = branches.lo[branch], (branches.hi - branches.lo)[branch]
        reach = np.abs(linear) * width
        share = np.where(reach > 0, -self.lower[own][:, None] / np.where(reach > 0, reach, 1.0), np.inf)
        index = share.argmin(axis=1)
        at = np.arange(len(own)), index
        kept = np.minimum(np.ceil(share[at] * (CUTS + 0.25)) / CUTS, 1.0)
        point = lo[at] + width[at] * np.where(linear[at] >= 0, kept, 1 - kept)
        good = (kept > 0) & (kept <= 0.5) & (lo[at] < point) & (point < branches.hi[branch][at])
        return branch[good], index[good], point[good]


def refutable(query: Query) -> Mask:
    """Through all disjuncts, which half-spaces are more than a face of the domain.

    A face ``x_1 < 2`` of a domain within ``x_1 <= 2`` is false on the face alone: no bound refutes it, but in every
    branch at that face its bound comes nearest to 0, and would draw the attention of the search from the others.
    """
    n = query.network.inputs
    opposite = [(h, None if any(h.normal[n:]) else query.domain.minimum([-c for c in h.normal[:n]]))
                for disjunct in query.disjuncts for h in disjunct]
    return np.array([least is None or least < -h.offset for h, least in opposite], dtype=bool)


def _default_steps(branches: Branches, layer: int, slope: FloatArray) -> FloatArray:
    return np.where(branches.upper[layer] >= -branches.lower[layer], float(SLOPE_STEPS), 0.0)


def _largest_of_groups(group: Indices, value: FloatArray) -> Indices:
    """The position of the largest value of each group of equal numbers (the first of several), in group order."""
    order = np.lexsort((np.arange(len(group)), -value, group))
    first = np.ones(len(order), dtype=bool)
    first[1:] = group[order][1:] != group[order][:-1]
    return order[first]
