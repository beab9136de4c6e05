"""Certificates of partitions and of ranges: written, and read back by the kernel's checkers.

``kernel/CERTIFICATE.md``, sections 9 and 13, specifies them.  Those of safety verdicts are in :mod:`verifier.api`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from verifier.engines.subtrees import search
from verifier.formats.domains import domain_of, input_rows
from verifier.formats.errors import InputError
from verifier.formats.expression import LinearExpression, parse_expression
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
from verifier.kernel.certificate import CertificateReader, CertificateWriter, InvalidCertificate, decompress, unpack
from verifier.kernel.checker import NoPoint, PointIn, Theorem, check_no_point, check_point
from verifier.kernel.domain import Ball, Domain, Polytope
from verifier.kernel.network import Network
from verifier.kernel.partition import check_cells
from verifier.kernel.polyhedron import HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import to_text
from verifier.properties.cells import Counted, ProvedCells, conclude_cells, query_of
from verifier.properties.output_range import (
    Extremum,
    Kind,
    Range,
    better_than,
    conclude_attained,
    conclude_empty,
    conclude_unbounded,
)
from verifier.time_limits import Late, in_time, until

if TYPE_CHECKING:
    from verifier.engines.propagate import Cell, Region
    from verifier.engines.region_walk import RegionWalk

LONGEST_OBJECTIVE = 100_000  # characters; the time that it takes to read one grows faster than its length
Told = Callable[[int, int], None]
"""Is told what is done and what is open."""


@dataclass(frozen=True)
class ProvedRanges:
    """Ranges that a certificate proves, over the union of the pieces."""

    ranges: tuple[Range, ...]
    pieces: tuple[Domain, ...]


@dataclass(frozen=True)
class PieceProof:
    """A piece of a domain, the compressed frames of what is proved of it, and that as a theorem: about its cells, or
    that it has no point."""

    domain: Domain
    frames: tuple[bytes, ...]
    theorem: Theorem


@dataclass(frozen=True)
class EndProof:
    """One end of a range with its proofs: for each piece a bound that nothing exceeds, or None where the piece is
    empty, and the compressed blocks; ``piece`` is the number of the one in which the end's point lies."""

    end: Extremum
    piece: int = 0
    proofs: tuple[tuple[Fraction | None, tuple[bytes, ...]], ...] = ()


# --- writing ---------------------------------------------------------------------------------------------------------


def partition_proof(region: Region, cells: Sequence[Cell], *, joins: bool = False, complete: bool = True,
                    deadline: float | None = None) -> PieceProof:
    """The proof that these are cells of the region, all if ``complete``; ``joins`` if linear regions are asked for.

    Raises ValueError when they are not, Late when ``time.time()`` passes the deadline.
    """
    from verifier.engines.partition_proof import prove_cells  # noqa: PLC0415

    return _accepted(region.network, len(region.kept), Polytope(region.box, region.rows),
                     partial(prove_cells, region, cells, complete=complete, joins=joins), deadline)


def ball_partition_proof(walk: RegionWalk, cells: Sequence[Cell], *, joins: bool = False,
                         deadline: float | None = None) -> PieceProof:
    """The same for all cells of a walk over a Euclidean ball.  Raises as :func:`partition_proof`."""
    from verifier.engines.ball_proof import ball_frames, ball_of  # noqa: PLC0415

    ball = ball_of(walk)
    return _accepted(walk.network, len(walk.network.layers), ball, partial(ball_frames, walk, cells, joins=joins),
                     deadline)


def _accepted(network: Network, layers: int, domain: Domain, frames: Callable[..., Iterator[bytes]],
              deadline: float | None) -> PieceProof:
    """Frames that the check accepts: those that trust floats or, if they deceive, those that are ``careful``."""
    for careful in (False, True):
        try:
            return piece_proof(network, layers, domain, frames(careful=careful, between=partial(in_time, deadline)),
                               deadline)
        except InvalidCertificate as error:
            reason = str(error)
    raise ValueError(f"the proof of the cells was not accepted by the check: {reason}")


def cells_proof(piece: Query, region: Region | None, deadline: float | None) -> PieceProof:
    """The proof of all cells of a piece of a domain, or (without a region) that it is empty.

    Raises ValueError as :func:`partition_proof`, and Late.
    """
    from verifier.engines.propagate import Propagation  # noqa: PLC0415

    if region is None:
        answer = search(piece, deadline=deadline)
        if not answer.finished:
            raise Late
        return empty_proof(piece, answer.blocks, deadline)
    cells = list(Propagation(region).cells(lambda _: in_time(deadline)))
    return partition_proof(region, cells, deadline=deadline)


def piece_proof(network: Network, layers: int, domain: Domain, frames: Iterable[bytes],
                deadline: float | None = None) -> PieceProof:
    """The frames (not compressed) of a proof about the cells of a polytope or a ball, checked.

    Raises InvalidCertificate when they prove nothing, Late when ``time.time()`` passes the deadline.
    """
    compressed = tuple(map(zlib.compress, frames))
    theorem = check_cells(network, layers, domain, map(decompress, compressed), lambda *_: in_time(deadline))
    return PieceProof(domain, compressed, theorem)


def empty_proof(domain: Query, blocks: Sequence[bytes], deadline: float | None = None) -> PieceProof:
    """The proof that a piece has no point.

    Raises InvalidCertificate when the blocks prove nothing, Late when ``time.time()`` passes the deadline.
    """
    theorem = check_no_point(NoPoint(domain), until(deadline, map(unpack, blocks)))
    return PieceProof(polytope_of(domain), tuple(blocks), theorem)


def write_cells(stream: BinaryIO, network: LoadedNetwork | Network, given: object, counted: Counted, layers: int,
                pieces: Sequence[PieceProof], options: dict[str, Any]) -> ProvedCells:
    """Write the certificate of a count or a reachable set; returns what it proves.

    ``given`` is the domain as it was given: a property is named by its digest.
    """
    proved = conclude_cells(counted, layers, [piece.domain for piece in pieces], [piece.theorem for piece in pieces])
    listed = [{**piece_json(piece.domain), **({"empty": True} if isinstance(piece.theorem.claim, NoPoint) else {})}
              for piece in pieces]
    writer = CertificateWriter(stream, {**header_of("cells", network, given, options), "kind": counted.value,
                                        "layers": layers, "pieces": listed, "count": [proved.lower, proved.upper]})
    for piece in pieces:
        _write_proof(writer, piece.frames)
    writer.close()
    return proved


def write_ranges(stream: BinaryIO, network: LoadedNetwork | Network, given: object, pieces: Sequence[Query],
                 expressions: Sequence[LinearExpression], ends: Sequence[EndProof], options: dict[str, Any]) -> None:
    """Write the certificate of ranges: ``ends`` are minimum and maximum of each expression, all decided.

    Raises InputError for an expression whose text says something else.
    """
    ranges = []
    for number, expression in enumerate(expressions):
        _require_text(expression, pieces[0].network)
        ranges.append({"text": expression.text, "coefficients": list(map(to_text, expression.coefficients)),
                       "constant": to_text(expression.constant), "minimum": _end_json(ends[2 * number]),
                       "maximum": _end_json(ends[2 * number + 1])})
    listed = [piece_json(polytope_of(piece)) for piece in pieces]
    writer = CertificateWriter(stream, {**header_of("range", network, given, options), "pieces": listed,
                                        "ranges": ranges})
    for end in ends:
        for _, blocks in end.proofs:
            _write_proof(writer, blocks)
    writer.close()


def _write_proof(writer: CertificateWriter, frames: Iterable[bytes]) -> None:
    for frame in frames:
        writer.block(frame)
    writer.end_proof()


def _end_json(proof: EndProof) -> dict[str, Any]:
    end = proof.end
    data: dict[str, Any] = {"kind": end.kind.value}
    if end.x is not None:
        data |= {"piece": proof.piece, "x": list(map(to_text, end.x))}
    if end.ray is not None:
        data["ray"] = list(map(to_text, end.ray))
    if end.kind is Kind.ATTAINED:
        data["bounds"] = [None if bound is None else to_text(bound) for bound, _ in proof.proofs]
    return data


def piece_json(domain: Domain) -> dict[str, Any]:
    """A piece as headers have it."""
    if isinstance(domain, Ball):
        return {"centre": list(map(to_text, domain.centre)), "radius": to_text(domain.radius), "norm": domain.norm}
    return {"box": box_json(domain.box), "rows": [list(map(to_text, (*row.normal, row.offset))) for row in domain.rows]}


# --- pieces of a domain ----------------------------------------------------------------------------------------------


def polytope_of(piece: Query) -> Polytope:
    """The points of a query of one disjunct on the inputs alone."""
    return Polytope(piece.domain, input_rows(piece))


# --- checking --------------------------------------------------------------------------------------------------------


def check_sets(reader: CertificateReader, network: LoadedNetwork | Network, given: Property | None, *,
               exact: bool = False, progress: Told | None = None) -> ProvedCells | ProvedRanges:
    """Confirm a certificate with the verdict ``cells`` or ``range``.

    Raises InvalidCertificate when it does not prove what it says, InputError when its property is not given.
    """
    header = reader.header
    files = header.get("files")
    plain = plain_network(network)
    if given is None and isinstance(files, dict) and "property" in files:
        raise InputError("this certificate speaks of a property: name its file after the network's")
    require_same(header, {"network": plain.digest, "files": files_of(network, given)})
    pieces = [_read_piece(data, plain) for data in list_in(header, "pieces")]
    if given is not None and [piece for piece, _ in pieces] != [polytope_of(q) for q in domain_of(given, plain)]:
        raise InvalidCertificate("the certificate's domain is not that of the property")
    if header["verdict"] == "cells":
        return _check_cells(reader, plain, pieces, exact, progress)
    return _check_ranges(reader, plain, pieces, exact, progress)


Pieces = Sequence[tuple[Domain, bool]]
"""Pieces of a domain, and whether they are said to be empty."""


def _check_cells(reader: CertificateReader, network: Network, pieces: Pieces, exact: bool, progress: Told | None
                 ) -> ProvedCells:
    header = reader.header
    kind, layers, count = header.get("kind"), header.get("layers"), header.get("count")
    if kind not in [counted.value for counted in Counted]:
        raise InvalidCertificate(f"the kind reach, activation, linear or affine was required, received {short(kind)}")
    if type(layers) is not int or not 0 <= layers <= len(network.layers):  # true is no number of layers
        raise InvalidCertificate(f"a number of layers from 0 to {len(network.layers)} was required, "
                                 f"received {short(layers)}")
    theorems = []
    for piece, empty in pieces:
        if not empty:
            theorems.append(check_cells(network, layers, piece, reader.frames(), progress))
        elif isinstance(piece, Polytope):
            theorems.append(check_no_point(NoPoint(query_of(network, piece)), reader.proof(), exact, progress))
        else:
            raise InvalidCertificate("a ball is not empty")
    reader.end()
    try:
        proved = conclude_cells(Counted(kind), layers, [piece for piece, _ in pieces], theorems)
    except ValueError as error:
        raise InvalidCertificate(cut(str(error))) from error
    right = [proved.lower, proved.upper]
    if count != right or list(map(type, count)) != list(map(type, right)):
        raise InvalidCertificate(f"the certificate claims {short(count)} but proves {right!r}")
    return proved


def _check_ranges(reader: CertificateReader, network: Network, pieces: Pieces, exact: bool, progress: Told | None
                  ) -> ProvedRanges:
    domains = [query_of(network, piece) for piece, empty in pieces if isinstance(piece, Polytope) and not empty]
    if len(domains) != len(pieces) or not domains:
        raise InvalidCertificate("the pieces of a range's domain are polytopes")
    ranges = []
    if not list_in(reader.header, "ranges"):
        raise InvalidCertificate("a certificate of ranges needs at least one")
    for data in list_in(reader.header, "ranges"):
        found = object_in(data)
        coefficients, constant = rationals_in(found.get("coefficients")), rational_in(found.get("constant"))
        text = found.get("text")
        expression = LinearExpression(text if isinstance(text, str) else "", coefficients, constant)
        try:
            _require_text(expression, network)
            ends = [_check_end(reader, domains, expression, sign, object_in(found.get(name)), exact, progress)
                    for sign, name in ((-1, "minimum"), (1, "maximum"))]
        except (ValueError, InputError) as error:
            raise InvalidCertificate(cut(str(error))) from error
        ranges.append(Range(expression.text, ends[0].negated(), ends[1]))
    reader.end()
    return ProvedRanges(tuple(ranges), tuple(piece for piece, _ in pieces))


def _check_end(reader: CertificateReader, domains: Sequence[Query], expression: LinearExpression, sign: int,
               data: dict[str, Any], exact: bool, progress: Told | None) -> Extremum:
    """The maximum of ``sign`` times the expression."""
    objective = tuple(sign * c for c in expression.coefficients)
    kind = data.get("kind")
    if kind == Kind.EMPTY.value:
        return conclude_empty(domains, [check_no_point(NoPoint(d), reader.proof(), exact, progress) for d in domains])
    number, x = data.get("piece"), rationals_in(data.get("x"))
    if type(number) is not int or not 0 <= number < len(domains):
        raise InvalidCertificate(f"the number of a piece was required, received {short(number)}")
    point = check_point(PointIn(domains[number], x))
    if kind == Kind.UNBOUNDED.value:
        return conclude_unbounded(domains[number], objective, x, rationals_in(data.get("ray")))
    if kind != Kind.ATTAINED.value:
        raise InvalidCertificate(f"an end of a range is attained, unbounded or empty, received {short(kind)}")
    bounds = []
    if len(list_in(data, "bounds")) != len(domains):
        raise InvalidCertificate("an end of a range has a bound, or null, for each piece")
    for domain, stated in zip(domains, list_in(data, "bounds"), strict=True):
        bound = None if stated is None else rational_in(stated)
        query = domain if bound is None else better_than(domain, objective, bound)
        bounds.append((bound, check_no_point(NoPoint(query), reader.proof(), exact, progress)))
    return conclude_attained(domains, objective, sign * expression.constant, point, bounds)


def _require_text(expression: LinearExpression, network: Network) -> None:
    if len(expression.text) > LONGEST_OBJECTIVE:
        raise InputError(f"the text of an objective in a certificate has at most {LONGEST_OBJECTIVE} characters, "
                         f"received {len(expression.text)}")
    read = parse_expression(expression.text, network.inputs, network.outputs)
    if (read.coefficients, read.constant) != (expression.coefficients, expression.constant):
        raise InputError(f"the text of an objective must say what it is: {short(expression.text)} says something else")


def _read_piece(data: object, network: Network) -> tuple[Domain, bool]:
    found = object_in(data)
    empty = found.get("empty", False)
    try:
        if "centre" in found:
            norm = found.get("norm")
            domain: Domain = Ball(rationals_in(found["centre"]), rational_in(found.get("radius")),
                                  norm if type(norm) is int else 0)
        else:
            box, rows = box_in(found), [rationals_in(row) for row in list_in(found, "rows")]
            if not all(rows):
                raise ValueError("a row has numbers")
            domain = Polytope(box, tuple(HalfSpace(row[:-1], row[-1]) for row in rows))
        if domain.dimension != network.inputs or not isinstance(empty, bool):
            raise ValueError("a piece has as many coordinates as the network has inputs")
    except ValueError as error:
        raise InvalidCertificate(f"a piece of the domain is malformed: {cut(str(error))}") from error
    return domain, empty
