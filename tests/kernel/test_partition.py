"""Proofs of partitions: accepted and right on random and degenerate networks; mutants and hand-made proofs."""

from __future__ import annotations

import math
import random
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction as F
from pathlib import Path

import pytest

from tests import reference
from tests.engines.test_propagate import cube, modular, one_layer
from tests.strategies import random_box, random_network
from verifier import kernel
from verifier.engines import partition_frames, partition_proof
from verifier.engines.adjacency import facet_pairs
from verifier.engines.partition_frames import CellProof, encode_batch, encode_head
from verifier.engines.partition_proof import IncompleteError, prove_cells
from verifier.engines.propagate import Cell, Propagation, Region
from verifier.geometry.chart import EmptyDomainError
from verifier.kernel.certificate import MAX_BATCH, MAX_LEAF_BYTES, Fields, InvalidCertificate
from verifier.kernel.checker import Theorem
from verifier.kernel.domain import Ball, Domain, Polytope, hull_of
from verifier.kernel.network import Layer, Network
from verifier.kernel.partition import BASES, FACET, MULTIPLIERS, NEIGHBOUR, Cells, PartitionMachine, check_cells
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Matrix

ONE = F(1)


def found_cells(region: Region, representation: str = "auto") -> list[Cell]:
    return list(Propagation(region, representation).cells())


def checked(region: Region, frames: Iterable[bytes]) -> Cells:
    layers = len(region.kept)
    theorem = check_cells(region.network, layers, Polytope(region.box, region.rows), frames)
    assert isinstance(theorem, Theorem)
    claim = theorem.claim
    assert isinstance(claim, Cells)
    return claim


def proved(region: Region, representation: str = "auto", careful: bool = False) -> Cells:
    cells = found_cells(region, representation)
    claim = checked(region, prove_cells(region, cells, joins=True, careful=careful))
    assert claim.complete
    assert claim.patterns == tuple(cell.signs for cell in cells)
    return claim


# --- random networks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("representation", "seeds"), [("vertices", range(40)), ("lp", range(100, 120))])
def test_random_networks_have_the_counts_of_brute_force(representation: str, seeds: range) -> None:
    compared = 0
    for seed in seeds:
        rng = random.Random(seed)
        network = random_network(rng, seed % 4 > 0)
        box = random_box(rng, network.inputs, seed % 4 > 0, bounded=representation == "vertices")
        expected = reference.cells(network, box)
        if len(expected) > 60:
            continue
        claim = proved(Region(network, box), representation, careful=seed % 5 == 0)
        assert len(claim.patterns) == len(expected), seed
        assert claim.maps == reference.affine_pieces(expected), seed
        if len(expected) <= 16:
            compared += 1
            assert claim.linear == (reference.linear_regions(expected),) * 2, seed
    assert compared > len(seeds) // 3


def test_polytopes_flat_ones_too() -> None:
    empty = flat = 0
    for seed in range(60):
        rng = random.Random(seed)
        network = random_network(rng, True)
        box = random_box(rng, network.inputs, True, bounded=True)
        rows = [HalfSpace(tuple(F(rng.randint(-2, 2)) for _ in range(network.inputs)), F(rng.randint(-2, 3), 2))
                for _ in range(rng.randint(1, 3))]
        if seed % 3 == 0:
            rows.append(HalfSpace(tuple(-v for v in rows[0].normal), -rows[0].offset))
        region = Region(network, box, tuple(rows))
        try:
            cells = found_cells(region)
        except EmptyDomainError:
            empty += 1
            continue
        flat += cells[0].chart.dimension < network.inputs
        claim = checked(region, prove_cells(region, cells))
        assert len(claim.patterns) == len(cells)
    assert flat > 10
    assert empty < 30


TABLE = [((2, 3, 1), 7, 1, 7, 4), ((2, 4, 2), 11, 1, 11, 11), ((2, 3, 3, 1), 7, 1, 17, 9), ((2, 4, 4, 2), 7, 1, 30, 30),
         ((2, 5, 5, 5, 1), 7, 1, 73, 51), ((2, 5, 5, 5, 1), 7, 3, 77, 54), ((2, 8, 8, 2), 7, 1, 106, 105),
         ((2, 8, 8, 2), 7, 3, 109, 108)]


@pytest.mark.parametrize(("widths", "p", "r", "cells", "regions"), TABLE)
def test_the_tables(widths: tuple[int, ...], p: int, r: int, cells: int, regions: int) -> None:
    claim = proved(Region(modular(widths, p), cube(2, r)))
    assert (len(claim.patterns), claim.maps, claim.linear) == (cells, regions, (regions, regions))


@pytest.mark.parametrize("box", [cube(2, 3), Box.whole_space(2), Box((F(0), None), (None, F(1)))])
def test_no_unit_at_all_and_layers_before_the_last(box: Box) -> None:
    network = modular((2, 4, 4, 2), 7)
    assert proved(Region(network, box, (), 0)).patterns == (b"",)
    claim = proved(Region(network, box, (), 1))
    assert len(claim.patterns) == len(reference.cells(Network(network.layers[:1]), box))
    point = Box.from_bounds([1, 2], [1, 2])
    assert len(proved(Region(network, point)).patterns) == 1


def test_a_fold_that_is_no_fold_and_regions_that_do_not_join() -> None:
    """x = relu(x) - relu(-x) has one linear region; |x| made 0 outside [-1, 1] has one map on two regions."""
    assert proved(Region(Network.from_arrays([[[1], [-1]], [[1, -1]]], [[0, 0], [0]]), cube(1, 2))).linear == (1, 1)
    hat = Network.from_arrays([[[1], [1], [1]], [[1, -2, 1]]], [[1, 0, -1], [0]])
    claim = proved(Region(hat, cube(1, 2)))
    assert (len(claim.patterns), claim.maps, claim.linear) == (4, 3, (4, 4))


def test_only_the_cell_across_is_accepted_across_a_facet() -> None:
    """The theorem on neighbours, on degenerate networks: no other listed cell passes for the one beyond a facet."""
    facets = 0
    for seed in range(40):
        rng = random.Random(seed)
        network = random_network(rng, True)
        box = random_box(rng, network.inputs, True, bounded=True)
        region = Region(network, box)
        cells = found_cells(region)
        prover = partition_proof.Prover(region, cells, False, False)
        head = encode_head(region.kept, [cell.signs for cell in cells], True, prover.equations)
        machine = PartitionMachine(network, len(network.layers), Polytope(box), head)
        for pair in facet_pairs(cells):
            for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
                work = partition_proof.CellWork(prover, one)
                units, zeros = machine._rows(one, cells[one].signs, work.interior)
                assert list(units) == work.own
                point = [v * math.lcm(*(w.denominator for w in prover.from_chart(pair.point)))
                         for v in (*prover.from_chart(pair.point), ONE)]
                (own,) = (mask for row, mask in units.items()
                          if sum(a * v for a, v in zip(row, point, strict=True)) == 0)
                passing = [number for number, pattern in enumerate(map(machine.pattern, range(machine.count)))
                           if number != one and not (pattern ^ machine.pattern(one)) & ~(own | zeros)]
                assert passing == [other]
                facets += 1
    assert facets > 300


# --- one-sided proofs, and what is missing ---------------------------------------------------------------------------


def test_some_cells_are_a_lower_bound() -> None:
    region = Region(modular((2, 5, 5, 5, 1), 7), cube(2))
    cells = found_cells(region)[:40]
    claim = checked(region, prove_cells(region, cells, complete=False))
    assert not claim.complete
    assert len(claim.patterns) == 40
    assert claim.linear == (claim.maps, None)
    with pytest.raises(IncompleteError):
        list(prove_cells(region, cells))


# --- mutants ---------------------------------------------------------------------------------------------------------


class Proof:
    """A proof in parts, to be changed: three lines through a point, in general position with a fourth, and a layer
    after them; the output's map is the same across one of the lines."""

    def __init__(self) -> None:
        first = one_layer([(1, 0, 0), (0, 1, 0), (1, 1, 0), (1, -1, F(-1, 2)), (2, 0, 0), (-1, 0, 0)]).layers[0]
        second = Layer.relu(Matrix.from_rationals([(0, 1, 1, 0, 0, 0), (0, 1, -2, 1, 0, 0)]), Matrix.column([-1, 0]))
        self.region = Region(Network((first, second)), cube(2))
        self.cells = found_cells(self.region)
        self.prover = partition_proof.Prover(self.region, self.cells, True, False)
        self.parts = [self.prover.proof(number, True) for number in range(len(self.cells))]

    def check(self, parts: list[CellProof] | None = None, cells: list[Cell] | None = None) -> Cells:
        shown = self.cells if cells is None else cells
        head = encode_head(self.region.kept, [cell.signs for cell in shown], True, self.prover.equations)
        return checked(self.region, [head, encode_batch(self.parts if parts is None else parts)])


@pytest.fixture(scope="module")
def proof() -> Proof:
    return Proof()


def test_the_proof_that_is_mutated(proof: Proof) -> None:
    claim = proof.check()
    assert claim.linear[0] == claim.linear[1] < len(claim.patterns)
    kinds = {how for part in proof.parts for how in part.how}
    assert {NEIGHBOUR, FACET, BASES} <= kinds


def test_a_dropped_or_doubled_or_repeated_cell(proof: Proof) -> None:
    for number in range(len(proof.cells)):
        def left(i: int, number: int = number) -> int:
            return i - (i > number)

        cells = [cell for i, cell in enumerate(proof.cells) if i != number]
        parts = [replace(part, neighbours=[left(i) for i in part.neighbours])
                 for i, part in enumerate(proof.parts) if i != number]
        with pytest.raises(InvalidCertificate):
            proof.check(parts, cells)
        with pytest.raises(InvalidCertificate, match="same pattern"):
            proof.check([*proof.parts, proof.parts[number]], [*proof.cells, proof.cells[number]])
    with pytest.raises(InvalidCertificate, match="ends after"):
        proof.check(proof.parts[:-1])
    with pytest.raises(InvalidCertificate, match="has the number of its cells"):
        proof.check([*proof.parts, proof.parts[0]])


def test_a_point_moved_out_of_its_cell(proof: Proof) -> None:
    for number, part in enumerate(proof.parts):
        for other in (*(q.point for i, q in enumerate(proof.parts) if i != number), (F(0), F(0)), (F(2), F(2)),
                      (ONE, ONE / 3)):
            with pytest.raises(InvalidCertificate, match="point"):
                proof.check([replace(part, point=other) if i == number else p for i, p in enumerate(proof.parts)])


def test_wrong_neighbours(proof: Proof) -> None:
    rejected = 0
    for number, part in enumerate(proof.parts[:6]):
        for place, right in enumerate(part.neighbours):
            for other in range(len(proof.cells) + 1):
                if other == right:
                    continue
                neighbours = [*part.neighbours[:place], other, *part.neighbours[place + 1:]]
                with pytest.raises(InvalidCertificate, match="cannot lie across"):
                    proof.check([replace(part, neighbours=neighbours) if i == number else p
                                 for i, p in enumerate(proof.parts)])
                rejected += 1
    assert rejected > 100


def test_a_facet_cannot_be_proved_away(proof: Proof) -> None:
    """For each facet every pair of rows as a basis, and every single row as multipliers."""
    for number, part in enumerate(proof.parts[:3]):
        rows = partition_proof.CellWork(proof.prover, number).rows
        for place, how in enumerate(part.how):
            if how > FACET:
                continue
            at = sum(h <= FACET for h in part.how[:place])
            fewer = replace(part, neighbours=part.neighbours[:at] + part.neighbours[at + 1:], joins=[
                p for j, p in zip([i for i, h in enumerate(part.how) if h == FACET], part.joins, strict=True)
                if j != place])
            for a in range(len(rows)):
                for b in range(a):
                    changed = replace(fewer, how=[*part.how[:place], BASES + len(part.bases), *part.how[place + 1:]],
                                      bases=[*part.bases, (a, b)])
                    with pytest.raises(InvalidCertificate, match="proves nothing"):
                        proof.check([changed if i == number else p for i, p in enumerate(proof.parts)])
                for weight in (ONE, F(1, 2), F(-1)):
                    before = sum(h == MULTIPLIERS for h in part.how[:place])
                    changed = replace(fewer, how=[*part.how[:place], MULTIPLIERS, *part.how[place + 1:]],
                                      multipliers=[*part.multipliers[:before], [(a, weight)],
                                                   *part.multipliers[before:]])
                    with pytest.raises(InvalidCertificate, match="prove nothing" if weight > 0 else "malformed"):
                        proof.check([changed if i == number else p for i, p in enumerate(proof.parts)])


def test_wrong_bases(proof: Proof) -> None:
    """A basis with one row exchanged proves nothing, or the same."""
    rejected = 0
    for number, part in enumerate(proof.parts[:6]):
        count = len(partition_proof.CellWork(proof.prover, number).rows)
        for place, basis in enumerate(part.bases):
            for row in (*range(count), count, 10**6):
                bases = [*part.bases[:place], (basis[0], row), *part.bases[place + 1:]]
                try:
                    claim = proof.check([replace(part, bases=bases) if i == number else p
                                         for i, p in enumerate(proof.parts)])
                    assert claim.patterns == tuple(cell.signs for cell in proof.cells)
                except InvalidCertificate:
                    rejected += 1
    assert rejected > 30


def test_wrong_joins(proof: Proof) -> None:
    """A join with a wrong point is rejected; without its point it leaves a gap between the bounds."""
    number = next(i for i, part in enumerate(proof.parts) if part.joins)
    part = proof.parts[number]
    for point in (part.point, (F(0), F(0)), (F(5), F(5)), (part.joins[0][0], part.joins[0][1] + F(1, 2**60))):
        with pytest.raises(InvalidCertificate, match="facet point"):
            proof.check([replace(part, joins=[point, *part.joins[1:]]) if i == number else p
                         for i, p in enumerate(proof.parts)])
    whole = proof.check().linear
    place = part.how.index(FACET)
    silent = replace(part, how=[*part.how[:place], NEIGHBOUR, *part.how[place + 1:]], joins=part.joins[1:])
    assert proof.check([silent if i == number else p for i, p in enumerate(proof.parts)]).linear == (
        whole[0], (whole[1] or 0) + 1)


def test_entries_too_many_or_too_few(proof: Proof) -> None:
    part = proof.parts[0]
    for changed in (replace(part, how=part.how[:-1]), replace(part, how=[*part.how, 0]),
                    replace(part, neighbours=[*part.neighbours, 1]), replace(part, joins=[*part.joins, part.point]),
                    replace(part, multipliers=[*part.multipliers, [(0, ONE)]]), replace(part, bases=part.bases[:-1]),
                    replace(part, point=(*part.point, ONE)), replace(part, point=())):
        with pytest.raises(InvalidCertificate):
            proof.check([changed, *proof.parts[1:]])


def test_two_cells_merged() -> None:
    """A pattern that is right on both sides of a hyperplane but for one unit is no cell."""
    region = Region(one_layer([(1, 0, 0), (0, 1, 0)]), cube(2))
    head = encode_head(region.kept, [b"\1\1", b"\1\0", b"\0\1"], True)
    merged = CellProof((F(-1, 2), F(1, 2)), [NEIGHBOUR, NEIGHBOUR], [0, 1])
    right = CellProof((F(1, 2), F(1, 2)), [NEIGHBOUR, NEIGHBOUR], [2, 1])
    lower = CellProof((F(1, 2), F(-1, 2)), [NEIGHBOUR, NEIGHBOUR], [2, 0])
    with pytest.raises(InvalidCertificate, match="cannot lie across"):
        checked(region, [head, encode_batch([right, lower, merged])])


def test_a_zero_unit_is_inactive() -> None:
    region = Region(one_layer([(0, 0, 0), (1, 0, 0)]), cube(2))
    cells = found_cells(region)
    assert len(checked(region, prove_cells(region, cells)).patterns) == 2
    parts = [CellProof((F(1, 2), F(0)), [NEIGHBOUR], [1]), CellProof((F(-1, 2), F(0)), [NEIGHBOUR], [0])]
    with pytest.raises(InvalidCertificate, match="not marked inactive"):
        checked(region, [encode_head(region.kept, [b"\1\1", b"\1\0"], True), encode_batch(parts)])


# --- bytes -----------------------------------------------------------------------------------------------------------


def test_every_byte_matters_or_changes_nothing_of_the_claim() -> None:
    region = Region(modular((2, 3, 1), 7), cube(2))
    cells = found_cells(region)
    frames = list(prove_cells(region, cells, joins=True))
    truth = (7, 4, (4, 4))
    rng = random.Random(1)
    rejected = 0
    for _ in range(600):
        number = rng.randrange(len(frames))
        data = bytearray(frames[number])
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            claim = checked(region, [*frames[:number], bytes(data), *frames[number + 1:]])
        except InvalidCertificate:
            rejected += 1
            continue
        # fewer joins widen the bounds, and a proof may lose its claim to all cells; nothing false is proved
        assert len(claim.patterns) == truth[0]
        assert claim.maps == truth[1]
        assert claim.linear[0] <= 4 <= (claim.linear[1] or 4)
    assert rejected > 400
    for cut in ([], frames[:1], [*frames, b""], [frames[0][:-1], *frames[1:]], [*frames, frames[-1]]):
        with pytest.raises(InvalidCertificate):
            checked(region, cut)


def test_another_network_or_domain() -> None:
    region = Region(modular((2, 3, 1), 7), cube(2))
    frames = list(prove_cells(region, found_cells(region)))
    for other in (Region(modular((2, 3, 1), 11), cube(2)), Region(region.network, cube(2, F(1, 8)))):
        with pytest.raises(InvalidCertificate):
            checked(other, frames)
    with pytest.raises(InvalidCertificate, match="does not fit the network"):
        check_cells(region.network, 3, Polytope(cube(2)), frames)
    with pytest.raises(InvalidCertificate, match="does not fit the network"):
        check_cells(region.network, 2, Polytope(cube(3)), frames)


def test_the_example_of_the_page() -> None:
    network = Network.from_arrays([[[1], [-1]], [[1, 1]]], [[0, 0], [0]])
    region = Region(network, Box.from_bounds([-1], [2]))
    head = encode_head(region.kept, [b"\1\0\1", b"\0\1\1"], True)
    batch = encode_batch([CellProof((ONE,), [NEIGHBOUR], [1]), CellProof((F(-1, 2),), [NEIGHBOUR], [0])])
    claim = checked(region, [head, batch])
    assert (len(claim.patterns), claim.linear) == (2, (2, 2))
    shown = []
    for frame in (head, batch):
        fields = Fields(frame)
        while not fields.finished:
            shown.append(fields.field())
    page = (Path(kernel.__file__).parent / "CERTIFICATE.md").read_text()
    lines = page.split("```cells\n")[1].split("\n```")[0].splitlines()
    assert [line.strip('"').replace("\\n", "\n").encode() if line.startswith('"') else
            b"" if line == "(no text)" else bytes.fromhex(line) for line in lines] == shown
    other = Network.from_arrays([[[1], [1]], [[1, 1]]], [[0, -3], [0]])
    region = Region(other, region.box)
    right = CellProof((ONE,), [NEIGHBOUR, BASES], [1], bases=[(3,)])
    left = CellProof((F(-1, 2),), [NEIGHBOUR, BASES], [0], bases=[(3,)])
    head = encode_head(region.kept, [b"\1\0\1", b"\0\0\1"], True)
    assert len(checked(region, [head, encode_batch([right, left])]).patterns) == 2
    for row in (0, 1, 2):
        with pytest.raises(InvalidCertificate, match="proves nothing"):
            checked(region, [head, encode_batch([replace(right, bases=[(row,)]), left])])


# --- domains ---------------------------------------------------------------------------------------------------------


def test_equations_need_their_proof() -> None:
    flat = Polytope(Box((F(0), None), (F(0), None)), (HalfSpace((ONE, ONE), ONE),))
    assert hull_of(flat, {0: 1, 1: 1}).free == (1,)
    for wrong in ({0: 1}, {0: 1, 1: 2}, {0: -1, 1: -1}, {3: 1}, {0: 1, 1: 1, 2: 0}):
        with pytest.raises(InvalidCertificate):
            hull_of(flat, wrong)
    rows = [HalfSpace((ONE,), F(0)), HalfSpace((-ONE,), F(0)), HalfSpace((ONE,), ONE), HalfSpace((-ONE,), -ONE)]
    with pytest.raises(InvalidCertificate, match="contradict"):
        hull_of(Polytope(Box.whole_space(1), tuple(rows)), dict.fromkeys(range(4), 1))


def test_a_flat_domain_taken_for_a_full_one() -> None:
    region = Region(one_layer([(1, 0, 0)]), Box.from_bounds([0, 0], [0, 1]))
    assert len(proved(region).patterns) == 1
    parts = [CellProof((F(0), F(1, 2)), [MULTIPLIERS], multipliers=[[(1, ONE)]])]
    with pytest.raises(InvalidCertificate, match="not inside"):
        checked(region, [encode_head(region.kept, [b"\0"], True), encode_batch(parts)])


def ball(network: Network, domain: Domain, patterns: list[bytes], parts: list[CellProof]) -> Cells:
    frames = [encode_head(network.layers[:1], patterns, True), encode_batch(parts)]
    claim = check_cells(network, 1, domain, frames).claim
    assert isinstance(claim, Cells)
    return claim


LINES = one_layer([(3, 4, 0), (0, 1, -1), (3, 4, -5)])
"""The second line and the third touch the unit disk."""


def test_lines_that_touch_a_disk_do_not_count() -> None:
    disk = Ball((F(0), F(0)), ONE, 2)
    patterns = [b"\1\0\0", b"\0\0\0"]
    upper = CellProof((F(1, 8), F(1, 8)), [FACET, MULTIPLIERS, MULTIPLIERS], [1], [(F(0), F(0))], [[], []])
    lower = CellProof((F(-1, 8), F(-1, 8)), [NEIGHBOUR, MULTIPLIERS, MULTIPLIERS], [0], [], [[], []])
    claim = ball(LINES, disk, patterns, [upper, lower])
    assert (len(claim.patterns), claim.maps, claim.linear) == (2, 2, (2, 2))
    with pytest.raises(InvalidCertificate, match="not inside"):
        ball(LINES, disk, patterns, [replace(upper, point=(F(3, 5), F(4, 5))), lower])
    with pytest.raises(InvalidCertificate, match="facet point"):
        ball(LINES, disk, patterns, [replace(upper, joins=[(F(4, 5), F(-3, 5))]), lower])
    for radius in (ONE + F(1, 2**40), F(2)):
        with pytest.raises(InvalidCertificate, match="prove nothing"):
            ball(LINES, Ball((F(0), F(0)), radius, 2), patterns, [upper, lower])
    with pytest.raises(InvalidCertificate, match="prove nothing"):
        ball(LINES, Ball((F(0), F(1, 8)), ONE, 2), patterns, [upper, lower])


def test_a_line_through_the_disk_but_not_through_the_cell() -> None:
    """Three parallel lines: across the first cell's boundary lies the second, and the last is behind that."""
    network = one_layer([(1, 0, 0), (1, 0, F(-1, 2))])
    disk = Ball((F(0), F(0)), ONE, 2)
    patterns = [b"\0\0", b"\1\0", b"\1\1"]
    left = CellProof((F(-1, 2), F(0)), [NEIGHBOUR, MULTIPLIERS], [1], [], [[(0, ONE)]])
    middle = CellProof((F(1, 4), F(0)), [NEIGHBOUR, NEIGHBOUR], [0, 2])
    right = CellProof((F(3, 4), F(0)), [MULTIPLIERS, NEIGHBOUR], [1], [], [[(1, F(1, 2))]])
    assert len(ball(network, disk, patterns, [left, middle, right]).patterns) == 3
    half = replace(left, multipliers=[[(0, F(1, 4))]])
    assert len(ball(network, disk, patterns, [left, middle, right]).patterns) == 3
    with pytest.raises(InvalidCertificate, match="prove nothing"):
        ball(network, disk, patterns, [half, middle, right])


@pytest.mark.parametrize(("norm", "radius", "touches"), [(1, F(1), True), (1, F(9, 8), False), (2, F(1), False),
                                                         (2, F(7, 10), True)])
def test_diamonds(norm: int, radius: F, touches: bool) -> None:
    """x + y = 1 is at 1-norm distance 1 from the origin and at 2-norm distance 1/sqrt(2)."""
    network = one_layer([(1, 1, -1)])
    whole = CellProof((F(0), F(0)), [MULTIPLIERS], multipliers=[[]])
    domain = Ball((F(0), F(0)), radius, norm)
    if touches:
        assert len(ball(network, domain, [b"\0"], [whole]).patterns) == 1
    else:
        with pytest.raises(InvalidCertificate, match="prove nothing"):
            ball(network, domain, [b"\0"], [whole])


def test_balls_are_balls() -> None:
    for norm, radius in ((2, F(0)), (2, F(-1)), (3, ONE)):
        with pytest.raises(ValueError, match="a ball has"):
            Ball((F(0),), radius, norm)
    with pytest.raises(ValueError, match="not strict"):
        Polytope(cube(1), (HalfSpace((ONE,), ONE, strict=True),))


def test_only_the_checker_makes_theorems() -> None:
    claim = proved(Region(modular((2, 3, 1), 7), cube(2)))
    with pytest.raises(TypeError, match="only the checker"):
        Theorem(claim, "exact integers", 7, object())


# --- what hostile files ask for --------------------------------------------------------------------------------------


INTERVAL = Region(Network.from_arrays([[[1], [-1]], [[1, 1]]], [[0, 0], [0]]), Box.from_bounds([-1], [2]))
BOTH = encode_head(INTERVAL.kept, [b"\1\0\1", b"\0\1\1"], True)


def fields(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def head_of(equations: bytes = b"", patterns: bytes = b"\x80\x40") -> bytes:
    return fields(words(2, 1), equations, patterns)


def test_memory_is_that_of_the_frames() -> None:
    """Nothing is made of what the cells do not need: before, each of these took hundreds of times its size."""
    size = 6_000_000
    batches = [fields(words(2), b"11\n" * (size // 3), b"", b"", b"", b"", b""),
               fields(words(2), b"\n" * size, b"", b"", b"", b"", b""),
               fields(words(2), b"1\n-1/2\n", words(70_000) * (size // 4), b"", b"", b"", b""),
               fields(words(2), b"1\n-1/2\n", words(0, 0), words(1, 0), b"\n" * size, b"\n" * size, words(0, 0)),
               fields(words(2), b"1 " * size + b"\n", b"", b"", b"", b"", b""),
               fields(words(2), b"1\n-1/2\n", words(2, 2), b"", b"", b"1" + b" 0:1" * (size // 4) + b"\n", b"")]
    heads = [head_of(b" " * size), head_of(b"1:1 " * (size // 4))]
    for frames in ([[BOTH, batch] for batch in batches] + [[head] for head in heads]):
        tracemalloc.start()
        with pytest.raises(InvalidCertificate):
            checked(INTERVAL, frames)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * len(frames[-1]) + 1_000_000


def test_patterns_stay_bytes() -> None:
    region = Region(one_layer([(1, 0, 0)] * 96), cube(2))
    count = 200_000
    packed = b"".join((i << 32).to_bytes(12, "big") for i in range(count))
    head = fields(words(count, 1), b"", packed)
    tracemalloc.start()
    machine = PartitionMachine(region.network, 1, Polytope(region.box), head)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(head) + 1_000_000
    assert [machine.pattern(i) for i in (0, 1, count - 1)] == [0, 1 << 32, (count - 1) << 32]
    with pytest.raises(InvalidCertificate, match="same pattern"):
        PartitionMachine(region.network, 1, Polytope(region.box),
                         fields(words(count, 1), b"", packed[:-12] + packed[:12]))


def test_limits_of_a_batch() -> None:
    machine = PartitionMachine(Network((Layer.relu(Matrix.from_rationals([[0]] * 16, 1), Matrix.column([0] * 16)),)), 1,
                               Polytope(Box.whole_space(1)),
                               fields(words(5000, 1), b"", b"".join(i.to_bytes(2, "big") for i in range(5000))))
    for count in (0, MAX_BATCH + 1, 5000):
        with pytest.raises(InvalidCertificate, match="from 1 to 4096"):
            list(machine.batch(fields(words(count), b"", b"", b"", b"", b"", b"")))
    for place in (1, 4, 5):
        parts = [words(2), b"", b"", b"", b"", b"", b""]
        parts[place] = b"1" * (MAX_LEAF_BYTES + 1)
        with pytest.raises(InvalidCertificate, match="at most 16777216 are read"):
            checked(INTERVAL, [BOTH, fields(*parts)])


def test_writers_make_batches_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    region = Region(modular((2, 3, 1), 7), cube(2))
    cells = found_cells(region)
    whole = list(prove_cells(region, cells))
    monkeypatch.setattr(partition_frames, "MAX_LEAF_BYTES", len(whole[1]) // 2)
    split = list(prove_cells(region, cells))
    assert len(whole) == 2
    assert max(map(len, split[1:])) <= len(whole[1]) // 2
    assert len(checked(region, split).patterns) == 7


def test_lines_of_multipliers() -> None:
    """``x - 3`` is constant in sign on both cells; -(x - 3) = (2 - x) + 1 with the upper bound's row."""
    region = Region(Network.from_arrays([[[1], [1]], [[1, 1]]], [[0, -3], [0]]), INTERVAL.box)
    head = encode_head(region.kept, [b"\1\0\1", b"\0\0\1"], True)
    for line, message in (("1 3:1", None), ("7 3:7", None), ("2 3:1", "prove nothing"), ("0 3:0", "prove nothing"),
                          ("1 3:1 3:1", "two of one row"), ("1 4:1", "prove nothing"), ("", "malformed"),
                          ("1", "prove nothing"), ("1/2 3:1", "malformed"), ("-1 3:1", "malformed"),
                          ("1 3:-1", "malformed"), ("1 3", "malformed"), ("1  3:1", "malformed")):
        batch = fields(words(2), b"1\n-1/2\n", words(0, 2, 0, 3), words(1, 0), b"", f"{line}\n".encode(),
                       words(0, 1, 3))
        if message is None:
            assert len(checked(region, [head, batch]).patterns) == 2
        else:
            with pytest.raises(InvalidCertificate, match=message):
                checked(region, [head, batch])


def test_a_check_may_be_stopped_within_a_batch() -> None:
    region = Region(modular((2, 5, 5, 5, 1), 7), cube(2))
    frames = list(prove_cells(region, found_cells(region)))
    assert len(frames) == 2
    told = []

    def progress(done: int, still: int) -> None:
        told.append((done, still))
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_cells(region.network, len(region.kept), Polytope(region.box), frames, progress)
    assert told == [(i, 73 - i) for i in range(1, 6)]


def test_a_facet_point_on_another_row_joins_nothing() -> None:
    """|x| + |y| summed to 0: four cells meet at the origin, from where each lies across every row."""
    region = Region(one_layer([(1, 0, 0), (0, 1, 0)]), cube(2))
    head = encode_head(region.kept, [b"\1\1", b"\1\0", b"\0\1", b"\0\0"], True)
    across = {0: [2, 1], 1: [3, 0], 2: [0, 3], 3: [1, 2]}
    corners = [(F(1, 2), F(1, 2)), (F(1, 2), F(-1, 2)), (F(-1, 2), F(1, 2)), (F(-1, 2), F(-1, 2))]
    for point, right in (((F(0), F(1, 2)), True), ((F(0), F(0)), False), ((F(0), F(1)), False)):
        parts = [CellProof(corner, [FACET if i == 0 else NEIGHBOUR, NEIGHBOUR], across[i], [point] if i == 0 else [])
                 for i, corner in enumerate(corners)]
        if right:
            assert len(checked(region, [head, encode_batch(parts)]).patterns) == 4
        else:
            with pytest.raises(InvalidCertificate, match="facet point"):
                checked(region, [head, encode_batch(parts)])


@pytest.mark.parametrize("norm", [1, 2])
def test_what_is_positive_somewhere_on_a_ball(norm: int) -> None:
    unit = Ball((F(0),), ONE, norm)
    assert not unit.never_positive((1, 5))
    assert not unit.never_positive((-1, 5))
    assert not unit.never_positive((1, 1))
    assert not unit.never_positive((1, 0))
    assert unit.never_positive((1, -1))
    assert unit.never_positive((1, -5))


def test_stray_bits_of_patterns() -> None:
    region = Region(Network((Layer.relu(Matrix.from_rationals([[1]], 1), Matrix.column([0])),)),
                    Box.from_bounds([-1], [1]))
    batch = encode_batch([CellProof((F(1, 2),), [NEIGHBOUR], [1]), CellProof((F(-1, 2),), [NEIGHBOUR], [0])])
    assert len(checked(region, [head_of(patterns=b"\x80\x00"), batch]).patterns) == 2
    for stray in (b"\x80\x81", b"\x80\x01", b"\x81\x00", b"\xc0\x00"):
        with pytest.raises(InvalidCertificate, match="stray bits"):
            checked(region, [head_of(patterns=stray), batch])
