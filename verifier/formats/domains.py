"""Where the inputs of a question come from: a box that is typed, or the input constraints of a property.

A domain is given as queries whose points it is: their union.  A property states a counterexample; its domain is the
union, over its boxes and disjuncts, of the inputs that satisfy those constraints which speak of inputs alone.  All
others are left out.  Domains are closed: a strict constraint on the inputs is read as ``<=``.
"""

from __future__ import annotations

from collections.abc import Iterable

from verifier.formats.errors import InputError
from verifier.formats.numbers import parse_number
from verifier.formats.vnnlib import Property
from verifier.formats.witness import counted
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query

_LEAST, _MOST = {"", "-inf"}, {"", "inf", "+inf"}


def parse_box(text: str, inputs: int) -> Box:
    """``LO:HI`` for all inputs, or one such pair for each, with commas between them.

    Bounds are decimals or ``p/q``; a side that is empty or infinite (``-inf:1``) has no bound.  Raises InputError.
    """
    pairs = text.split(",")
    if len(pairs) not in (1, inputs):
        raise InputError(f"--box: one pair LO:HI or {inputs}, one for each input, were required, "
                         f"received {len(pairs)}")
    lower, upper = [], []
    for pair in pairs:
        low, colon, high = (part.strip() for part in pair.partition(":"))
        if not colon:
            raise InputError(f"--box: a pair LO:HI was required, received {pair!r}")
        try:
            lower.append(None if low in _LEAST else parse_number(low))
            upper.append(None if high in _MOST else parse_number(high))
        except InputError as error:
            raise InputError(f"--box: {error}") from None
    repeat = inputs if len(pairs) == 1 else 1
    try:
        return Box(tuple(lower * repeat), tuple(upper * repeat))
    except ValueError as error:
        raise InputError(f"--box: {error}") from None


def whole_box(network: Network, box: Box) -> Query:
    """The query whose points are those of the box.  Raises InputError when the network has other inputs."""
    if box.dimension != network.inputs:
        raise InputError(f"the network has {counted(network.inputs, 'input')}, the box "
                         f"{counted(box.dimension, 'coordinate')}")
    return Query(network, box, ((),))


def domain_of(prop: Property, network: Network) -> tuple[Query, ...]:
    """The domain of a property, as in the theory above, without repetitions.

    Raises InputError when the property does not fit the network, or contradicts itself, so that no domain is left.
    """
    if prop.contradictory:
        raise InputError(f"{prop.path}: constraints that can be satisfied were required, because the domain is read "
                         "from them: these contradict each other")
    return inputs_of(prop.queries(network))


def inputs_of(queries: Iterable[Query]) -> tuple[Query, ...]:
    """The inputs that queries speak of: their boxes, with the half-spaces of each disjunct that are on inputs alone,
    closed; without repetitions."""
    found: dict[str, Query] = {}
    for query in queries:
        n, network = query.network.inputs, query.network
        for disjunct in query.disjuncts:
            rows = tuple(HalfSpace(h.normal, h.offset) for h in disjunct
                         if not any(h.normal[n:]) and not _implied_by_box(h, query.domain))
            piece = Query(network, query.domain, (rows,))
            found.setdefault(piece.digest, piece)
    return tuple(found.values())


def _implied_by_box(half_space: HalfSpace, box: Box) -> bool:
    """Strict bounds of one input are half-spaces beside the box that closes them."""
    opposite = box.minimum([-c for c in half_space.normal[:box.dimension]])
    return opposite is not None and opposite >= -half_space.offset


def input_rows(domain: Query) -> tuple[HalfSpace, ...]:
    """The half-spaces of a domain's only disjunct, over the inputs alone."""
    (rows,) = domain.disjuncts
    n = domain.network.inputs
    if any(any(row.normal[n:]) for row in rows):
        raise InputError("the constraints of a domain are on the inputs alone, received one with outputs")
    return tuple(HalfSpace(row.normal[:n], row.offset, row.strict) for row in rows)
