"""The one-way walk, in code: files or arrays -> network and queries -> search -> certificate -> kernel -> verdict.

What the search returns is never believed.  Its point is evaluated exactly; its proof is written as a certificate and
read back by the kernel's checker, and the verdict is what the checker's theorems allow.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

from verifier import __version__
from verifier.certificates import ProvedRanges, check_sets
from verifier.engines.executor import MapExecutor
from verifier.engines.subtrees import SearchResult, search
from verifier.formats.errors import InputError
from verifier.formats.onnx import LoadedNetwork, plain_network
from verifier.formats.vnnlib import Property
from verifier.headers import files_of, require_same, short
from verifier.kernel.certificate import (
    CertificateReader,
    CertificateWriter,
    InvalidCertificate,
    parse_rational,
    unpack,
)
from verifier.kernel.checker import NoPoint, PointIn, Theorem, check_no_point, check_point
from verifier.kernel.network import Network
from verifier.kernel.query import Query
from verifier.kernel.rational import Point, to_text
from verifier.properties.cells import ProvedCells
from verifier.properties.safety import Outcome, Statistics, Verdict, conclude
from verifier.radius_certificates import ProvedRadius, check_radius
from verifier.time_limits import Late, in_time, until

__all__ = ["MapExecutor", "Progress", "check", "verify"]

ENGINES = ("auto", "branch", "propagate", "milp")
Proved = Verdict | ProvedCells | ProvedRanges | ProvedRadius
"""What a certificate may prove."""
TIME_LIMIT = "the time limit was reached"


@dataclass(frozen=True)
class Progress:
    """How far a search is: branches done, branches open, and the share of the domain decided (a heuristic)."""

    boxes: int
    open: int
    fraction: float


def verify(network: LoadedNetwork | Network, property: Property | Sequence[Query], *, engine: str = "auto",
           solver: str = "highs", timeout: float | None = None, seed: int = 0, exact: bool = False,
           executor: MapExecutor | None = None, progress: Callable[[Progress], None] | None = None,
           certificate: BinaryIO | None = None, compiled: bool = False) -> Verdict:
    """Decide whether the property holds.

    ``property`` is a file's, or the queries of a counterexample themselves.  ``timeout`` is wall time in seconds.
    ``engine`` says how to search: *branch* (and *auto*) over boxes and phases, *propagate* over all cells; with *milp*
    a mixed-integer ``solver`` (``highs``, ``cbc``, ``scip``, ``gurobi``, as far as installed; in a process of its own)
    looks for a counterexample first, and branch and bound proves that there is none.  No verdict depends on it.
    ``exact`` lets the check run on integers instead of rigorous floating point.  ``executor`` may run
    parts of the search elsewhere; the certificate does not depend on it.  ``certificate`` receives the proof of a
    ``holds`` or ``violated``.  ``compiled`` loads the compiled inner loop at once, which pays in long-lived processes.

    Raises InputError when network and property do not fit, or for an unknown engine or solver.
    """
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r} is not available for this question: choose from {', '.join(ENGINES)}")
    started = time.time()
    deadline = None if timeout is None else started + timeout
    subject = _Subject.of(network, property)
    boxes = leaves = programs = 0
    search_seconds = check_seconds = 0.0
    theorems: list[Theorem] = []
    proofs: list[tuple[bytes, ...]] = []
    reason = TIME_LIMIT
    with _searcher(engine, solver) as propose:
        for query in subject.queries:
            if deadline is not None and time.time() >= deadline:
                break
            clock = time.process_time()
            told = None if progress is None else _teller(progress, boxes)
            result, why_not = propose(query, seed=seed, deadline=deadline, compiled=compiled, executor=executor,
                                      progress=told)
            search_seconds += time.process_time() - clock
            boxes += result.effort.boxes
            leaves += result.effort.exact_leaves
            programs += result.effort.linear_programs
            clock = time.process_time()
            try:
                if result.point is not None:
                    theorems = [check_point(PointIn(query, result.point))]
                    break
                if not result.finished:
                    reason = why_not
                    break
                theorems.append(check_no_point(NoPoint(query), until(deadline, map(unpack, result.blocks)), exact))
                proofs.append(result.blocks)
            except InvalidCertificate as error:
                reason = f"the search's proof was not accepted by the check ({error})"
                break
            except Late:
                reason = "the time limit was reached while the search's proof was checked"
                break
            finally:
                check_seconds += time.process_time() - clock
    verdict = conclude(subject.queries, theorems, reason, subject.vacuous)
    written = 0
    if certificate is not None and verdict.outcome is not Outcome.UNKNOWN:
        written = _write(certificate, subject, verdict, proofs, {"engine": engine, "seed": seed})
    return replace(verdict, statistics=Statistics(boxes, leaves, programs, search_seconds, check_seconds, written))


def check(certificate: BinaryIO, network: LoadedNetwork | Network,
          property: Property | Sequence[Query] | None = None, *, exact: bool = False, timeout: float | None = None,
          progress: Callable[[Progress], None] | None = None) -> Proved:
    """Confirm a certificate about this network and property, without any search; returns what it proves: the verdict
    of :func:`verify`, cells (a reachable set or a count), ranges, or a radius.  The last three need no property unless
    their domain, or what they are the distance to, came from one.

    ``timeout`` is wall time in seconds; when it ends first the answer is an unknown verdict, and nothing is said of
    the certificate.

    Raises InvalidCertificate when it does not prove what it says about exactly these, InputError when the property that
    it speaks of is not given.
    """
    clock = time.process_time()
    told = progress
    if timeout is not None:
        deadline = time.time() + timeout
        certificate = cast("BinaryIO", _TimedStream(certificate, deadline))
        told = _timed(progress, deadline)
    try:
        proved = _check(certificate, network, property, exact, told)
    except Late:
        proved = Verdict(Outcome.UNKNOWN, TIME_LIMIT)
    if isinstance(proved, Verdict):
        done = replace(proved.statistics, check_seconds=time.process_time() - clock)
        return replace(proved, statistics=done)
    return proved


def _check(certificate: BinaryIO, network: LoadedNetwork | Network, property: Property | Sequence[Query] | None,
           exact: bool, progress: Callable[[Progress], None] | None) -> Proved:
    reader = CertificateReader(certificate)
    header = reader.header
    if header.get("verdict") in ("cells", "range"):
        if property is not None and not isinstance(property, Property):
            raise InputError("a certificate of cells or ranges has its domain, or a property file has it: no queries "
                             "are needed")
        told = None if progress is None else _checking(progress, 0)
        return check_sets(reader, network, property, exact=exact, progress=told)
    if header.get("verdict") == "radius":
        told = None if progress is None else _checking(progress, 0)
        return check_radius(reader, network, property, exact=exact, progress=told)
    if property is None:
        raise InputError("this certificate speaks of a property: name its file after the network's")
    subject = _Subject.of(network, property)
    require_same(header, subject.header())
    theorems: list[Theorem] = []
    done = 0
    if header.get("verdict") == Outcome.VIOLATED.value:
        number, x = _read_witness(header, len(subject.queries))
        theorems.append(check_point(PointIn(subject.queries[number], x)))
    elif header.get("verdict") == Outcome.HOLDS.value:
        for query in subject.queries:
            told = None if progress is None else _checking(progress, done)
            theorems.append(check_no_point(NoPoint(query), reader.proof(), exact, told))
            done += theorems[-1].branches
    else:
        raise InvalidCertificate(f"a verdict holds or violated was required, received {short(header.get('verdict'))}")
    reader.end()
    verdict = conclude(subject.queries, theorems, "", subject.vacuous)
    if verdict.outcome.value != header["verdict"]:
        raise InvalidCertificate(f"the certificate claims {header['verdict']!r} but proves {verdict.outcome.value!r}")
    return replace(verdict, statistics=Statistics(boxes=done))


class _TimedStream:
    """A stream that is read only as long as there is time; a check reads its proof step by step."""

    def __init__(self, stream: BinaryIO, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, size: int = -1) -> bytes:
        """As the stream's.  Raises Late."""
        in_time(self._deadline)
        return self._stream.read(size)


def _timed(progress: Callable[[Progress], None] | None, deadline: float) -> Callable[[Progress], None]:
    """Progress that is told only as long as there is time: one frame may take long.  Raises Late."""
    def told(state: Progress) -> None:
        in_time(deadline)
        if progress is not None:
            progress(state)
    return told


@dataclass(frozen=True)
class _Subject:
    """What a verdict speaks of."""

    network: Network
    queries: tuple[Query, ...]
    files: dict[str, Any]
    vacuous: bool

    @classmethod
    def of(cls, network: LoadedNetwork | Network, property: Property | Sequence[Query]) -> _Subject:
        files = files_of(network, property)
        plain = plain_network(network)
        if isinstance(property, Property):
            return cls(plain, property.queries(plain), files, property.contradictory)
        queries = tuple(property)
        if any(query.network.digest != plain.digest for query in queries):
            raise InputError("the queries speak of another network than the one given")
        return cls(plain, queries, files, not queries)

    def header(self) -> dict[str, Any]:
        """The part of a certificate's header that binds it to its subject."""
        return {"network": self.network.digest, "queries": [query.digest for query in self.queries],
                "files": self.files}


def _write(stream: BinaryIO, subject: _Subject, verdict: Verdict, proofs: Iterable[Sequence[bytes]],
           options: dict[str, Any]) -> int:
    """Write the certificate; returns its size in bytes."""
    header: dict[str, Any] = {**subject.header(), "verdict": verdict.outcome.value, "options": options,
                              "tool": f"relu-verifier {__version__}"}
    if verdict.witness is not None:
        header["witness"] = {"query": verdict.witness.query, "x": list(map(to_text, verdict.witness.x))}
    writer = CertificateWriter(stream, header)
    if verdict.outcome is Outcome.HOLDS:
        for blocks in proofs:
            for block in blocks:
                writer.block(block)
            writer.end_proof()
    writer.close()
    return writer.bytes_written


def _read_witness(header: dict[str, Any], queries: int) -> tuple[int, Point]:
    witness = header.get("witness")
    if not isinstance(witness, dict):
        raise InvalidCertificate("a verdict violated needs a witness")
    number, x = witness.get("query"), witness.get("x")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < queries:
        raise InvalidCertificate(f"a query number below {queries} was required, received {short(number)}")
    if not isinstance(x, list) or not all(isinstance(v, str) for v in x):
        raise InvalidCertificate("the witness is not a list of rationals")
    try:
        return number, tuple(parse_rational(v) for v in x)
    except (ValueError, ZeroDivisionError) as error:
        raise InvalidCertificate("the witness is not a list of rationals") from error


@contextlib.contextmanager
def _searcher(engine: str, solver: str) -> Iterator[Callable[..., tuple[SearchResult, str]]]:
    """How an engine searches a query: what it found, and the reason of an answer that is neither point nor proof."""
    if engine == "propagate":
        from verifier.engines.cell_safety import search_by_cells  # noqa: PLC0415

        yield lambda query, **options: (search_by_cells(query, **options), TIME_LIMIT)
        return
    if engine != "milp":
        yield lambda query, **options: (search(query, **options), TIME_LIMIT)
        return
    from verifier.engines.milp import MilpSolver, decide  # noqa: PLC0415

    try:
        chosen = MilpSolver(solver)
    except ValueError as error:
        raise InputError(str(error)) from None
    with chosen as solve:
        yield lambda query, **options: decide(query, solve, **options)


def _teller(progress: Callable[[Progress], None], before: int) -> Callable[[int, int, float], None]:
    return lambda boxes, still, fraction: progress(Progress(before + boxes, still, fraction))


def _checking(progress: Callable[[Progress], None], before: int) -> Callable[[int, int], None]:
    return lambda done, still: progress(Progress(before + done, still, done / (done + still)))


