"""Pictures of a reachable set: two outputs, with the unsafe set of a property, and two inputs, as the cells.

The unsafe set of a picture of outputs is what the property's disjuncts demand of outputs alone, closed.  A disjunct
that relates inputs to outputs in one half-space is no set of outputs, and is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.engines.executor import MapExecutor
from verifier.formats.onnx import LoadedNetwork
from verifier.formats.vnnlib import Property
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import HalfSpace
from verifier.plot import Marks, Tile, draw_partition, draw_set
from verifier.region_picture import caption, cell_key, fixed_pieces
from verifier.sets import Domain, Reach, pieces_of, reach
from verifier.time_limits import Late, in_time, until

if TYPE_CHECKING:
    from verifier.properties.safety import Witness


@dataclass(frozen=True)
class Scene:
    """What is drawn: a network over a domain, the first ``layers`` layers of it (None: all), two ``axes``; and how
    outputs are called."""

    network: LoadedNetwork
    domain: Domain
    layers: int | None
    axes: tuple[int, int]
    letter: str

    @property
    def ends(self) -> bool:
        """Whether the set is one of outputs, of which a property speaks."""
        return self.layers is None or self.layers == len(self.network.network.layers)

    def unsafe(self) -> UnionOfPolyhedra | None:
        """The unsafe set, if a property gives one."""
        return unsafe_outputs(self.network.network, self.domain) if (
            self.ends and isinstance(self.domain, Property)) else None

    def witness(self, deadline: float | None, executor: MapExecutor | None) -> Witness | None:
        """A counterexample of the property, exactly, if it has one that is found in time."""
        from verifier.api import verify  # noqa: PLC0415

        if not self.ends or not isinstance(self.domain, Property):
            return None
        left = None if deadline is None else deadline - time.time()
        if left is not None and left <= 0:
            return None
        return verify(self.network, self.domain, timeout=left, executor=executor).witness


def unsafe_outputs(network: Network, prop: Property) -> UnionOfPolyhedra | None:
    """The closed unsafe set in output space; None when no disjunct is a set of outputs."""
    n, m = network.inputs, network.outputs
    parts: dict[tuple[HalfSpace, ...], None] = {}
    for query in prop.queries(network):
        for disjunct in query.disjuncts:
            on_outputs = [h for h in disjunct if any(h.normal[n:])]
            if not any(any(h.normal[:n]) for h in on_outputs):
                parts[tuple(HalfSpace(h.normal[n:], h.offset) for h in on_outputs)] = None
    polyhedra = tuple(Polyhedron.from_half_spaces(m, rows) for rows in parts)
    return UnionOfPolyhedra(m, polyhedra) if polyhedra else None


def draw_outputs(scene: Scene, found: Reach, path: Path, witness: Witness | None, deadline: float | None) -> bool:
    """Draw the set, if there is time: vertices may have to be found."""
    unsafe = scene.unsafe()
    marks = Marks(unsafe, None if witness is None else witness.y, names={j: f"{scene.letter}_{j}" for j in scene.axes},
                  label="" if unsafe is None else "reachable set")
    return _in_time(partial(draw_set, found.union, path, scene.axes, marks), deadline)


def draw_inputs(scene: Scene, found: Reach, path: Path, fixed: Mapping[int, Fraction], colour: str,
                witness: Witness | None, deadline: float | None, executor: MapExecutor | None) -> bool:
    """Draw the cells, if there is time.  With ``fixed`` inputs it is the cells of that slice of the domain that are
    found and drawn; a counterexample outside of it is not."""
    plain = scene.network.network
    pieces = pieces_of(plain, scene.domain)
    point = None if witness is None else witness.x
    if fixed:
        pieces = fixed_pieces(pieces, fixed, scene.axes)
        found = reach(plain, pieces, layers=scene.layers, executor=executor,
                      timeout=None if deadline is None else max(0.0, deadline - time.time()))
        if not found.finished:
            return False
        if point is not None and any(point[i] != value for i, value in fixed.items()):
            point = None
    key = cell_key(pieces, scene.layers, colour)
    try:
        tiles = [Tile(cell.region, key(cell.pattern)) for cell in until(deadline, found.sources)]
    except Late:
        return False
    ends = [{(piece.domain.lower[i], piece.domain.upper[i]) for piece in pieces} for i in range(plain.inputs)]
    held = {i: low for i, ((low, high), *others) in enumerate(ends)
            if i not in scene.axes and low is not None and low == high and not others}
    projected = plain.inputs - 2 - len(held)
    marks = Marks(counterexample=point, title=caption(found.cells, colour, held, projected))
    return _in_time(partial(draw_partition, tiles, path, scene.axes, None, marks, overlap=projected > 0), deadline)


def _in_time(draw: Callable[..., None], deadline: float | None) -> bool:
    try:
        draw(between=partial(in_time, deadline))
    except Late:
        return False
    return True
