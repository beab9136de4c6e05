"""The checker accepts proofs, refuses mutants of them, and never proves what is false."""

import collections
import copy
import dataclasses
import pickle
import random
from fractions import Fraction

import numpy as np
import pytest

from tests.mutations import MUTATORS, false_claims, mutant
from tests.proofs import accepted, check_bytes, proved_queries, to_bytes
from tests.reference import decide
from verifier.kernel import checker
from verifier.kernel.certificate import Block, ExactLeaf, InvalidCertificate, Refutations, StatedBounds
from verifier.kernel.checker import (
    EXACT,
    RIGOROUS,
    NoPoint,
    PointIn,
    ProofMachine,
    Theorem,
    check_no_point,
    check_point,
    refutes_exactly,
)
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix

PROVED = list(proved_queries(0, 24))
MUTANTS = 60
NONE = np.zeros(0, dtype=np.int64)
NO_MASK = np.zeros(0, dtype=bool)


def encoded(blocks):
    return to_bytes([[block.encode() for block in blocks]])


def stated(lower=None, upper=None, units=1):
    """Bounds on every one of ``units`` undecided units, or on none."""
    return StatedBounds(np.full(units, lower is not None), np.full(units, upper is not None),
                        np.full(units if lower is not None else 0, lower or 0, dtype=np.float32),
                        np.full(units if upper is not None else 0, upper or 0, dtype=np.float32))


def block(layers, refuted=(), slopes=(), leaves=(), splits=(), count=1):
    """``refuted``: pairs (branch, row); ``splits``: triples (on_input, index, point)."""
    return Block(count, tuple(layers), Refutations(np.array([b for b, _ in refuted], dtype=np.int64),
                                                   np.array([r for _, r in refuted], dtype=np.int64),
                                                   np.array(slopes, dtype=np.uint8)), tuple(leaves),
                 np.array([s[0] for s in splits], dtype=bool), np.array([s[1] for s in splits], dtype=np.int64),
                 np.array([s[2] for s in splits], dtype=np.float64))


def absolute(threshold, strict=False, box=(-1, 1)):
    """Is there an x in the box with |x| <= threshold?"""
    network = Network((Layer.relu(Matrix.from_rationals([[1], [-1]]), Matrix.column([0, 0])),
                       Layer.affine(Matrix.from_rationals([[1, 1]]), Matrix.column([0]))))
    half_space = HalfSpace((Fraction(0), Fraction(1)), Fraction(threshold), strict)
    return Query(network, Box.from_bounds([box[0]], [box[1]]), ((half_space,),))


def by_hand():
    """|x| <= -1/2 has no point: bounds 1.5 on both units, x cut at 0, and relu(z) >= 0 on both halves."""
    whole = block([stated(-1.5, 1.5, 2), stated(units=0)], splits=[(True, 0, 0.0)])
    halves = block([stated(units=4), stated(units=0)], refuted=[(0, 0), (1, 0)], slopes=[0, 0, 0, 0], count=2)
    return [whole, halves]


# --- proofs by hand --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [False, True])
def test_a_proof_by_hand(exact):
    theorem = check_no_point(NoPoint(absolute(Fraction(-1, 2))), by_hand(), exact)
    assert theorem.claim == NoPoint(absolute(Fraction(-1, 2)))
    assert theorem.arithmetic == (EXACT if exact else RIGOROUS)
    assert theorem.branches == 3


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("threshold", "strict"), [(0, False), (Fraction(1, 2**60), True), (1, False)])
def test_the_same_proof_of_a_false_claim(exact, threshold, strict):
    with pytest.raises(InvalidCertificate, match="refutation"):
        check_no_point(NoPoint(absolute(threshold, strict)), by_hand(), exact)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_a_bound_tighter_than_provable_is_refused(exact, side):
    """z = x and -x on [-1, 1], in binary32 steps around the exact end."""
    for value, provable in ((-1.5, True), (np.nextafter(np.float32(-1), np.float32(-2)), True),
                            (np.nextafter(np.float32(-1), np.float32(0)), False), (0.0, False), (0.5, False),
                            (np.nan, False), (np.inf, False), (-np.inf, False), (3e38, False)):
        bounds = stated(lower=value, units=2) if side == "lower" else stated(upper=-value, units=2)
        step = block([bounds, stated(units=0)], splits=[(True, 0, 0.0)])
        machine = ProofMachine(absolute(0), exact)
        if provable:
            machine.step(step)
            assert len(machine.stack) == 2
        else:
            with pytest.raises(InvalidCertificate, match=r"provable|mask"):
                machine.step(step)


@pytest.mark.parametrize("exact", [False, True])
def test_the_first_block_counts_rounding_too(exact):
    """z = x_1 - 2^-60 x_2 at (1, 1) is just below 1, and 1 in floating point: on the first layer of the first block."""
    for sign, value in ((1, 1.0), (-1, -1.0)):
        weight = Matrix.from_rationals([[sign, -sign * Fraction(1, 2**60)]])
        network = Network((Layer.relu(weight, Matrix.column([0])), Layer.identity(1)))
        row = HalfSpace((Fraction(0),) * 3, Fraction(0))
        query = Query(network, Box.from_bounds([1, 1], [1, 1]), ((row,),))
        bounds = stated(lower=value) if sign == 1 else stated(upper=value)
        with pytest.raises(InvalidCertificate, match="provable"):
            ProofMachine(query, exact).step(block([bounds, stated(units=0)], splits=[(True, 0, 1.0)]))


LAYERS = [stated(units=2), stated(units=0)]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("step", [
    block(LAYERS), block(LAYERS, splits=[(True, 0, 0)], count=0), block(LAYERS, splits=[(True, 0, 0)], count=2),
    block(LAYERS, splits=[(True, 0, 0)], count=2**32 - 1), block(LAYERS[:1], splits=[(True, 0, 0)]),
    block([*LAYERS, LAYERS[1]], splits=[(True, 0, 0)]), block([], splits=[(True, 0, 0)]),
    block([stated(units=1), stated(units=0)], splits=[(True, 0, 0)]),
    block([stated(units=3), stated(units=0)], splits=[(True, 0, 0)]),
    block([stated(units=2), stated(units=1)], splits=[(True, 0, 0)]),
    block([dataclasses.replace(LAYERS[0], lower_stated=np.ones(2, bool)), LAYERS[1]], splits=[(True, 0, 0)]),
    block(LAYERS, splits=[(True, 1, 0)]), block(LAYERS, splits=[(False, 3, 0)]), block(LAYERS, splits=[(True, 0, 1.5)]),
    block(LAYERS, splits=[(True, 0, np.nan)]), block(LAYERS, splits=[(True, 0, -np.inf)]),
    block(LAYERS, splits=[(True, 0, 0), (True, 0, 0)]), block(LAYERS, slopes=[1, 2], splits=[(True, 0, 0)]),
    block(LAYERS, refuted=[(0, 1)], slopes=[1, 1]), block(LAYERS, refuted=[(1, 0)], slopes=[1, 1]),
    block(LAYERS, refuted=[(0, 0)], slopes=[1]), block(LAYERS, refuted=[(0, 0)], slopes=[1, 1, 1]),
    block(LAYERS, refuted=[(0, 0)], slopes=[128, 128]), block(LAYERS, refuted=[(2**32 - 1, 0)], slopes=[0, 0]),
    block(LAYERS, leaves=[ExactLeaf(1, 0, (Fraction(1),), ())]), block(LAYERS, leaves=[ExactLeaf(0, 1, (), ())]),
    block(LAYERS, leaves=[ExactLeaf(0, 0, (), ())]), block(LAYERS, leaves=[ExactLeaf(0, 0, (Fraction(1),), ())]),
    block(LAYERS, leaves=[ExactLeaf(0, 0, (Fraction(-1),), ())]),
    block(LAYERS, leaves=[ExactLeaf(0, 0, (Fraction(1),), ((3, Fraction(1)),))]),
    block(LAYERS, leaves=[ExactLeaf(0, 0, (Fraction(1),), ((2, Fraction(1)),))]),
    block(LAYERS, leaves=[ExactLeaf(0, 0, (Fraction(1),), ((0, Fraction(1)), (0, Fraction(0))))])])
def test_steps_that_do_not_fit_are_refused(exact, step):
    with pytest.raises(InvalidCertificate):
        ProofMachine(absolute(Fraction(1, 4)), exact).step(step)


def test_a_short_certificate_cannot_ask_for_much(monkeypatch):
    """More refutations than there are disjuncts, more branches than a block may take, more memory than there is."""
    query = absolute(Fraction(-1, 2))
    many = block(LAYERS, refuted=[(0, 0)] * 2, slopes=[0] * 4)
    with pytest.raises(InvalidCertificate, match="2 refutations of 1 disjuncts"):
        ProofMachine(query, False).step(many)
    monkeypatch.setattr(checker, "MOST_BRANCHES", 1)
    with pytest.raises(InvalidCertificate, match="at most 1 are allowed"):
        check_no_point(NoPoint(query), by_hand())

    def exhausted():
        yield by_hand()[0]
        raise MemoryError

    with pytest.raises(InvalidCertificate, match="memory"):
        check_no_point(NoPoint(query), exhausted())


@pytest.mark.parametrize("exact", [False, True])
def test_nothing_follows_a_finished_proof(exact):
    query = absolute(Fraction(-1, 2))
    with pytest.raises(InvalidCertificate, match="0 are open"):
        check_no_point(NoPoint(query), [*by_hand(), by_hand()[1]], exact)
    with pytest.raises(InvalidCertificate, match="2 branches open"):
        check_no_point(NoPoint(query), by_hand()[:1], exact)
    with pytest.raises(InvalidCertificate, match="1 branches open"):
        check_no_point(NoPoint(query), [], exact)


@pytest.mark.parametrize("exact", [False, True])
def test_queries_without_disjuncts_or_half_spaces(exact):
    query = absolute(0)
    assert check_no_point(NoPoint(dataclasses.replace(query, disjuncts=())), [], exact).branches == 0
    every_point = dataclasses.replace(query, disjuncts=((),))
    for step in (block(LAYERS), block(LAYERS, refuted=[(0, 0)], slopes=[0, 0]),
                 block(LAYERS, leaves=[ExactLeaf(0, 0, (), ())])):
        with pytest.raises(InvalidCertificate):
            check_no_point(NoPoint(every_point), [step], exact)


# --- exact leaves ----------------------------------------------------------------------------------------------------


def leaf_holds(query, leaf, lower=None, upper=None):
    branches = ProofMachine(query, False).stack.pop(1)
    for target, value in ((branches.lower, lower), (branches.upper, upper)):
        if value is not None:
            target[0][:] = value
    return refutes_exactly(query, branches, leaf)


def test_exact_leaves_at_margin_zero():
    """|x| < 0 on x >= 0 (first unit active, second not): strict refutes, weak does not, not even by a hair."""
    one = ExactLeaf(0, 0, (Fraction(1),), ())
    for query, expected in ((absolute(0, True, (0, 1)), True), (absolute(0, False, (0, 1)), False),
                            (absolute(-Fraction(1, 10**50), False, (0, 1)), True),
                            (absolute(Fraction(1, 10**50), True, (0, 1)), False)):
        assert leaf_holds(query, one, lower=[0, -np.inf], upper=[np.inf, 0]) == expected
    # a strict row without weight refutes nothing
    assert not leaf_holds(absolute(0, True, (0, 1)), ExactLeaf(0, 0, (Fraction(0),), ()), [0, -np.inf], [np.inf, 0])


def test_exact_leaves_use_the_sign_conditions():
    """With both units inactive only x = 0 is left, whatever the box: x <= 0 and -x <= 0 as multipliers."""
    network = absolute(0).network
    query = Query(network, Box.whole_space(1), ((HalfSpace((Fraction(1), Fraction(0)), Fraction(-1)),),))
    assert not leaf_holds(query, ExactLeaf(0, 0, (Fraction(1),), ()), upper=[0, 0])
    assert leaf_holds(query, ExactLeaf(0, 0, (Fraction(1),), ((1, Fraction(1)),)), upper=[0, 0])
    assert not leaf_holds(query, ExactLeaf(0, 0, (Fraction(1),), ((0, Fraction(1)),)), upper=[0, 0])
    assert not leaf_holds(query, ExactLeaf(0, 0, (Fraction(1),), ((1, Fraction(-1)),)), upper=[0, 0])


@pytest.mark.parametrize("seed", range(40))
def test_random_exact_leaves_prove_nothing_false(seed):
    """Random multipliers on the root branch of queries that have points, with true bounds on all units."""
    rng = random.Random(seed)
    query, _ = PROVED[seed % len(PROVED)]
    for claim in false_claims(query):
        x = decide(claim)
        values = claim.network.pre_activations(x)
        branches = ProofMachine(claim, False).stack.pop(1)
        for k, layer in enumerate(claim.network.layers):
            for i in np.nonzero(layer.has_phase)[0]:
                z = values[k][i]
                branches.lower[k][0, i] = 0.0 if z >= 0 else rng.choice((-np.inf, -1e30))
                branches.upper[k][0, i] = 0.0 if z <= 0 else rng.choice((np.inf, 1e30))
        units = sum(layer.units for layer in claim.network.layers)
        good = claim.satisfied_disjunct(x)
        for _ in range(60):
            rows = tuple(Fraction(rng.randint(0, 3)) for _ in claim.disjuncts[good])
            signs = tuple((u, Fraction(rng.randint(-2, 6), 3)) for u in range(units) if rng.random() < 0.4)
            assert not refutes_exactly(claim, branches, ExactLeaf(0, good, rows, signs))


# --- proofs by the search, and mutants -------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [False, True])
def test_proofs_of_the_search_are_accepted(exact):
    for query, blocks in PROVED:
        assert decide(query) is None
        check_bytes(query, encoded(blocks), exact)


def test_dropped_and_added_blocks_are_refused():
    """Every proper prefix, every proof without one block, every proof with one block twice."""
    for query, blocks in PROVED:
        for at in range(len(blocks)):
            for changed in (blocks[:at], blocks[:at] + blocks[at + 1:], [*blocks, blocks[at]]):
                assert not accepted(query, encoded(changed))


def test_mutants_are_refused_or_prove_the_same_true_claim():
    """Checksums are right in all of them; a mutant of a proof must not prove a similar claim that is false either."""
    counts = collections.Counter()
    claims = 0
    for number, (query, blocks) in enumerate(PROVED):
        rng = random.Random(number)
        similar = list(false_claims(query))
        claims += len(similar)
        for claim in similar:
            assert not accepted(claim, encoded(blocks))
        for turn in range(MUTANTS):
            kind, changed = mutant(rng, blocks)
            data = to_bytes([changed])
            counts[kind, accepted(query, data)] += 1
            if similar:
                assert not accepted(similar[turn % len(similar)], data), (number, turn, kind)
            if turn % 6 == 0:
                counts["in integers", accepted(query, data, exact=True)] += 1
                assert not similar or not accepted(similar[turn // 6 % len(similar)], data, exact=True)
    assert set(MUTATORS) <= {kind for kind, _ in counts}
    assert claims > 20
    table = "\n".join(f"{kind:26} rejected {counts[kind, False]:5}   the same claim proved {counts[kind, True]:5}"
                      for kind in sorted({kind for kind, _ in counts}))
    print(f"\n{table}\n{claims} false claims: none proved")  # noqa: T201  shown with -s


# --- points and theorems ---------------------------------------------------------------------------------------------


def test_points_are_evaluated_exactly():
    query = absolute(0)
    theorem = check_point(PointIn(query, (Fraction(0),)))
    assert theorem.claim == PointIn(query, (Fraction(0),))
    for x in ((Fraction(1, 10**400),), (), (Fraction(0), Fraction(0)), (Fraction(2),)):
        with pytest.raises(InvalidCertificate):
            check_point(PointIn(query, x))
    with pytest.raises(InvalidCertificate):
        check_point(PointIn(absolute(0, True), (Fraction(0),)))


def test_theorems_come_from_the_checker_alone():
    query = absolute(0)
    for key in (None, object(), "_KEY"):
        with pytest.raises(TypeError, match="only the checker"):
            Theorem(NoPoint(query), EXACT, 0, key)
    theorem = check_point(PointIn(query, (Fraction(0),)))
    for name in ("claim", "arithmetic", "branches", "other"):
        with pytest.raises(AttributeError):
            setattr(theorem, name, NoPoint(query))
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="only the checker"):
            make(theorem)
    with pytest.raises(dataclasses.FrozenInstanceError):
        theorem.claim.query = absolute(1)
