"""Proofs of partitions of Euclidean balls, where rows touch, coincide and meet the sphere; and with floats that lie."""

from __future__ import annotations

import io
import random
from fractions import Fraction as F

import numpy as np
import pytest

from tests.strategies import random_network
from verifier import api
from verifier.certificates import ball_partition_proof
from verifier.counting import certify_regions, convex_domain, count_all_regions
from verifier.engines import ball_proof, partition_proof
from verifier.engines.ball_proof import ball_frames, ball_of
from verifier.engines.lp_walk import LpWalk
from verifier.engines.region_walk import RegionWalk
from verifier.engines.vertex_bases import vertex_bases
from verifier.geometry.ball import Ball
from verifier.kernel.certificate import InvalidCertificate
from verifier.kernel.network import Layer, Network
from verifier.kernel.partition import basis_refutes, check_cells
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix
from verifier.properties.regions import RegionKind

DISK = Ball((F(0), F(0)), F(1), "2")
TANGENT = (F(3, 5), F(4, 5), F(-1))


def lines(*rows: tuple[F | int, ...]) -> Network:
    """One layer with these rows."""
    return Network((Layer.relu(Matrix.from_rationals([row[:-1] for row in rows]),
                               Matrix.column([row[-1] for row in rows])),))


def certified(network: Network, domain: Ball | Box | None) -> tuple[int, ...]:
    """All three counts: proved, checked, and those of the walk."""
    counts, found = count_all_regions(network, domain), []
    for kind in RegionKind:
        stream = io.BytesIO()
        certify_regions(network, domain, kind, stream)
        stream.seek(0)
        proved, counted = api.check(stream, network), counts.of(kind)
        assert counted is not None
        assert (proved.lower, proved.upper) == (counted.lower, counted.upper)
        found.append(counted.lower)
    return tuple(found)


@pytest.fixture
def exactly(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that floats and short multipliers did not settle."""
    asked: list[int] = []
    exact = ball_proof._BallRefuter._exact

    def counting(self: ball_proof._BallRefuter, g: int) -> list[tuple[int, F]]:
        asked.append(g)
        return exact(self, g)

    monkeypatch.setattr(ball_proof._BallRefuter, "_exact", counting)
    return asked


@pytest.mark.parametrize(("rows", "cells", "exact"), [
    ([(1, 0, 0), (0, 1, -1)], 2, False),                      # tangent, with numbers that floats have
    ([(1, 0, F(-1, 3)), TANGENT], 2, False),
    ([(0, 1, 0), TANGENT], 2, False),
    ([(1, -1, F(1, 5)), (1, 0, F(-3, 5)), TANGENT], 3, True),  # two lines meet on the sphere, where a third touches it
    ([(1, 0, F(-3, 5)), (0, 1, F(-4, 5))], 3, True),           # they cut off two caps that touch
    ([(1, 0, F(-3, 5)), (0, 1, F(-4, 5)), (1, 1, F(-7, 5))], 4, True),
    ([(1, 0, 0), (0, 1, 0), (1, 1, 0), (1, -1, 0)], 8, False),  # lines through the centre
    ([(1, 0, F(-1, 2)), (2, 0, -1), (-3, 0, F(3, 2)), (0, 0, 0), (0, 0, 1)], 2, False),
    ([(1, 0, F(-3, 2)), (0, 1, 2)], 1, False),                # nothing meets the ball
])
def test_rows_that_touch_and_coincide(exactly: list[int], rows: list[tuple[F | int, ...]], cells: int, exact: bool
                                      ) -> None:
    assert certified(lines(*rows), DISK)[0] == cells
    assert not exact or exactly
    moved = Ball((F(2, 7), F(-1, 3)), F(5, 3), "2")
    there = [(*row[:2], F(5, 3) * row[2] - row[0] * moved.centre[0] - row[1] * moved.centre[1]) for row in rows]
    assert certified(lines(*there), moved)[0] == cells


def test_floats_settle_what_is_in_general_position(exactly: list[int]) -> None:
    rng = np.random.default_rng(3)
    network = Network.from_arrays([rng.standard_normal((8, 3)), rng.standard_normal((6, 8)) / 3,
                                   rng.standard_normal((1, 6))],
                                  [rng.standard_normal(8) / 3, rng.standard_normal(6) / 3, np.zeros(1)])
    assert certified(network, Ball((F(0),) * 3, F(1), "2"))[0] > 50
    assert not exactly


def test_hyperplanes_in_any_number_of_inputs() -> None:
    """Coordinate hyperplanes through the centre, one that touches, one beside it; each coordinate twice."""
    for n in (1, 2, 3, 5):
        unit = [tuple(F(i == j) for j in range(n)) for i in range(n)]
        rows = [*((*u, F(0)) for u in unit), *((*(-2 * v for v in u), F(0)) for u in unit), (*unit[0], F(-1)),
                (*unit[0], F(-2)), (*unit[-1], F(-1, 2))]
        counts = certified(lines(*rows), Ball((F(0),) * n, F(1), "2"))
        assert counts[0] == 3 * 2**(n - 1)


class Liar:
    """Proposals of all kinds, none of them meant."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def push_out(self, facets: np.ndarray, goals: np.ndarray) -> np.ndarray:
        made = self.rng.choice([0.0, 1.0, 2.0**40, -1.0, np.nan, np.inf], size=(len(goals), len(facets) + 1))
        return np.asarray(made)

    def bases(self, gradients: np.ndarray, offsets: np.ndarray, places: list[int], targets: list[int], inside: object
              ) -> dict[int, tuple[int, ...]]:
        size = gradients.shape[1]
        if len(places) < size:
            return {}
        return {g: tuple(sorted(self.rng.choice(places, size, replace=False).tolist())) for g in targets}


@pytest.mark.parametrize("seed", range(6))
def test_floats_that_lie_cost_time_alone(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    rng = random.Random(seed)
    network = random_network(rng, seed % 2 == 0, inputs=2)
    liar = Liar(seed)
    monkeypatch.setattr(LpWalk, "push_out", liar.push_out)
    monkeypatch.setattr(partition_proof, "vertex_bases", liar.bases)
    certified(network, Ball((F(rng.randint(-1, 1), 2), F(0)), F(3, 2), "2"))
    certified(network, None)


def test_wrong_confidence_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything called clear the check refuses the first proof, and the careful one is taken."""
    walk = RegionWalk(lines((1, 0, F(-3, 5)), (0, 1, F(-4, 5)), (1, 1, F(-7, 5))), DISK)
    cells = list(walk.cells())
    monkeypatch.setattr(ball_proof, "CLEAR", -np.inf)
    with pytest.raises(InvalidCertificate, match="prove nothing"):
        check_cells(walk.network, 1, ball_of(walk), ball_frames(walk, cells))
    assert len(ball_partition_proof(walk, cells, joins=True).theorem.claim.patterns) == 4


@pytest.mark.parametrize("power", [-1100, -300, 300, 1100])
def test_numbers_beyond_floats(power: int) -> None:
    scale = F(2) ** power
    rows = [(1, 0, F(-1, 3)), (scale, scale, scale / 7), (0, scale, -1), (1, scale, 0)]
    for domain in (DISK, None, Ball((scale, F(0)), F(1), "2")):
        certified(lines(*rows), domain)


def test_bases_of_redundant_rows() -> None:
    """In a cube with its corners cut off: a basis for each row that does not bound it, and for no other."""
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 5):
        eye = np.eye(n, dtype=int).tolist()
        bounds = [*((*row, 2) for row in eye), *((*(-v for v in row), 2) for row in eye), (*(-1,) * n, 2 * n - 1)]
        others = [(*row, t) for row, t in zip(rng.integers(-3, 4, (40, n)).tolist(), rng.integers(0, 25, 40).tolist(),
                                              strict=True) if any(row)]
        rows = [*bounds, *others]
        floats = np.array(rows, dtype=np.float64)
        targets = [*range(len(bounds), len(rows))]
        found = vertex_bases(floats[:, :-1], floats[:, -1], range(len(bounds)), targets, np.zeros(n))
        corners = np.array(np.meshgrid(*[[-2, 2]] * n)).reshape(n, -1).T
        cut = np.array([[1 if i == j else 2 for j in range(n)] for i in range(n)])
        vertices = np.concatenate([corners[corners.sum(axis=1) < 2 * n], cut])
        for g in targets:
            least = (vertices @ np.array(rows[g][:-1])).min() + rows[g][-1]
            assert (g in found) == (least >= 0)
            if least > 0:
                assert basis_refutes(rows, found[g], [g])
    assert vertex_bases(np.eye(2), np.ones(2), [0], [1], np.zeros(2)) == {}  # no vertex


def test_every_way_is_used() -> None:
    """Bases, multipliers of the ball alone, and of bounds, in one proof."""
    walk = RegionWalk(lines((1, 0, F(-1, 2)), (0, 1, F(-1, 2)), (1, 1, F(-3, 5)), (4, 1, 0), (1, -1, 3)),
                      convex_domain(lines((1, 0, 0)), DISK))
    prover = ball_proof._BallProver(walk, list(walk.cells()), False, False, lambda: None)
    proofs = [prover.proof(number, True) for number in range(len(prover.cells))]
    used = [weights for proof in proofs for weights in proof.multipliers]
    assert any(proof.bases for proof in proofs)
    assert [] in used
    assert any(used)
