"""How far an input is from the nearest one on which the decision changes, or a property is violated, in code.

The walk is that of :mod:`verifier.api`: :mod:`verifier.engines.nearest` proposes a point and proofs, the kernel's
checker makes theorems of them, and :mod:`verifier.properties.radius` says what they mean.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, BinaryIO

from verifier.engines.nearest import Best, Geometry, NearestSearch, Nothing, Proof
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
from verifier.properties.radius import Change, Norm, Radius, changes
from verifier.radius_certificates import Question, RadiusProof, write_radius
from verifier.time_limits import Interrupted, Late, until

__all__ = ["Norm", "Radius", "robustness_radius"]

ENGINES = ("auto", "branch", "milp")
OUT_OF_TIME = "the time limit was reached"
INTERRUPTED = "the work was interrupted"
NOT_ACCEPTED = "the search's proof was not accepted by the check"


def robustness_radius(network: LoadedNetwork | Network, center: Sequence[Fraction | int], *, label: int | None = None,
                      smallest: bool = False, property: Property | Sequence[Query] | None = None,
                      domain: Box | None = None, norm: Norm | str = Norm.MAXIMUM, engine: str = "auto",
                      solver: str = "highs", timeout: float | None = None, seed: int = 0, exact: bool = False,
                      compiled: bool = False, progress: Callable[[str], None] | None = None,
                      certificate: BinaryIO | None = None) -> Radius:
    """The exact distance from ``center`` to the nearest input on which something happens, with that input and proof.

    With ``label``: output ``label`` is not strictly the largest one any more (with ``smallest``: not strictly the
    smallest one), among the inputs of ``domain`` (default: all); a tie counts as a change.  With ``property``: its
    counterexample (a file's, or queries).  In the L2 norm squares are computed.  Where strict constraints exclude the
    nearest input itself, it is the limit of those that they do not exclude.  Where time runs out, the result is an
    interval.  ``engine`` *milp* asks a mixed-integer ``solver`` for near points first (maximum norm and L1); no answer
    depends on it.  ``exact`` lets the check run on integers.  ``certificate`` receives the proof, also of an interval
    if anything is known (see :attr:`Radius.says_something`).  Raises InputError when the arguments do not fit; an
    interrupt raises :class:`~verifier.time_limits.Interrupted` with the interval known.
    """
    plain = plain_network(network)
    chosen = _norm(norm)
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r} is not available for this question: choose from {', '.join(ENGINES)}")
    if len(center) != plain.inputs:
        raise InputError(f"the network has {plain.inputs} inputs, the centre {len(center)} coordinates")
    question = _question(plain, label, smallest, property, domain)
    queries = _queries(plain, question)
    middle = tuple(map(Fraction, center))
    deadline = None if timeout is None else time.time() + timeout
    geometry = Geometry(middle, lambda query, radius, directions: theory.within(query, chosen, middle, radius,
                                                                                directions),
                        lambda x: theory.distance(chosen, middle, x), chosen.value)
    known = _Known(queries, chosen, middle, exact, deadline, RadiusProof(Fraction(0), (None,) * len(queries)))
    with _proposer(queries, middle, chosen, engine, solver, deadline) as propose:
        search = NearestSearch(queries, geometry, known.confirm, deadline, {"seed": seed, "compiled": compiled},
                               propose, progress)
        try:
            best = search.run()
        except KeyboardInterrupt:
            known.reason = INTERRUPTED
            raise Interrupted(known.conclude(search.best)) from None
    found = known.conclude(best)
    if certificate is not None and found.says_something:
        write_radius(certificate, network, question, queries, found, known.proof,
                     {"engine": engine, "seed": seed})
    return found


@dataclass
class _Known:
    """The best lower bound that the checker has confirmed, with its proof."""

    queries: Sequence[Query]
    norm: Norm
    center: Point
    exact: bool
    deadline: float | None
    proof: RadiusProof
    theorems: list[tuple[Sequence[Point], Theorem]] = field(default_factory=list)
    reason: str = OUT_OF_TIME

    def confirm(self, nothing: Nothing) -> None:
        """Let the checker look at proofs; what it does not accept in time changes nothing."""
        left = list(nothing.proofs)
        proved: list[tuple[Sequence[Point], Theorem]] = []
        kept: list[Proof | None] = []
        try:
            for query in self.queries:
                part: Query | None = query
                if nothing.radius is not None:
                    part = theory.within(query, self.norm, self.center, nothing.radius)
                if part is None:
                    kept.append(None)
                    continue
                proof = left.pop(0)
                if nothing.radius is not None:
                    part = theory.within(query, self.norm, self.center, nothing.radius, proof.directions)
                    assert part is not None, "directions change no box"
                blocks = until(self.deadline, map(unpack, proof.blocks))
                proved.append((proof.directions, check_no_point(NoPoint(part), blocks, self.exact)))
                kept.append(proof)
        except Late:
            self.reason = OUT_OF_TIME
        except InvalidCertificate:
            self.reason = NOT_ACCEPTED
        else:
            self.proof, self.theorems = RadiusProof(nothing.radius, tuple(kept)), proved

    def conclude(self, best: Best | None) -> Radius:
        """What that lets be said; the point of the best is evaluated by the checker, too."""
        if self.proof.radius is None:
            return theory.conclude_never(self.queries, self.norm, self.center, [t for _, t in self.theorems])
        point, limit = None, None
        if best is not None:
            point, limit = check_point(PointIn(self.queries[best.query], best.x)), best.limit
        return theory.conclude(self.queries, self.norm, self.center, self.proof.radius, self.theorems, point, limit,
                               self.reason)


def _question(network: Network, label: int | None, smallest: bool, property: Property | Sequence[Query] | None,
              domain: Box | None) -> Question:
    if property is not None:
        if label is not None:
            raise InputError("either a label or a property is needed")
        if domain is not None or smallest:
            raise InputError("a box of inputs, or the smallest output, goes with a label: a property states its own "
                             "inputs")
        return property
    if label is None:
        raise InputError("either a label or a property is needed")
    if not 0 <= label < network.outputs:
        raise InputError(f"the network has {network.outputs} outputs, Y_0 to Y_{network.outputs - 1}: received "
                         f"label {label}")
    inputs = Box.whole_space(network.inputs) if domain is None else domain
    if inputs.dimension != network.inputs:
        raise InputError(f"the network has {network.inputs} inputs, the box {inputs.dimension} coordinates")
    return Change(label, smallest, inputs)


def _queries(network: Network, question: Question) -> tuple[Query, ...]:
    if isinstance(question, Change):
        return (changes(network, question),)
    queries = question.queries(network) if isinstance(question, Property) else tuple(question)
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
        try:
            model = models.setdefault((number, part.domain), Milp(part.network, part.domain, solve))
            return model.patterns_near(queries[number].disjuncts[disjunct], center, norm is Norm.MAXIMUM, half)
        except OverflowError:  # the model is one of floats
            return []

    with chosen as solve:
        yield propose
