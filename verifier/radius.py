"""How far an input is from the nearest one on which the decision changes, or a property is violated, in code.

The walk is that of :mod:`verifier.api`: :mod:`verifier.engines.nearest` proposes a point and proofs, the kernel's
checker makes theorems of them, and :mod:`verifier.properties.radius` says what they mean.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from verifier.engines.nearest import Geometry, NearestPoint, NearestSearch, Proof
from verifier.formats.errors import InputError
from verifier.formats.onnx import LoadedNetwork, plain_network
from verifier.formats.vnnlib import Property
from verifier.kernel.branches import Mask
from verifier.kernel.certificate import InvalidCertificate, unpack
from verifier.kernel.checker import NoPoint, PointIn, Theorem, check_no_point, check_point
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import Point
from verifier.properties import radius as theory
from verifier.properties.radius import Norm, Radius, changes
from verifier.time_limits import Late, until

__all__ = ["Norm", "Radius", "robustness_radius"]

ENGINES = ("auto", "branch", "milp")
OUT_OF_TIME = "the time limit was reached"
NOT_ATTAINED = "the nearest inputs satisfy a strict constraint with equality: the distance is not attained"
NOT_ACCEPTED = "the search's proof was not accepted by the check"


def robustness_radius(network: LoadedNetwork | Network, center: Sequence[Fraction | int], *, label: int | None = None,
                      smallest: bool = False, property: Property | Sequence[Query] | None = None,
                      domain: Box | None = None, norm: Norm | str = Norm.MAXIMUM, engine: str = "auto",
                      solver: str = "highs", timeout: float | None = None, seed: int = 0, exact: bool = False,
                      compiled: bool = False, progress: Callable[[str], None] | None = None) -> Radius:
    """The exact distance from ``center`` to the nearest input on which something happens, with that input and proof.

    With ``label``: output ``label`` is not strictly the largest one any more (with ``smallest``: not strictly the
    smallest one), among the inputs of ``domain`` (default: all); a tie counts as a change.  With ``property``: its
    counterexample (a file's, or queries).  In the L2 norm squares are computed.  Where time runs out, or where the
    distance is not attained (strict constraints), the result is an interval.  ``engine`` *milp* asks a mixed-integer
    ``solver`` for near points first (maximum norm and L1); no answer depends on it.  ``exact`` lets the check run on
    integers.  Raises InputError when the arguments do not fit.
    """
    plain = plain_network(network)
    chosen = _norm(norm)
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r} is not available for this question: choose from {', '.join(ENGINES)}")
    if len(center) != plain.inputs:
        raise InputError(f"the network has {plain.inputs} inputs, the centre {len(center)} coordinates")
    queries = _queries(plain, label, smallest, property, domain)
    middle = tuple(map(Fraction, center))
    deadline = None if timeout is None else time.time() + timeout
    geometry = Geometry(middle, lambda query, radius, directions: theory.within(query, chosen, middle, radius,
                                                                                directions),
                        lambda x: theory.distance(chosen, middle, x), chosen.value)
    with _proposer(queries, middle, chosen, engine, solver, deadline) as propose:
        found = NearestSearch(queries, geometry, deadline, {"seed": seed, "compiled": compiled}, propose,
                              progress).run()
    try:
        return _checked(queries, chosen, middle, found, exact, deadline)
    except Late:  # the point is one; that nothing is nearer was not checked
        found = replace(found, radius=Fraction(0), proofs=(), finished=False, never=False)
        return _checked(queries, chosen, middle, found, exact, None)


def _checked(queries: Sequence[Query], norm: Norm, center: Point, found: NearestPoint, exact: bool,
             deadline: float | None) -> Radius:
    """What the checker lets be said of a proposal.  Raises Late."""
    if found.never:
        theorems = [_theorem(query, proof, exact, deadline) for query, proof in zip(queries, found.proofs, strict=True)]
        accepted = [theorem for theorem in theorems if theorem is not None]
        if len(accepted) == len(queries):
            return theory.conclude_never(queries, norm, center, accepted)
        return theory.conclude(queries, norm, center, Fraction(0), (), None, NOT_ACCEPTED)
    point = None
    if found.x is not None:
        point = check_point(PointIn(queries[found.query], found.x))
    reason = OUT_OF_TIME if not found.finished else NOT_ATTAINED
    radius = found.radius
    proved: list[tuple[Sequence[Point], Theorem]] = []
    left = list(found.proofs)
    for query in queries if radius > 0 else ():
        if theory.within(query, norm, center, radius) is None:
            continue
        proof = left.pop(0)
        part = theory.within(query, norm, center, radius, proof.directions)
        theorem = None if part is None else _theorem(part, proof, exact, deadline)
        if theorem is None:
            radius, proved, reason = Fraction(0), [], NOT_ACCEPTED
            break
        proved.append((proof.directions, theorem))
    return theory.conclude(queries, norm, center, radius, proved, point, reason)


def _theorem(query: Query, proof: Proof, exact: bool, deadline: float | None) -> Theorem | None:
    try:
        return check_no_point(NoPoint(query), until(deadline, map(unpack, proof.blocks)), exact)
    except InvalidCertificate:
        return None


def _queries(network: Network, label: int | None, smallest: bool, property: Property | Sequence[Query] | None,
             domain: Box | None) -> tuple[Query, ...]:
    if (label is None) == (property is None):
        raise InputError("either a label or a property is needed")
    if property is None:
        assert label is not None
        if not 0 <= label < network.outputs:
            raise InputError(f"the network has {network.outputs} outputs, Y_0 to Y_{network.outputs - 1}: received "
                             f"label {label}")
        inputs = Box.whole_space(network.inputs) if domain is None else domain
        if inputs.dimension != network.inputs:
            raise InputError(f"the network has {network.inputs} inputs, the box {inputs.dimension} coordinates")
        return (changes(network, inputs, label, smallest),)
    if domain is not None or smallest:
        raise InputError("a box of inputs, or the smallest output, goes with a label: a property states its own inputs")
    queries = property.queries(network) if isinstance(property, Property) else tuple(property)
    if any(query.network.digest != network.digest for query in queries):
        raise InputError("the queries speak of another network than the one given")
    return queries


def _norm(norm: Norm | str) -> Norm:
    try:
        return Norm(norm)
    except ValueError:
        raise InputError(f"a norm is inf, 1 or 2, received {norm!r}") from None


@contextlib.contextmanager
def _proposer(queries: Sequence[Query], center: Point, norm: Norm, engine: str, solver: str, deadline: float | None
              ) -> Iterator[Callable[[int, int, Fraction], list[list[Mask]]] | None]:
    """Where a mixed-integer solver sees near points, in half of the time."""
    if engine != "milp" or norm is Norm.L2:
        yield None
        return
    from verifier.engines.milp import Milp, MilpSolver  # noqa: PLC0415

    half = None if deadline is None else (time.time() + deadline) / 2
    try:
        chosen = MilpSolver(solver)
    except ValueError as error:
        raise InputError(str(error)) from None
    models: dict[Any, Milp] = {}

    def propose(number: int, disjunct: int, radius: Fraction) -> list[list[Mask]]:
        part = theory.within(queries[number], norm, center, radius) if radius > 0 else None
        if part is None or (half is not None and time.time() >= half):
            return []
        model = models.setdefault((number, part.domain), Milp(part.network, part.domain, solve))
        return model.patterns_near(queries[number].disjuncts[disjunct], center, norm is Norm.MAXIMUM, half)

    with chosen as solve:
        yield propose
