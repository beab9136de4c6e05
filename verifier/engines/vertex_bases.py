r"""At which vertex of a polyhedron a function is least: for many functions at once, in floats.

Theory.  At a vertex v of ``P = {a_i . x + t_i >= 0}`` let B be n independent rows that are 0.  A function is least at v
if its gradient is a nonnegative combination of those of B: then it is that combination of the rows, plus its value at
v.  One inverse matrix tells of which functions that is true, and for any other one its columns are the edges of v, some
of which lead to where that function is smaller (the primal simplex method).  So one walk over the vertices that some
function asks for serves all of them; neighbouring functions share vertices.

Nothing is decided here.  The bases are proposals; whoever uses them proves them.  Tolerances choose pivots.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from verifier.kernel.rational import FloatArray

FLAT = 1e-9       # slopes of rows of size 1 below it do not block, nor improve
BELOW_ZERO = 1e-6  # relative: functions that are clearly negative at a vertex are not bounded by what meets there
MOST_PIVOTS = 50  # for each function, besides those that dimensions ask for


@np.errstate(all="ignore")
def vertex_bases(gradients: FloatArray, offsets: FloatArray, places: Sequence[int], targets: Sequence[int],
                 inside: FloatArray) -> dict[int, tuple[int, ...]]:
    """For each of the ``targets`` among the rows ``gradients (m, n), offsets (m,)`` the sorted ``places`` of n rows at
    whose vertex it seems to be least and nonnegative; those without such a vertex are left out.

    The polyhedron is that of the rows ``places``, and ``inside`` is in its interior.  Where it has no vertex, nothing
    is found.
    """
    walk = _Vertices(gradients[list(places)], offsets[list(places)])
    if not targets or not np.isfinite(walk.offsets).all() or not walk.start(inside):
        return {}
    numbers = np.array(places)
    found: dict[int, tuple[int, ...]] = {}
    left = np.array(targets)
    while len(left):
        weights = gradients[left] @ walk.edges
        served = (weights >= -FLAT * np.abs(weights).max(axis=1, initial=0.0, keepdims=True)).all(axis=1)
        if served.any():
            basis = tuple(sorted(numbers[walk.basis].tolist()))
            values = gradients[left] @ walk.x + offsets[left]
            size = np.abs(gradients[left]) @ np.abs(walk.x) + np.abs(offsets[left])
            found.update((g, basis) for g in left[served & (values >= -BELOW_ZERO * size)].tolist())
            left = left[~served]
        if len(left) and not walk.descend(gradients[left[0]]):
            left = left[1:]
    return found


class _Vertices:
    """A walk over the vertices: ``basis`` are rows that are 0 at x, ``edges`` the inverse of their gradients."""

    def __init__(self, gradients: FloatArray, offsets: FloatArray) -> None:
        self.gradients, self.offsets = gradients, offsets
        self.size = gradients.shape[1]

    def start(self, inside: FloatArray) -> bool:
        """Go from an inner point to a vertex; False when there seems to be none."""
        self.x = inside
        chosen: list[int] = []
        free = np.eye(self.size)  # orthonormal rows: directions in which all chosen rows are constant
        while len(chosen) < self.size:
            slopes = self.gradients @ free.T
            slopes[chosen] = 0.0
            steepest = int(np.abs(slopes).max(axis=0, initial=0.0).argmax())
            along = slopes[:, steepest]
            sign = -1.0 if along.min(initial=0.0) + along.max(initial=0.0) > 0 else 1.0
            hit = self._first(sign * along)
            if hit is None:
                return False
            place, step = hit
            self.x = self.x + step * sign * free[steepest]
            chosen.append(place)
            free = np.linalg.qr(self.gradients[chosen].T, mode="complete")[0].T[len(chosen):]
        self.basis: npt.NDArray[np.int64] = np.array(chosen, dtype=np.int64)
        return self._solve()

    def descend(self, gradient: FloatArray) -> bool:
        """Go to vertices at which the function is smaller until it is least; False when it does not seem to be bounded,
        or after too many."""
        for _ in range(MOST_PIVOTS + 4 * self.size):
            weights = gradient @ self.edges
            out = int(weights.argmin())
            if weights[out] >= -FLAT * np.abs(weights).max():
                return True
            along = self.gradients @ self.edges[:, out]
            along[self.basis] = 0.0
            hit = self._first(along)
            if hit is None:
                return False
            self.basis[out] = hit[0]
            if not self._solve():
                return False
        return False

    def _first(self, along: FloatArray) -> tuple[int, float] | None:
        """Which row is the first to be 0 on the way from x on which their slopes are ``along``, and after what step."""
        blocking = np.flatnonzero(along < -FLAT * np.abs(along).max(initial=0.0))
        if not len(blocking):
            return None
        values = self.gradients[blocking] @ self.x + self.offsets[blocking]
        steps = np.maximum(values, 0.0) / -along[blocking]
        first = int(steps.argmin())
        return int(blocking[first]), float(steps[first])

    def _solve(self) -> bool:
        """``edges`` and x of the basis; False when its gradients seem to depend on each other."""
        try:
            self.edges = np.linalg.inv(self.gradients[self.basis])
        except np.linalg.LinAlgError:
            return False
        self.x = -self.edges @ self.offsets[self.basis]
        return bool(np.isfinite(self.x).all())
