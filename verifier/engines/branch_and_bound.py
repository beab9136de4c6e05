"""Branch and bound over input boxes and unit phases.

Requirement
    A query; any feedforward piecewise-linear network, any box (unbounded ones too), rows strict or not.
Return
    Blocks of a proof that there is no point, or a point.
Method
    Depth first, in batches.  On every branch: bounds on the units that are still undecided, layer by layer, by
    backward substitution (``kernel/bounds.py``), starting from the bounds inherited from the parent; then bounds on the
    half-spaces of the open disjuncts, with the slopes of undecided units improved by a few steps of ascent (Xu et al.
    2021, alpha-CROWN; here only for the row nearest to a refutation).  What stays open is cut in two along the input
    that carries most of the relaxation gap, unless the branch is thin: few undecided units, or a depth at which
    bisection would not end (touching sets).  Then a unit is split at 0, the triangle relaxation (``relaxation.py``) may
    refute what the bounds leave open, and when no unit is undecided exact linear programs decide.  With many inputs
    units are split from the start.  The search may also *walk*, that is split units alone: relaxations that touch are
    leaves, and where the last layers bound an expression, as a clip does, or units cancel, few splits suffice.  With
    few inputs, few of the sign vectors are those of cells, and the relaxation cuts the others off.
Property
    Sound, because the checker decides; complete, because phase splitting ends after at most 2^units leaves.
Reference
    Bak et al. (nnenum), Wang et al. 2021 (beta-CROWN), Zhang et al. 2018 (CROWN); DESIGN.md of this project.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from verifier.engines.attack import promising
from verifier.engines.exact_leaf import LinearBranch
from verifier.engines.relaxation import Relaxed, relax
from verifier.engines.row_bounds import ASCENT, MARGIN, NO_REFUTATIONS, RowBounds, UnitFunctions, refutable
from verifier.kernel.bounds import FloatBounds, Slopes, default_slopes
from verifier.kernel.branches import Branches, Indices, Mask, split
from verifier.kernel.certificate import Block, ExactLeaf, StatedBounds
from verifier.kernel.checker import refutes_exactly
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, Point

FEW_UNITS = 2             # undecided units at which a branch is split on units
TOUCHING_UNITS = 12       # idem for callers that know that half-spaces touch, perhaps along a face
FEW_PHASES = 12           # units with a phase in a network on which bisection could only cost more than 2^12 leaves
WALKED_INPUTS = 4         # inputs that vary, up to which m units cut the domain into few cells: O(m^4)
WALKED_PHASES = 48        # units with a phase up to which relaxations are small programs
DEPTH = 24                # bisections of one input after which a branch is split on units; see also total_depth
MANTISSA_BITS = 16        # of stated bounds
LINEAR_PROGRAM_WORK = 200_000
MANY_INPUTS = 16          # inputs that vary, above which units are split instead of inputs


@dataclass(frozen=True)
class SearchBatch:
    """Branches with the search's own notes: ``chosen`` (B, units of all layers) marks units split on."""

    branches: Branches
    chosen: Mask

    @classmethod
    def root(cls, query: Query) -> SearchBatch:
        """The whole domain."""
        units = sum(layer.units for layer in query.network.layers)
        return cls(Branches.root(query), np.zeros((1, units), dtype=bool))

    def __len__(self) -> int:
        return len(self.branches)

    def take(self, index: Indices | slice) -> SearchBatch:
        """A copy of these members."""
        return SearchBatch(self.branches.take(index), self.chosen[index].copy())

    @staticmethod
    def concatenate(parts: Any) -> SearchBatch:
        """All members of the parts, in order."""
        return SearchBatch(Branches.concatenate([p.branches for p in parts]),
                           np.concatenate([p.chosen for p in parts]))


@dataclass
class Effort:
    """Counters."""

    boxes: int = 0
    exact_leaves: int = 0
    linear_programs: int = 0
    work: int = 0  # entries of coefficient rows processed: what budgets are counted in

    def add(self, other: Effort) -> None:
        """Add another's counts."""
        self.boxes += other.boxes
        self.exact_leaves += other.exact_leaves
        self.linear_programs += other.linear_programs
        self.work += other.work


@dataclass(frozen=True)
class Expansion:
    """One step of the search: its block of the proof and the children, or a point of the query."""

    block: Block | None
    children: SearchBatch | None
    point: Point | None


class OutOfTime(Exception):
    """The deadline passed within an expansion; its batch is of no further use."""


class BranchAndBound:
    """The expansion of batches for one query.  Picklable; holds no open branches.

    ``few_units``: undecided units at which a branch is split on units.  More of them pay where half-spaces of one
    disjunct touch each other along a face, so that only their combinations refute.  ``walk``: split units alone.
    ``by_inputs`` tells whether else inputs are split, too; ``small`` and ``few_cells`` whether a walk has small
    relaxations, and even few branches.
    """

    @np.errstate(over="ignore", invalid="ignore")
    def __init__(self, query: Query, few_units: int = FEW_UNITS, walk: bool = False) -> None:
        self.query = query
        self.bounds = FloatBounds(query)
        self.effort = Effort()
        self.calibrated = False
        self.offsets = np.cumsum([0] + [layer.units for layer in query.network.layers])
        self.bounded = query.domain.is_bounded
        self.refutable = refutable(query)
        lo, hi = query.domain.outward_floats()
        self.root_width = hi - lo
        self.unit_width = np.where(hi > lo, hi - lo, 1.0)
        varying = int((hi > lo).sum())
        self.by_units = varying > MANY_INPUTS
        phases = query.network.phases
        self.by_inputs = self.bounded and not self.by_units and phases > FEW_PHASES and not walk
        self.small = phases <= WALKED_PHASES
        self.few_cells = self.small and varying <= WALKED_INPUTS
        walk = walk or phases <= FEW_PHASES
        self.few_units = phases if walk else few_units
        self.few_linear = 0 if walk or self.by_units else FEW_UNITS  # open units up to which no relaxation is tried
        self.total_depth = min(varying, 8) * (varying + 3)
        self.batch = 16 if self.by_units else 256  # branches a step

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # infinities guide worse, and prove nothing
    def expand(self, batch: SearchBatch, deadline: float | None = None) -> Expansion:
        """Bound, refute and split the branches of a batch (which is changed in place).

        Raises OutOfTime when ``time.time()`` passes the deadline between two linear programs."""
        branches = batch.branches
        self.effort.boxes += len(branches)
        stated, slopes, functions = self._bound_units(branches)
        rows = RowBounds(self.bounds, branches, slopes, self.refutable) if self.bounded else None
        if rows is not None:
            self.effort.work += (1 + len(ASCENT)) * rows.count * int(self.offsets[-1])
        refutations = rows.refute() if rows is not None else NO_REFUTATIONS
        point = self._attack(branches, rows)
        if point is not None:
            return Expansion(None, None, point)
        leaves: list[ExactLeaf] = []
        undecided = [(branches.lower[j] < 0) & (branches.upper[j] > 0) for j in range(len(slopes))]
        counts = sum((mask.sum(axis=1) for mask in undecided), np.zeros(len(branches), dtype=np.int64))
        for b in np.nonzero(branches.open.any(axis=1) & ((counts == 0) | (not self.bounded)))[0]:
            _look_at_the_clock(deadline)
            answer = self._decide(batch, int(b), leaves)
            if answer is not None:
                return Expansion(None, None, answer)
        on_input, index, at = self._input_cuts(branches, counts, rows, functions)
        errors: dict[int, Relaxed] = {}
        if rows is not None:
            point = self._relax(batch, np.nonzero(~on_input & (counts > self.few_linear))[0], leaves, errors, deadline)
            if point is not None:
                return Expansion(None, None, point)
        left = np.nonzero(branches.open.any(axis=1))[0]
        if not on_input[left].all():
            gap = rows.unit_gaps() if rows is not None else None
            for b in left[~on_input[left]]:
                index[b] = self._unit_to_split(undecided, gap, int(b), errors.get(int(b)))
        on_input, index, at = on_input[left], index[left], np.where(on_input[left], at[left], 0.0)
        block = Block(len(branches), tuple(stated), refutations, tuple(leaves), on_input, index, at)
        remaining = batch.take(left)
        chosen = remaining.chosen
        units = np.nonzero(~on_input)[0]
        chosen[units, index[units]] = True
        children = SearchBatch(split(remaining.branches, on_input, index, at), np.concatenate([chosen, chosen]))
        return Expansion(block, children, None)

    def _bound_units(self, branches: Branches) -> tuple[list[StatedBounds], list[Slopes], list[UnitFunctions | None]]:
        """Tighten the undecided units, layer by layer, to short numbers; returns what a proof states of them."""
        stated: list[StatedBounds] = []
        slopes: list[Slopes] = []
        functions: list[UnitFunctions | None] = []
        for layer in range(len(self.bounds.weight)):
            lower, upper = branches.lower[layer], branches.upper[layer]
            branch, unit = branches.undecided(layer)
            none = np.zeros(len(branch), dtype=bool)
            empty = np.zeros(0, dtype=np.float32)
            statement, function = StatedBounds(none, none, empty, empty), None
            if len(branch) and self.bounded:
                count = len(branch)
                self.effort.work += 2 * count * int(self.offsets[layer])
                found = self.bounds.unit_bounds(branches, layer, np.concatenate([branch, branch]),
                                                np.concatenate([unit, unit]),
                                                np.repeat([1.0, -1.0], count), slopes)
                safe = found.lower - MARGIN * found.error
                low, high = shorten(safe[:count]), -shorten(safe[count:])
                statement = self._state(branches, layer, branch, unit, low, high)
                function = UnitFunctions(branch, unit, found)
            stated.append(statement)
            functions.append(function)
            if not self.calibrated:
                self.bounds.calibrate(branches)
            p, n = default_slopes(lower, upper, self.bounds.slope[layer])
            slopes.append(Slopes(p, n))
        self.calibrated = True
        return stated, slopes, functions

    def _state(self, branches: Branches, layer: int, branch: Indices, unit: Indices, low: FloatArray,
               high: FloatArray) -> StatedBounds:
        """Choose what to state, and use it: of a unit whose sign becomes decided the sign alone."""
        lower, upper = branches.lower[layer], branches.upper[layer]
        old_low, old_high = lower[branch, unit], upper[branch, unit]
        worth = 0.02 * (old_high - old_low)
        finite = np.isfinite(worth)
        worth = np.where(finite, worth, 0.0)
        active, inactive = finite & (low >= 0), finite & (high <= 0)
        low = np.where(active, 0.0, low)
        high = np.where(inactive, 0.0, high)
        say_low = np.isfinite(low) & (active | (~inactive & (~finite | (low > old_low + worth))))
        say_high = np.isfinite(high) & (inactive & ~active | (~active & (~finite | (high < old_high - worth))))
        lower[branch[say_low], unit[say_low]] = low[say_low]
        upper[branch[say_high], unit[say_high]] = high[say_high]
        return StatedBounds(say_low, say_high, low[say_low].astype(np.float32), high[say_high].astype(np.float32))

    def _attack(self, branches: Branches, rows: RowBounds | None) -> Point | None:
        """Try the centres of what is open, and the corners where the refutations came nearest to failing."""
        left = branches.open.any(axis=1)
        if rows is None or not left.any():
            return None
        points = [branches.lo[left] + (branches.hi[left] - branches.lo[left]) / 2]
        if len(rows.branch):
            points.append(np.where(rows.linear >= 0, branches.lo[rows.branch], branches.hi[rows.branch]))
        return promising(self.bounds, np.concatenate(points))

    def _decide(self, batch: SearchBatch, b: int, leaves: list[ExactLeaf]) -> Point | None:
        """Exact linear programs for the open disjuncts of branch ``b``; may find a point."""
        linear = LinearBranch(self.query, batch.branches, b, batch.chosen[b])
        for d in np.nonzero(batch.branches.open[b])[0]:
            self.effort.linear_programs += 1
            self.effort.work += LINEAR_PROGRAM_WORK
            answer = linear.decide(int(d))
            if isinstance(answer, ExactLeaf):
                self.effort.exact_leaves += 1
                leaves.append(answer)
                batch.branches.open[b, d] = False
            elif answer is not None:
                return answer
        return None

    def _relax(self, batch: SearchBatch, numbers: Indices, leaves: list[ExactLeaf],
               errors: dict[int, Relaxed], deadline: float | None) -> Point | None:
        """Triangle relaxations of these branches: leaves that the kernel's test accepts, points, and where the
        relaxation is worst."""
        branches = batch.branches
        for b in numbers:
            _look_at_the_clock(deadline)
            for d in np.nonzero(branches.open[b])[0]:
                self.effort.linear_programs += 1
                self.effort.work += 10 * LINEAR_PROGRAM_WORK
                relaxed = relax(self.bounds, branches, int(b), batch.chosen[b], int(d))
                if relaxed is None:
                    continue
                leaf = next((leaf for leaf in relaxed.leaves if refutes_exactly(self.query, branches, leaf)), None)
                if leaf is not None:
                    self.effort.exact_leaves += 1
                    leaves.append(leaf)
                    branches.open[b, d] = False
                    continue
                point = promising(self.bounds, relaxed.x[None])
                if point is not None:
                    return point
                if relaxed.errors.max() > 0:
                    errors[int(b)] = relaxed
        return None

    def _input_cuts(self, branches: Branches, counts: Indices, rows: RowBounds | None,
                    functions: list[UnitFunctions | None]) -> tuple[Mask, Indices, FloatArray]:
        """For each branch whether it is to be cut along an input, which, and where."""
        count = len(branches)
        if rows is None or self.by_units:
            return np.zeros(count, dtype=bool), np.zeros(count, dtype=np.int64), np.zeros(count)
        width = branches.hi - branches.lo
        middle = branches.lo + width / 2
        splittable = (branches.lo < middle) & (middle < branches.hi)
        score = np.where(splittable, rows.input_scores(functions), -1.0)
        index = score.argmax(axis=1)
        halvings = -np.log2(np.maximum(width, 2.0**-1000) / self.unit_width)
        halvings = np.where(self.root_width > 0, halvings, 0.0)
        thin = (halvings.max(axis=1) >= DEPTH) | (halvings.sum(axis=1) >= self.total_depth)
        best = np.take_along_axis(score, index[:, None], 1)[:, 0]
        on_input = (counts > self.few_units) & ~thin & (best > 0)
        at = np.take_along_axis(middle, index[:, None], 1)[:, 0]
        branch, better, point = rows.half_spaces_left()
        index[branch], at[branch] = better, point
        return on_input, index, at

    def _unit_to_split(self, undecided: list[Mask], gap: list[FloatArray] | None, b: int,
                       relaxed: Relaxed | None) -> int:
        """On unbounded domains the first undecided unit, so that layers fill up; else the one with the largest gap,
        weighed with its error in the linear program where there was one (either alone is many times worse)."""
        mask = np.concatenate([m[b] for m in undecided])
        if gap is None:
            return int(mask.argmax())
        value = np.where(mask, np.concatenate([g[b] for g in gap]), -1.0)
        if relaxed is not None:
            weight = np.zeros(len(value))
            weight[relaxed.units] = np.sqrt(relaxed.errors)
            value = np.where(mask, (np.maximum(value, 0.0) + 1e-12) * weight, -1.0)
        return int(value.argmax())


def _look_at_the_clock(deadline: float | None) -> None:
    if deadline is not None and time.time() > deadline:
        raise OutOfTime


def shorten(values: FloatArray) -> FloatArray:
    """Each value rounded down to a binary32 number of MANTISSA_BITS bits; minus infinity if there is none."""
    mantissa, exponent = np.frexp(values)
    with np.errstate(invalid="ignore", over="ignore"):
        short = np.ldexp(np.floor(mantissa * 2.0**MANTISSA_BITS), exponent - MANTISSA_BITS)
        short = np.where((short > -(2.0**100)) & (short < 2.0**100), short, -np.inf)
    return np.where(np.abs(short) < 2.0**-100, np.where(short < 0, -(2.0**-100), 0.0), short)
