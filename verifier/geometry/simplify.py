"""Fewer parts for the same union.

*Contained parts* add nothing.  *Merging*: the union of two polyhedra is convex exactly when it includes its closed
convex hull, which the exact difference decides; then the hull replaces the two.  Merging is repeated until no pair of
parts has a convex union.  The outcome depends on the order and need not have the fewest parts, which is a hard problem
already in the plane.

Reference: Bemporad, Fukuda, Torrisi, *Convexity recognition of the union of polyhedra* (2001).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from verifier.geometry.convex_hull import convex_hull
from verifier.geometry.difference import difference
from verifier.geometry.neighbours import Neighbours
from verifier.geometry.polytope import Polyhedron
from verifier.solvers.child import OutOfTime


def convex_union(first: Polyhedron, second: Polyhedron) -> Polyhedron | None:
    """The union of two nonempty sets where it is convex, None where it is not."""
    if first.includes(second):
        return first
    if second.includes(first):
        return second
    if _has_a_gap(first, second):
        return None
    hull = convex_hull((first, second))
    if first.dimension != hull.dimension or second.dimension != hull.dimension:
        return None  # a convex set is not the union of a closed proper part and something flat
    if next(difference(hull, (first, second)), None) is not None:
        return None
    return Polyhedron(hull.ambient_dimension, None, hull.generators)


def _has_a_gap(first: Polyhedron, second: Polyhedron) -> bool:
    """Whether the middle between a vertex of each lies in neither: a cheap reason why the union is not convex."""
    ours = [v for v in first.any_generators.vertices if not second.contains_vector(v)]
    theirs = [v for v in second.any_generators.vertices if not first.contains_vector(v)]
    middles = ([a * w[0] + b * v[0] for a, b in zip(v, w, strict=True)] for v in ours for w in theirs)
    return any(not first.contains_vector(m) and not second.contains_vector(m) for m in middles)


def _never() -> bool:
    return False


def without_contained(parts: Sequence[Polyhedron], stop: Callable[[], bool] = _never,
                      below: int | None = None) -> list[int]:
    """The numbers of the nonempty parts that lie in no other part; of equal parts the first remains.

    When ``stop()`` says so, what was not compared by then remains; so do parts of dimension ``below`` and more.
    """
    filled = [i for i, part in enumerate(parts) if not part.is_empty()]
    filled.sort(key=lambda i: -parts[i].dimension)
    index = Neighbours([parts[i].bounding_box() for i in filled])
    removed: set[int] = set()
    for k, i in enumerate(filled):
        if stop():
            break
        if below is not None and parts[i].dimension >= below:
            continue
        with suppress(OutOfTime):  # and stop() says so next
            if any(other != k and filled[other] not in removed and parts[filled[other]].includes(parts[i])
                   for other in index.meeting(parts[i].bounding_box())):
                removed.add(i)
    return [i for i in range(len(parts)) if i not in removed and not parts[i].is_empty()]


def merged(parts: Sequence[Polyhedron], stop: Callable[[], bool] = _never) -> list[Polyhedron]:
    """Parts with the same union, none contained in another, no two with a convex union.

    When ``stop()`` says so, the parts reached by then, which have the same union.
    """
    current: list[Polyhedron | None] = [parts[i] for i in without_contained(parts, stop)]
    index = Neighbours([part.bounding_box() for part in current if part is not None])
    queue = deque(range(len(current)))
    while queue and not stop():
        i = queue.popleft()
        part = current[i]
        if part is None:
            continue
        for j in index.meeting(part.bounding_box()):
            other = current[j]
            if other is None or j == i:
                continue
            try:
                union = convex_union(part, other)
            except OutOfTime:  # and stop() says so next
                break
            if union is not None:
                current[i], current[j] = union, None
                index.replace(i, union.bounding_box())
                index.remove(j)
                queue.append(i)
                break
    return [part for part in current if part is not None]
