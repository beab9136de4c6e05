"""Questions about inputs, in code: which ones lead into a set of outputs, and which ones violate a property.

The answer is a union of polyhedra in input space: on every cell the network is affine, so its part of the answer is the
cell and the half-spaces pulled back.

*Strict half-spaces.*  What is returned is the closure of the set asked for.  On a cell, where the strict half-spaces
have a solution together with the weak ones, the closure of all solutions is what the weak forms of all of them
describe; where they have none, there is no part.  Both is decided exactly.  So a property with ``<`` that holds has no
parts, however many inputs meet the threshold, and volumes do not feel the difference.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby

from verifier.engines.executor import MapExecutor
from verifier.formats.domains import input_rows, inputs_of
from verifier.formats.errors import InputError
from verifier.formats.onnx import LoadedNetwork, plain_network
from verifier.formats.vnnlib import Property
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.share import share
from verifier.geometry.simplify import without_contained
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.sets import Domain, pieces_of
from verifier.time_limits import Interrupted

__all__ = ["InputSet", "counterexamples", "preimage"]


@dataclass(frozen=True)
class InputSet:
    """Inputs with something in common, closed.

    Part i of ``union`` lies in one cell of one query: ``sources[i]`` is the query's number and the cell's pattern, one
    byte for each unit (1 active).  ``cells`` were looked at.  When not ``finished``, time ran out, and parts may be
    missing.
    """

    union: UnionOfPolyhedra
    sources: tuple[tuple[int, bytes], ...]
    cells: int
    finished: bool
    domain: tuple[Polyhedron, ...] = field(repr=False)

    @property
    def ambient_dimension(self) -> int:
        """The number of inputs."""
        return self.union.ambient_dimension

    @property
    def dimensions(self) -> Counter[int]:
        """How many parts have which dimension."""
        return self.union.dimensions

    @property
    def bounding_box(self) -> Box | None:
        """The smallest box that contains the set, None for the empty set."""
        return None if self.union.is_empty() else self.union.bounding_box()

    def share(self, timeout: float | None = None) -> Fraction | None:
        """The exact part of the domain's volume (in its affine hull), None when the time in seconds was too short.

        Raises ValueError for domains that are empty, unbounded or of more than five dimensions.
        """
        deadline = None if timeout is None else time.time() + timeout
        numbered = zip(self.sources, self.union.parts, strict=True)
        groups = [[part for _, part in group] for _, group in groupby(numbered, lambda pair: pair[0])]
        return share(groups, self.domain, len(self.domain) == 1 or len({query for query, _ in self.sources}) < 2,
                     lambda: deadline is not None and time.time() >= deadline)


def counterexamples(network: LoadedNetwork | Network, property: Property | Sequence[Query], *,
                    timeout: float | None = None, executor: MapExecutor | None = None,
                    progress: Callable[[int], None] | None = None) -> InputSet:
    """All inputs that violate the property, exactly; see the module for strict half-spaces.

    ``timeout`` is wall time in seconds.  ``executor`` may run parts of the work elsewhere; the result does not depend
    on it.  ``progress`` is told the number of cells now and then.  Raises InputError when network and property do not
    fit; an interrupt raises :class:`~verifier.time_limits.Interrupted` with the part of the set that was found.
    """
    plain = plain_network(network)
    queries = property.queries(plain) if isinstance(property, Property) else tuple(property)
    if any(query.network.digest != plain.digest for query in queries):
        raise InputError("the queries speak of another network than the one given")
    return _inputs(plain.inputs, queries, inputs_of(queries), timeout, executor, progress)


def preimage(network: LoadedNetwork | Network, domain: Domain, target: Polyhedron | UnionOfPolyhedra, *,
             layers: int | None = None, timeout: float | None = None, executor: MapExecutor | None = None,
             progress: Callable[[int], None] | None = None) -> InputSet:
    """All inputs of the domain whose outputs (of the first ``layers`` layers, default: all) lie in ``target``, exactly.

    Options as of :func:`counterexamples`.  Raises InputError when network, domain, layers and target do not fit.
    """
    whole = plain_network(network)
    if layers is not None and not 1 <= layers <= len(whole.layers):
        raise InputError(f"a layer from 1 to {len(whole.layers)} was required, received {layers}")
    plain = Network(whole.layers[:layers])
    parts = target.parts if isinstance(target, UnionOfPolyhedra) else (target,)
    if target.ambient_dimension != plain.outputs:
        raise InputError(f"a set of dimension {plain.outputs}, as the outputs have, was required, received one of "
                         f"dimension {target.ambient_dimension}")
    zeros = (Fraction(0),) * plain.inputs
    disjuncts = [tuple(HalfSpace(zeros + h.normal, h.offset) for h in _rows(part)) for part in parts]
    pieces = pieces_of(whole, domain)
    on_inputs = [tuple(HalfSpace(h.normal + (Fraction(0),) * plain.outputs, h.offset) for h in input_rows(piece))
                 for piece in pieces]
    queries = [Query(plain, piece.domain, tuple(rows + disjunct for disjunct in disjuncts))
               for piece, rows in zip(pieces, on_inputs, strict=True)]
    domains = [Query(plain, piece.domain, (rows,)) for piece, rows in zip(pieces, on_inputs, strict=True)]
    return _inputs(plain.inputs, queries, domains, timeout, executor, progress)


def _rows(part: Polyhedron) -> list[HalfSpace]:
    equations = part.equations()
    return [*part.facets(), *equations,
            *(HalfSpace(tuple(-v for v in h.normal), -h.offset) for h in equations)]


def _inputs(dimension: int, queries: Sequence[Query], domains: Sequence[Query], timeout: float | None,
            executor: MapExecutor | None, progress: Callable[[int], None] | None) -> InputSet:
    from verifier.engines.cell_points import Part, PartsOf  # noqa: PLC0415
    from verifier.engines.cell_units import Harvest  # noqa: PLC0415
    from verifier.engines.propagate import Region  # noqa: PLC0415

    deadline = None if timeout is None else time.time() + timeout
    parts: list[Polyhedron] = []
    sources: list[tuple[int, bytes]] = []
    cells, finished, interrupted = 0, True, False
    try:
        for number, query in enumerate(queries):
            harvest = Harvest(Region(query.network, query.domain), PartsOf(query), "auto", deadline, executor, progress)
            part: Part
            for part in harvest:
                parts.append(part.region)
                sources.append((number, part.signs))
            cells += harvest.cells
            finished = finished and harvest.finished
    except KeyboardInterrupt:
        del parts[len(sources):]
        finished, interrupted = False, True
    pieces = tuple(Polyhedron.from_box(piece.domain).intersection(
        Polyhedron.from_half_spaces(dimension, input_rows(piece))) for piece in domains)
    largest = max((piece.dimension for piece in pieces), default=0)
    # what lies in a face of cells is found in each of them
    kept = without_contained(parts, lambda: interrupted or (deadline is not None and time.time() >= deadline), largest)
    found = InputSet(UnionOfPolyhedra(dimension, tuple(parts[i] for i in kept)), tuple(sources[i] for i in kept), cells,
                     finished, pieces)
    if interrupted:
        raise Interrupted(found)
    return found
