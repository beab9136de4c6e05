r"""Range: the least and the greatest value of ``objective(x) = c . (x, N(x)) + c_0`` over a domain.

The domain D is the union of the points of queries D_1, ..., D_k, each with one disjunct of weak half-spaces.

Theorem (attained).  Let x be a point of some D_i.  Let it be proved for each D_j that it has no point, or that the
query "D_j and objective > u_j" has none, for some ``u_j <= objective(x)``.  Then ``objective(x)`` is the maximum.
Proof: a point of D lies in some D_j; its objective is at most ``u_j <= objective(x)``, and x is in D.

Theorem (ray).  Let x be a point of D_i, and let d be in the recession cone of D_i (no bound of the box and no
half-space is violated by moving along d).  Let, layer by layer, the pre-activations z at x and their derivatives z'
along d satisfy for every unit with a kink: ``z, z' >= 0``, or ``z, z' <= 0``.  Then no unit changes its side on
``x + t d, t >= 0``, N is affine there, and if the derivative of the objective is positive, there is no maximum: the
objective is unbounded.  All of this is evaluated here, in rational arithmetic.

Theorem (empty).  If every D_j is proved to have no point, there are no values.

The minimum is the maximum of ``-objective``, with its sign changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

from verifier.kernel.checker import NoPoint, PointIn, Theorem
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Point, dot


class Kind(Enum):
    """What is known of one end of a range."""

    ATTAINED = "attained"
    UNBOUNDED = "unbounded"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Extremum:
    """One end of a range.

    *attained*: the optimum ``value``, at the input ``x`` with the outputs ``y``.  *unbounded*: from ``x`` along ``ray``
    the objective moves beyond every number.  *unknown*: ``value`` at ``x`` is the best that was found, if anything was.
    ``reason`` says why it is unknown, ``arithmetic`` names what the check ran on, ``boxes`` is the size of the proof.
    """

    kind: Kind
    value: Fraction | None = None
    x: Point | None = None
    y: Point | None = None
    ray: Point | None = None
    arithmetic: str = ""
    boxes: int = 0
    reason: str = ""

    def negated(self) -> Extremum:
        """The same end of the range of ``-objective``."""
        return replace(self, value=None if self.value is None else -self.value)


@dataclass(frozen=True)
class Range:
    """The range of an objective, given by its text."""

    objective: str
    minimum: Extremum
    maximum: Extremum

    @property
    def is_decided(self) -> bool:
        """Whether both ends are known."""
        return Kind.UNKNOWN not in (self.minimum.kind, self.maximum.kind)


def better_than(domain: Query, objective: Point, value: Fraction) -> Query:
    """The query "in the domain, and ``objective . (x, N(x)) > value``"."""
    (rows,) = domain.disjuncts
    strict = HalfSpace(tuple(-c for c in objective), -value, strict=True)
    return Query(domain.network, domain.domain, ((*rows, strict),))


def conclude_attained(domains: Sequence[Query], objective: Point, constant: Fraction, point: Theorem,
                      bounds: Sequence[tuple[Fraction | None, Theorem]]) -> Extremum:
    """The maximum by the theorem (attained): ``point`` is a point of one of ``domains``; for each domain, in order,
    ``bounds`` has ``u`` (without the constant) and the theorem that nothing is better, or None and that it is empty.

    Raises ValueError when the theorems do not say that.
    """
    claim = point.claim
    if not isinstance(claim, PointIn) or claim.query.digest not in {domain.digest for domain in domains}:
        raise ValueError("a maximum needs a point of the domain that attains it")
    y = domains[0].network.evaluate(claim.x)
    value = dot(objective, claim.x + y)
    for domain, (bound, theorem) in zip(domains, bounds, strict=True):
        if bound is not None and bound > value:
            raise ValueError("a maximum needs bounds that do not exceed it")
        _require_no_point(theorem, domain if bound is None else better_than(domain, objective, bound))
    return Extremum(Kind.ATTAINED, value + constant, claim.x, y, None, bounds[0][1].arithmetic,
                    sum(theorem.branches for _, theorem in bounds))


def conclude_empty(domains: Sequence[Query], theorems: Sequence[Theorem]) -> Extremum:
    """The theorem (empty).  Raises ValueError when the theorems do not say that."""
    for domain, theorem in zip(domains, theorems, strict=True):
        _require_no_point(theorem, domain)
    return Extremum(Kind.EMPTY, arithmetic=theorems[0].arithmetic, boxes=sum(t.branches for t in theorems))


def conclude_unbounded(domain: Query, objective: Point, x: Point, ray: Point) -> Extremum:
    """The theorem (ray), by evaluation.  Raises ValueError when it does not apply."""
    if domain.satisfied_disjunct(x) is None:
        raise ValueError("a ray starts at a point of the domain")
    n = domain.network.inputs
    (rows,) = domain.disjuncts
    leaves = any((lo is not None and d < 0) or (hi is not None and d > 0)
                 for lo, hi, d in zip(domain.domain.lower, domain.domain.upper, ray, strict=True))
    if leaves or any(any(row.normal[n:]) or dot(row.normal[:n], ray) > 0 for row in rows):
        raise ValueError("a ray stays in the domain")
    derivative = derivative_along(domain.network, x, ray)
    if derivative is None:
        raise ValueError("the network is not affine along the ray")
    if dot(objective, ray + derivative) <= 0:
        raise ValueError("the objective does not grow along the ray")
    return Extremum(Kind.UNBOUNDED, None, x, domain.network.evaluate(x), ray, "exact integers")


def derivative_along(network: Network, x: Point, ray: Point) -> Point | None:
    """``N(x + t ray) = N(x) + t derivative`` for all ``t >= 0``; None where the theorem (ray) does not show that."""
    moving = ray
    for layer, pre_activations in zip(network.layers, network.pre_activations(x), strict=True):
        after = []
        for z, row, (slope,) in zip(pre_activations, layer.weight.rows(), layer.slope.rows(), strict=True):
            change = dot(row, moving)
            if slope == 1 or (z >= 0 and change >= 0):
                after.append(change)
            elif z <= 0 and change <= 0:
                after.append(slope * change)
            else:
                return None
        moving = tuple(after)
    return moving


def _require_no_point(theorem: Theorem, query: Query) -> None:
    if not isinstance(theorem.claim, NoPoint) or theorem.claim.query.digest != query.digest:
        raise ValueError("the theorem does not speak of this domain")
