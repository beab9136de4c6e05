"""The checker: the only place where a theorem is made.

Rule 1: everything that decides whether a proof is accepted is here or in the kernel files imported here.
Rule 2: a proof only *proposes*; whatever it does not mention stays open, and an open branch is no theorem.

Theory of operation.  The checker keeps a stack of branches whose union, together with the branches already refuted,
covers the query's domain.  It starts with the whole domain and follows the blocks of the proof:

1. take the topmost ``count`` branches;
2. layer by layer, prove the stated bounds on undecided units and use them (slopes: ``bounds.default_slopes``);
3. prove each refutation: a half-space false on all of a branch refutes every conjunction it belongs to, that is its
   disjunct; an exact leaf refutes a disjunct by nonnegative multipliers, in rational arithmetic;
4. a branch all of whose disjuncts are refuted is done; every other one must be split, and its two children, which
   cover it, are pushed (all lower children first, then all upper ones).

The claim is proved when the stack is empty and the proof has ended.  Dropping a leaf, or any other omission, leaves a
branch on the stack.  Both arithmetics run this same machine; they differ in ``prove_units`` and ``prove_rows`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from verifier.kernel.bounds import FloatBounds, Slopes, default_slopes
from verifier.kernel.branches import Branches, Indices, Stack, split
from verifier.kernel.certificate import SLOPE_STEPS, Block, Bytes, ExactLeaf, InvalidCertificate, Refutations
from verifier.kernel.exact_bounds import ExactBounds
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, Matrix, Point, dot, from_integers, to_integers

RIGOROUS = "rigorous floating point"
EXACT = "exact integers"
MOST_BRANCHES = 1 << 16  # of one block, so that a short certificate cannot ask for much memory at once
COMPILE_AFTER = 60  # branches, after which loading the compiled inner loop pays
_KEY = object()


@dataclass(frozen=True)
class NoPoint:
    """The claim that the query has no point."""

    query: Query


@dataclass(frozen=True)
class PointIn:
    """The claim that the query has the point ``x``."""

    query: Query
    x: Point


class Theorem:
    """A claim that a checker has proved: one of this file, or of :mod:`verifier.kernel.partition`.  Nothing else can
    make one.  ``branches`` is the size of the proof, in branches or cells."""

    __slots__ = ("arithmetic", "branches", "claim")
    claim: object
    arithmetic: str
    branches: int

    def __init__(self, claim: object, arithmetic: str, branches: int, key: object) -> None:
        if key is not _KEY:
            raise TypeError("only the checker makes theorems")
        for name, value in (("claim", claim), ("arithmetic", arithmetic), ("branches", branches)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a theorem does not change")

    def __reduce__(self) -> str:
        raise TypeError("only the checker makes theorems, no pickle does")


def check_point(claim: PointIn) -> Theorem:
    """Evaluate the network exactly at the point.  Raises InvalidCertificate when it is no point of the query."""
    if len(claim.x) != claim.query.network.inputs:
        raise InvalidCertificate(f"the witness has {len(claim.x)} coordinates, "
                                 f"the network {claim.query.network.inputs} inputs")
    if claim.query.satisfied_disjunct(claim.x) is None:
        raise InvalidCertificate("the witness does not satisfy the property's constraints exactly")
    return Theorem(claim, EXACT, 0, _KEY)


def check_no_point(claim: NoPoint, proof: Iterable[Block], exact: bool = False,
                   progress: Callable[[int, int], None] | None = None) -> Theorem:
    """Follow the proof; raises InvalidCertificate unless it proves the claim.

    ``exact`` chooses integers instead of rigorous floating point.  ``progress(done, open)`` is told the branches.
    """
    machine = ProofMachine(claim.query, exact)
    try:
        for block in proof:
            machine.step(block)
            if progress is not None:
                progress(machine.branches, len(machine.stack))
    except MemoryError as error:
        raise InvalidCertificate("the proof needs more memory than there is") from error
    if len(machine.stack):
        raise InvalidCertificate(f"the proof ends with {len(machine.stack)} branches open")
    return Theorem(claim, EXACT if exact else RIGOROUS, machine.branches, _KEY)


class ProofMachine:
    """The stack machine of this module's theory.  It makes no theorems."""

    def __init__(self, query: Query, exact: bool) -> None:
        self.query = query
        self.arithmetic: FloatBounds | ExactBounds = ExactBounds(query) if exact else FloatBounds(query)
        self.slopes = [layer.slopes for layer in query.network.layers]
        self.disjunct = np.array([d for d, rows in enumerate(query.disjuncts) for _ in rows], dtype=np.int64)
        self.branches = 0
        self.calibrated = False
        self.stack: Stack[Branches] = Stack([Branches.root(query)] if query.disjuncts else [])

    def step(self, block: Block) -> None:
        """Carry out one block.  Raises InvalidCertificate."""
        if not 0 < block.count <= len(self.stack):
            raise InvalidCertificate(f"a block takes {block.count} branches, {len(self.stack)} are open")
        if block.count > MOST_BRANCHES:
            raise InvalidCertificate(f"a block takes {block.count} branches, at most {MOST_BRANCHES} are allowed")
        if len(block.stated) != len(self.slopes):
            raise InvalidCertificate(f"a block states bounds of {len(block.stated)} layers, "
                                     f"the network has {len(self.slopes)}")
        branches = self.stack.pop(block.count)
        self.branches += block.count
        if isinstance(self.arithmetic, FloatBounds):
            self.arithmetic.compiled |= self.branches > COMPILE_AFTER
        slopes = self._bound(branches, block)
        self._refute(branches, block.refutations, slopes)
        for leaf in block.exact_leaves:
            self._refute_exactly(branches, leaf)
        remaining = np.nonzero(branches.open.any(axis=1))[0]
        if len(remaining) != len(block.index):
            raise InvalidCertificate(f"{len(remaining)} branches stay open after a block, it splits {len(block.index)}")
        if len(remaining):
            try:
                self.stack.push(split(branches.take(remaining), block.on_input, block.index, block.point))
            except ValueError as error:
                raise InvalidCertificate(str(error)) from error

    def _bound(self, branches: Branches, block: Block) -> list[Slopes]:
        """Prove and use the stated bounds; returns the default slopes of all layers."""
        slopes: list[Slopes] = []
        for layer, stated in enumerate(block.stated):
            branch, unit = branches.undecided(layer)
            if not (len(branch) == len(stated.lower_stated) == len(stated.upper_stated)):
                raise InvalidCertificate(f"layer {layer + 1}: bounds of {len(stated.lower_stated)} units are stated, "
                                         f"{len(branch)} are undecided")
            for mask, values, sign, bounds in ((stated.lower_stated, stated.lower, 1.0, branches.lower[layer]),
                                               (stated.upper_stated, stated.upper, -1.0, branches.upper[layer])):
                numbers = values.astype(np.float64)
                if len(numbers) != int(mask.sum()) or not np.isfinite(numbers).all():
                    raise InvalidCertificate(f"layer {layer + 1}: the stated bounds do not fit their mask")
                if len(numbers):
                    b, i = branch[mask], unit[mask]
                    signs = np.full(len(b), sign)
                    if not self.arithmetic.prove_units(branches, layer, b, i, signs, sign * numbers, slopes).all():
                        raise InvalidCertificate(f"layer {layer + 1}: a stated bound is not provable")
                    tighter = sign * numbers > sign * bounds[b, i]
                    bounds[b[tighter], i[tighter]] = numbers[tighter]
            if not self.calibrated:
                self.arithmetic.calibrate(branches)
            p, n = default_slopes(branches.lower[layer], branches.upper[layer], self.slopes[layer])
            slopes.append(Slopes(p, n))
        self.calibrated = True
        return slopes

    def _refute(self, branches: Branches, refutations: Refutations, slopes: list[Slopes]) -> None:
        branch, row = refutations.branch, refutations.row
        if len(branch) != len(row) or (branch >= len(branches)).any() or (row >= len(self.disjunct)).any():
            raise InvalidCertificate("a refutation names a branch or half-space that does not exist")
        if len(branch) > branches.open.size:
            raise InvalidCertificate(f"{len(branch)} refutations of {branches.open.size} disjuncts")
        if len(branch) == 0:
            if len(refutations.slopes):
                raise InvalidCertificate("slopes without a refutation")
            return
        chosen = refutation_slopes(branches, branch, refutations.slopes, slopes, self.slopes)
        if not self.arithmetic.prove_rows(branches, row, branch, chosen).all():
            raise InvalidCertificate("a refutation is not provable")
        branches.open[branch, self.disjunct[row]] = False

    def _refute_exactly(self, branches: Branches, leaf: ExactLeaf) -> None:
        if leaf.branch >= len(branches) or leaf.disjunct >= len(self.query.disjuncts):
            raise InvalidCertificate("an exact leaf names a branch or disjunct that does not exist")
        if not refutes_exactly(self.query, branches, leaf):
            raise InvalidCertificate("an exact leaf does not refute its disjunct")
        branches.open[leaf.branch, leaf.disjunct] = False


def refutation_slopes(branches: Branches, branch: Indices, steps: Bytes, slopes: list[Slopes],
                      negative_slopes: Sequence[FloatArray]) -> list[Slopes]:
    """The slopes of refutations: the defaults, except on undecided units, where the piece's multiplier is
    ``s + (1 - s) * step / SLOPE_STEPS``.  Raises InvalidCertificate unless there is one step for each such unit."""
    undecided = [((branches.lower[j] < 0) & (branches.upper[j] > 0))[branch] for j in range(len(slopes))]
    every = np.concatenate(undecided, axis=1)
    if int(every.sum()) != len(steps):
        raise InvalidCertificate(f"{len(steps)} slopes for {int(every.sum())} undecided units")
    table = np.zeros(every.shape)
    table[every] = steps
    result, start = [], 0
    for j, default in enumerate(slopes):
        s = negative_slopes[j]
        piece = s + (1 - s) * (table[:, start:start + len(s)] / SLOPE_STEPS)
        start += len(s)
        concave = s > 1
        p = np.where(undecided[j] & ~concave, piece, default.p[branch])
        if concave.any():
            n = np.where(undecided[j] & concave, piece, default.n[branch])
            result.append(Slopes(p, n, own_p=True, own_n=True))
        else:
            result.append(Slopes(p, default.n, own_p=True))
    return result


def refutes_exactly(query: Query, branches: Branches, leaf: ExactLeaf) -> bool:
    """Whether the leaf's multipliers prove, in rational arithmetic, that its disjunct is false on its branch.

    Theorem (Farkas and Motzkin through the layers).  Let ``f`` be the nonnegative combination of the disjunct's rows
    ``normal . (x, N(x)) - offset``.  Going backwards, ``c . act(z) >= d . z + m`` with ``d_i = c_i - v_i`` on a unit
    with ``z_i >= 0``, ``d_i = s_i c_i + v_i`` on one with ``z_i <= 0`` (``v_i >= 0`` the unit's multiplier) and, on an
    undecided unit, ``d_i = v_i`` of any sign and ``m_i = min c_i act(t) - d_i t`` over its bounds.  (All choices of
    ``d`` together are the dual of the triangle relaxation.)  If the minimum of the resulting linear
    function over the domain and the branch's box is positive, or zero with a positive multiplier on a strict row, no
    point of the branch satisfies the disjunct.
    """
    disjunct = query.disjuncts[leaf.disjunct]
    multipliers = dict(leaf.units)
    if len(leaf.rows) != len(disjunct) or min(leaf.rows, default=0) < 0 or len(multipliers) != len(leaf.units):
        return False
    inputs = query.network.inputs
    combined = [dot(leaf.rows, column) for column in zip(*(h.normal for h in disjunct), strict=True)]
    if not disjunct:
        combined = [Fraction(0)] * (inputs + query.network.outputs)
    constant = -dot(leaf.rows, [h.offset for h in disjunct])
    c: Sequence[Fraction] = combined[inputs:]
    first = sum(layer.units for layer in query.network.layers)
    for j in range(len(query.network.layers) - 1, -1, -1):
        layer = query.network.layers[j]
        first -= layer.units
        d = []
        for i, (value, (slope,)) in enumerate(zip(c, layer.slope.rows(), strict=True)):
            low, high = branches.lower[j][leaf.branch, i], branches.upper[j][leaf.branch, i]
            multiplier = multipliers.pop(first + i, Fraction(0))
            if slope == 1:
                d.append(value)
                if multiplier:
                    return False
            elif low >= 0 or high <= 0:
                if multiplier < 0:
                    return False
                d.append(value - multiplier if low >= 0 else slope * value + multiplier)
            else:
                least = _least(value * slope - multiplier, value - multiplier, float(low), float(high))
                if least is None:
                    return False
                constant += least
                d.append(multiplier)
        constant += _combine(d, layer.bias)[0]
        c = _combine(d, layer.weight)
    if multipliers:
        return False
    for k in range(inputs):
        objective = c[k] + combined[k]
        if objective == 0:
            continue
        bound = _extreme(query, branches, leaf.branch, k, lower=objective > 0)
        if bound is None:
            return False
        constant += objective * bound
    strict = any(h.strict and v > 0 for h, v in zip(disjunct, leaf.rows, strict=True))
    return constant > 0 or (strict and constant == 0)


def _least(left: Fraction, right: Fraction, low: float, high: float) -> Fraction | None:
    """The minimum over ``low <= t <= high``, with ``low < 0 < high``, of ``left t`` for t < 0 and ``right t`` for
    t >= 0; None when there is none."""
    values = [Fraction(0)]
    for end, factor in ((low, left), (high, right)):
        if math.isinf(end):
            if factor * (1 if end > 0 else -1) < 0:
                return None
        else:
            values.append(factor * Fraction(end))
    return min(values)


def _extreme(query: Query, branches: Branches, branch: int, k: int, lower: bool) -> Fraction | None:
    """The exact lower (or upper) end of input ``k`` on the branch: domain and box together; None when infinite."""
    exact = (query.domain.lower if lower else query.domain.upper)[k]
    own = float((branches.lo if lower else branches.hi)[branch, k])
    ends = [exact] if exact is not None else []
    if math.isfinite(own):
        ends.append(Fraction(own))
    if not ends:
        return None
    return max(ends) if lower else min(ends)


def _combine(d: Sequence[Fraction], matrix: Matrix) -> Point:
    """``d`` times the matrix."""
    (column, own), (entries, denominator) = to_integers(d), matrix.integers()
    return from_integers(column.transpose() * entries, own * denominator)
