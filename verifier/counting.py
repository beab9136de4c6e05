"""Questions about regions, in code: how many there are, at most how many, and each of them.

The walk: a domain as people give it becomes a polytope or a ball; :mod:`verifier.engines.region_walk` finds the cells;
:mod:`verifier.properties.regions` says what the numbers mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from verifier.formats.domains import domain_of, input_rows
from verifier.formats.errors import InputError
from verifier.formats.onnx import LoadedNetwork, plain_network
from verifier.formats.vnnlib import Property
from verifier.geometry.ball import Ball, Norm
from verifier.geometry.chart import EmptyDomainError
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Point
from verifier.properties.cells import Counted, ProvedCells
from verifier.properties.regions import RegionCount, RegionCounts, RegionKind, conclude
from verifier.time_limits import Interrupted, Late, until

if TYPE_CHECKING:
    from verifier.engines.executor import MapExecutor
    from verifier.engines.linear_regions import AffineMaps
    from verifier.engines.region_margins import Margins
    from verifier.engines.region_parts import RegionPart
    from verifier.engines.region_walk import Batch, Domain, RegionWalk
    from verifier.engines.unit_signs import LocalBound

__all__ = [
    "RegionDomain", "Surroundings", "around", "certify_regions", "count_all_regions", "count_regions", "region_bound",
    "regions",
]

RegionDomain = Box | Ball | Property | Sequence[Query] | None
"""A box, a ball, the input constraints of a property with one convex domain, such a domain as one query, or None: all
of space."""

Bracket = Callable[[RegionCounts], None]
KINDS = tuple(kind.value for kind in RegionKind)
SECONDS_BETWEEN = 2.0  # before bounds are told for the first time
TIMES_BETWEEN = 30     # as long as bounds took, at least, until they are told again


def count_regions(network: LoadedNetwork | Network, domain: RegionDomain = None, *,
                  kind: RegionKind | str = RegionKind.ACTIVATION, timeout: float | None = None,
                  executor: MapExecutor | None = None, progress: Bracket | None = None) -> RegionCount:
    """The number of regions of one kind in the domain, exactly, or bounds of it when ``timeout`` (seconds of wall time)
    was not enough.

    ``executor`` counts the activation regions of a bounded polytope in parallel when there is no timeout.  ``progress``
    is told the bounds as they tighten, after two seconds and then less and less often.

    Raises InputError for an unknown kind, an empty domain, several domains in one, and when network and domain do not
    fit.
    """
    wanted = region_kind(kind)
    most, helpers = (0, executor) if wanted is RegionKind.ACTIVATION else (None, None)
    try:
        counts = count_all_regions(network, domain, most=most, timeout=timeout, executor=helpers, progress=progress)
    except Interrupted as stop:
        raise Interrupted(cast(RegionCounts, stop.result).of(wanted)) from None
    found = counts.of(wanted)
    assert found is not None
    return found


def count_all_regions(network: LoadedNetwork | Network, domain: RegionDomain = None, *, most: int | None = None,
                      timeout: float | None = None, executor: MapExecutor | None = None,
                      progress: Bracket | None = None) -> RegionCounts:
    """All three counts.  Linear regions and affine pieces are left out when there are more than ``most`` cells, or when
    time ends before they are known; with ``most=None`` they are counted, or bounded, in any case.  Else as
    :func:`count_regions`.  An interrupt raises :class:`~verifier.time_limits.Interrupted` with the bounds known."""
    from verifier.engines.linear_regions import AffineMaps  # noqa: PLC0415

    deadline = None if timeout is None else time.monotonic() + timeout
    walk = region_walk(network, domain)
    if executor is not None and deadline is None and most == 0 and walk.plain is not None:
        total = walk.plain.count(executor=executor)
        return conclude(total, 0)
    # By vertices counting is many times as fast as collecting: there a second walk costs less than cells nobody wants
    again = most is not None and walk.by_vertices and walk.plain is not None
    maps = AffineMaps(walk)
    found = 0
    bounds = _Bounds(walk, progress)
    try:
        for batch in _until(walk.batches(collect=most != 0 and not again), deadline):
            if batch is None:
                missing = bounds.missing(found)
                return conclude(found, missing) if most is not None else _of_all_kinds(found, missing, maps)
            found += batch.count
            maps.add_all(batch.cells)
            if most is not None and found > most:
                maps.cells.clear()
            bounds.tell(found)
        bounds.least = found
        if most is not None and found > most:
            return conclude(found, 0)
        for batch in _until(walk.batches(), deadline) if again else ():
            if batch is None:
                return conclude(found, 0)
            maps.add_all(batch.cells)
        return _of_all_kinds(found, 0, maps)
    except KeyboardInterrupt:  # the walk, or the maps, may be in the middle of something: neither is asked any more
        raise Interrupted(_interrupted(found, bounds.known - found, most is None)) from None


@dataclass
class _Bounds:
    """Bounds of a count on its way, told seldom enough that they cost little."""

    walk: RegionWalk
    progress: Bracket | None
    told: float | None = None  # when; loading code and the first batch do not count
    waiting: float = SECONDS_BETWEEN
    least: int | None = None

    @property
    def known(self) -> int:
        """The bound of the number of all cells that is known."""
        return self.walk.total_bound if self.least is None else self.least

    def missing(self, found: int) -> int:
        """A bound of the number of cells that are left."""
        self.least = min(self.known, found + self.walk.remaining())
        return self.least - found

    def tell(self, found: int) -> None:
        """Tell the bounds, if it is time."""
        now = time.monotonic()
        self.told = self.told or now
        if self.progress is None or now - self.told < self.waiting:
            return
        self.progress(conclude(found, self.missing(found)))
        self.told = time.monotonic()
        self.waiting = max(1.5 * self.waiting, TIMES_BETWEEN * (self.told - now))


def _until(batches: Iterator[Batch], deadline: float | None) -> Iterator[Batch | None]:
    """The batches; None, and no more, when the time has come."""
    while deadline is None or time.monotonic() < deadline:
        batch = next(batches, None)
        if batch is None:
            return
        yield batch
    yield None


def _interrupted(found: int, missing: int, all_kinds: bool) -> RegionCounts:
    """What the number of cells alone says: of the other kinds there is at least one region."""
    others = (RegionCount(kind, min(found, 1), found + missing) for kind in (RegionKind.LINEAR, RegionKind.AFFINE))
    return RegionCounts(conclude(found, missing).activation, *(others if all_kinds else ()))


def _of_all_kinds(found: int, missing: int, maps: AffineMaps) -> RegionCounts:
    return conclude(found, missing, maps.linear_regions(), maps.count)


def region_bound(network: LoadedNetwork | Network, domain: RegionDomain = None) -> LocalBound:
    """An upper bound of the number of activation regions, in milliseconds: from the units that can change their sign in
    the domain, and the exact number of cells of the first layer when it is small.

    Raises InputError as :func:`count_regions`.
    """
    from verifier.engines.unit_signs import local_bound  # noqa: PLC0415
    from verifier.geometry.chart import chart_of  # noqa: PLC0415

    plain = plain_network(network)
    where = convex_domain(plain, domain)
    try:
        chart = chart_of(where.box, where.rows)
    except EmptyDomainError as error:
        raise InputError(str(error)) from None
    return local_bound(plain, where.box, where if isinstance(where, Ball) else None, chart)


def region_walk(network: LoadedNetwork | Network, domain: RegionDomain) -> RegionWalk:
    """The walk over the cells.  Raises InputError as :func:`count_regions`."""
    from verifier.engines.region_walk import RegionWalk  # noqa: PLC0415

    plain = plain_network(network)
    try:
        return RegionWalk(plain, convex_domain(plain, domain))
    except EmptyDomainError as error:
        raise InputError(str(error)) from None


def convex_domain(network: Network, domain: RegionDomain) -> Domain:
    """The one polytope or ball that is meant.  Raises InputError."""
    rows: tuple[HalfSpace, ...] = ()
    if domain is None:
        domain = Box.whole_space(network.inputs)
    elif isinstance(domain, Property):
        domain = domain_of(domain, network)
    if not isinstance(domain, Box | Ball):
        pieces = tuple(domain)
        if len(pieces) != 1:
            raise InputError(f"regions are counted in one convex domain, received a union of {len(pieces)}")
        if pieces[0].network.digest != network.digest:
            raise InputError("the domain speaks of another network than the one given")
        domain, rows = pieces[0].domain, input_rows(pieces[0])
    if domain.dimension != network.inputs:
        raise InputError(f"the network has {network.inputs} inputs, the domain {domain.dimension} coordinates")
    if any(row.strict for row in rows):
        raise InputError("a domain has half-spaces that are not strict, received a strict one")
    return domain if isinstance(domain, Ball) else Polytope(domain, rows)


def region_kind(kind: RegionKind | str) -> RegionKind:
    """The kind, by its name too.  Raises InputError."""
    try:
        return RegionKind(kind)
    except ValueError:
        raise InputError(f"a kind is {', '.join(KINDS)}, received {kind!r}") from None


def regions(network: LoadedNetwork | Network, domain: RegionDomain = None, *,
            kind: RegionKind | str = RegionKind.ACTIVATION) -> Iterator[RegionPart]:
    """Every region of one kind in the domain, one after another; their neighbours are found first, so all cells are.

    Raises InputError as :func:`count_regions`.
    """
    from verifier.engines.region_parts import region_parts  # noqa: PLC0415

    wanted = region_kind(kind)
    return region_parts(region_walk(network, domain), wanted.value)


@dataclass(frozen=True)
class Surroundings:
    """What is around a point: the counts in the ball, an upper bound of the activation regions there that needs no
    count, and how far the boundaries of the point's own regions are, without regard to the ball."""

    x: Point
    counts: RegionCounts
    bound: int
    margins: Margins


def around(network: LoadedNetwork | Network, points: Iterable[Point], radius: Fraction, norm: Norm, *,
           timeout: float | None = None, executor: MapExecutor | None = None) -> Iterator[Surroundings]:
    """The surroundings of each point, in order; ``timeout`` (seconds of wall time) is for the counts at one point.

    Raises InputError when points and network do not fit.
    """
    plain = plain_network(network)
    work = partial(_surroundings, plain, radius, norm, timeout)
    return map(work, points) if executor is None else executor.map(work, points)


def _surroundings(network: Network, radius: Fraction, norm: Norm, timeout: float | None, x: Point) -> Surroundings:
    from verifier.engines.region_margins import MarginFinder  # noqa: PLC0415

    ball = Ball(x, radius, norm)
    return Surroundings(x, count_all_regions(network, ball, timeout=timeout), region_bound(network, ball).refined,
                        MarginFinder(network, norm).margins(x))


def certify_regions(network: LoadedNetwork | Network, domain: RegionDomain, kind: RegionKind | str,
                    stream: BinaryIO, *, timeout: float | None = None) -> ProvedCells | None:
    """Write a certificate of the number of regions of one kind, which ``verifier check`` confirms; returns what it
    proves.  It takes memory for all cells.  When ``timeout`` (seconds of wall time) is not enough nothing is written,
    and the answer is None.

    Raises InputError as :func:`count_regions`.
    """
    from verifier.certificates import ball_partition_proof, partition_proof, write_cells  # noqa: PLC0415
    from verifier.engines.propagate import Region  # noqa: PLC0415

    deadline = None if timeout is None else time.time() + timeout
    wanted = region_kind(kind)
    walk = region_walk(network, domain)
    layers = len(walk.network.layers)
    joins = wanted is RegionKind.LINEAR
    try:
        cells = [found.make() for batch in until(deadline, walk.batches()) for found in batch.cells]
        if walk.euclidean:
            piece = ball_partition_proof(walk, cells, joins=joins, deadline=deadline)
        else:
            piece = partition_proof(Region(walk.network, walk.box, walk.rows), cells, joins=joins, deadline=deadline)
    except Late:
        return None
    given = domain if isinstance(domain, Property) else None
    return write_cells(stream, network, given, Counted(wanted.value), layers, [piece], {})
