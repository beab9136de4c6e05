"""Certificates of radii: written, and read back by the kernel's checker.

``kernel/CERTIFICATE.md``, section 14, specifies them.  Of a certificate the question, the claim, a point and the
directions are taken, and blocks; what is to be proved is made anew from these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

from verifier.formats.errors import InputError
from verifier.formats.onnx import LoadedNetwork, plain_network
from verifier.formats.vnnlib import Property
from verifier.headers import (
    box_in,
    box_json,
    cut,
    files_of,
    header_of,
    list_in,
    object_in,
    rational_in,
    rationals_in,
    require_same,
    short,
)
from verifier.kernel.certificate import CertificateReader, CertificateWriter, InvalidCertificate
from verifier.kernel.checker import NoPoint, PointIn, Theorem, check_no_point, check_point
from verifier.kernel.network import Network
from verifier.kernel.query import Query
from verifier.kernel.rational import Point, to_text
from verifier.properties.radius import Change, Norm, Radius, changes, conclude, conclude_never, within

if TYPE_CHECKING:
    from verifier.engines.nearest import Proof

Question = Change | Property | Sequence[Query]
"""What happens at the inputs in question."""
FARTHER = "the certificate proves no more"


@dataclass(frozen=True)
class RadiusProof:
    """Nothing is nearer than ``radius`` (None: there is nothing at all), with a proof for each query; None for those
    that have no part there."""

    radius: Fraction | None
    proofs: tuple[Proof | None, ...]


@dataclass(frozen=True)
class ProvedRadius:
    """A radius that a certificate proves; ``change`` is None when a property says what happens there."""

    radius: Radius
    change: Change | None


def write_radius(stream: BinaryIO, network: LoadedNetwork | Network, question: Question, queries: Sequence[Query],
                 found: Radius, proof: RadiusProof, options: dict[str, Any]) -> None:
    """Write the certificate of a radius.  Raises ValueError when nothing is known of it."""
    if not found.says_something:
        raise ValueError("nothing is known that a certificate could prove")
    header = {**header_of("radius", network, question, options), "centre": list(map(to_text, found.center)),
              "norm": found.norm.value, "radius": _claim(found),
              "directions": [[list(map(to_text, g)) for g in (part.directions if part else ())]
                             for part in proof.proofs]}
    if isinstance(question, Change):
        header["change"] = {"label": question.label, "smallest": question.smallest, "box": box_json(question.domain)}
    else:
        header["queries"] = [query.digest for query in queries]
    if found.x is not None:
        header["point"] = {"query": found.query, "x": list(map(to_text, found.inside or found.x))}
        if not found.attained:
            header["point"]["limit"] = list(map(to_text, found.x))
    writer = CertificateWriter(stream, header)
    for part in proof.proofs:
        if part is not None:
            for block in part.blocks:
                writer.block(block)
            writer.end_proof()
    writer.close()


def _claim(found: Radius) -> list[str | None]:
    if found.infinite:
        return [None, None]
    return [to_text(found.lower), None if found.upper is None else to_text(found.upper)]


def check_radius(reader: CertificateReader, network: LoadedNetwork | Network,
                 given: Property | Sequence[Query] | None, *, exact: bool = False,
                 progress: Callable[[int, int], None] | None = None) -> ProvedRadius:
    """Confirm a certificate with the verdict ``radius``.

    Raises InvalidCertificate when it does not prove what it says, InputError when its property is not given.
    """
    header, plain = reader.header, plain_network(network)
    subject = {"network": plain.digest, "files": files_of(network, given)}
    change = None
    if "change" in header:
        if given is not None and not isinstance(given, Property):
            raise InputError("this certificate speaks of a label: no queries are needed")
        require_same(header, subject)
        change = _read_change(object_in(header["change"]), plain)
        queries: tuple[Query, ...] = (changes(plain, change),)
    else:
        if given is None:
            raise InputError("this certificate speaks of a property: name its file after the network's")
        queries = given.queries(plain) if isinstance(given, Property) else tuple(given)
        require_same(header, {**subject, "queries": [query.digest for query in queries]})
    norm, center = _read_norm(header.get("norm")), rationals_in(header.get("centre"))
    if len(center) != plain.inputs:
        raise InvalidCertificate(f"the network has {plain.inputs} inputs, the centre {len(center)} coordinates")
    claim = list_in(header, "radius")
    proofs = _Proofs(reader, exact, progress)
    if claim == [None, None]:
        if "point" in header or any(_directions(header, queries)):
            raise InvalidCertificate("where there are no points, there is none, and no direction to one")
        found = conclude_never(queries, norm, center, [proofs.next(query) for query in queries])
    else:
        found = _check_distance(header, queries, norm, center, rational_in(claim[0] if claim else None), proofs)
    reader.end()
    if claim != _claim(found) or not found.says_something:
        raise InvalidCertificate(f"the certificate claims {short(claim)} but proves {short(_claim(found))}")
    return ProvedRadius(found, change)


@dataclass
class _Proofs:
    """The proofs of a certificate, one after the other."""

    reader: CertificateReader
    exact: bool
    progress: Callable[[int, int], None] | None

    def next(self, query: Query) -> Theorem:
        return check_no_point(NoPoint(query), self.reader.proof(), self.exact, self.progress)


def _check_distance(header: dict[str, Any], queries: Sequence[Query], norm: Norm, center: Point, radius: Fraction,
                    proofs: _Proofs) -> Radius:
    nearer: list[tuple[Sequence[Point], Theorem]] = []
    try:
        for query, directions in zip(queries, _directions(header, queries), strict=True):
            part = within(query, norm, center, radius, directions) if radius > 0 else None
            if part is not None:
                nearer.append((directions, proofs.next(part)))
            elif directions:
                raise ValueError("a direction was stated for a query without a part in the ball")
        point, limit = None, None
        if "point" in header:
            data = object_in(header["point"])
            number = data.get("query")
            if type(number) is not int or not 0 <= number < len(queries):
                raise ValueError(f"the number of a query was required, received {short(number)}")
            point = check_point(PointIn(queries[number], rationals_in(data.get("x"))))
            limit = rationals_in(data["limit"]) if "limit" in data else None
        return conclude(queries, norm, center, radius, nearer, point, limit, FARTHER)
    except ValueError as error:
        raise InvalidCertificate(cut(str(error))) from error


def _directions(header: dict[str, Any], queries: Sequence[Query]) -> Iterator[list[Point]]:
    stated = list_in(header, "directions")
    if len(stated) != len(queries) or not all(isinstance(some, list) for some in stated):
        raise InvalidCertificate("the header needs a list of directions for each query")
    for some in stated:
        yield [rationals_in(g) for g in some]


def _read_change(data: dict[str, Any], network: Network) -> Change:
    label, smallest = data.get("label"), data.get("smallest")
    if type(label) is not int or not 0 <= label < network.outputs or not isinstance(smallest, bool):
        raise InvalidCertificate(f"the number of an output and true or false were required, received {short(label)} "
                                 f"and {short(smallest)}")
    try:
        box = box_in(data)
        if box.dimension != network.inputs:
            raise ValueError("a box has as many coordinates as the network has inputs")
    except ValueError as error:
        raise InvalidCertificate(f"the box of inputs is malformed: {cut(str(error))}") from error
    return Change(label, smallest, box)


def _read_norm(value: object) -> Norm:
    if not isinstance(value, str) or value not in [norm.value for norm in Norm]:
        raise InvalidCertificate(f"a norm inf, 1 or 2 was required, received {short(value)}")
    return Norm(value)
