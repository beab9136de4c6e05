"""Queries: what satisfies them, and a digest that changes with the question."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import decide, evaluate, satisfies
from tests.strategies import queries, random_point
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix

F = Fraction


@given(queries(), st.randoms(use_true_random=False))
def test_the_satisfied_disjunct_is_the_first_true_one(query: Query, rng: random.Random) -> None:
    found = decide(query)
    candidates = [random_point(rng, query.domain) for _ in range(5)] + ([found] if found is not None else [])
    for x in candidates:
        index = query.satisfied_disjunct(x)
        assert (index is not None) == satisfies(query, x)
        vector = (*x, *evaluate(query.network, x))
        true = [all(h.contains(vector) for h in disjunct) for disjunct in query.disjuncts]
        assert index == (true.index(True) if True in true else None)
    assert found is None or query.satisfied_disjunct(found) is not None


def test_outside_the_domain_nothing_is_satisfied() -> None:
    query = Query(Network((Layer.identity(1),)), Box.from_bounds([0], [1]), ((),))
    assert query.satisfied_disjunct([F(1)]) == 0
    assert query.satisfied_disjunct([F(1) + F(1, 10**40)]) is None
    assert query.satisfied_disjunct([F(0), F(0)]) is None


def test_no_disjuncts_no_points() -> None:
    query = Query(Network((Layer.identity(1),)), Box.from_bounds([0], [1]), ())
    assert query.satisfied_disjunct([F(0)]) is None


def test_the_digest_changes_with_every_part_of_the_question() -> None:
    network = Network((Layer.identity(1),))
    low, high = HalfSpace((F(0), F(1)), F(0)), HalfSpace((F(0), F(-1)), F(-1, 3))
    unit = Box.from_bounds([0], [1])
    questions = [
        Query(network, unit, ((low, high),)),
        Query(network, unit, ((high, low),)),
        Query(network, unit, ((low,), (high,))),
        Query(network, unit, ((low, high), ())),
        Query(network, unit, ((), (low, high))),
        Query(network, unit, ((low,),)),
        Query(network, unit, ()),
        Query(network, unit, ((),)),
        Query(network, unit, ((dataclasses.replace(low, strict=True), high),)),
        Query(network, unit, ((dataclasses.replace(low, offset=F(1, 2**80)), high),)),
        Query(network, unit, ((dataclasses.replace(low, normal=(F(0), F(2))), high),)),
        Query(network, Box.from_bounds([0], [F(1) + F(1, 2**80)]), ((low, high),)),
        Query(network, Box((None,), (F(1),)), ((low, high),)),
        Query(network, Box((F(0),), (None,)), ((low, high),)),
        Query(network.padded(2), unit, ((low, high),)),
    ]
    assert len({q.digest for q in questions}) == len(questions)


@given(queries())
def test_equal_questions_have_equal_digests(query: Query) -> None:
    again = Query(Network(tuple(dataclasses.replace(layer) for layer in query.network.layers)),
                  Box(query.domain.lower, query.domain.upper),
                  tuple(tuple(dataclasses.replace(h) for h in disjunct) for disjunct in query.disjuncts))
    assert again == query
    assert again.digest == query.digest


def test_the_digest_is_fixed() -> None:
    """Byte by byte: a change here makes every stored certificate invalid and is a new version of the format."""
    query = Query(Network((Layer.identity(1),)), Box((F(-1, 3),), (None,)),
                  ((HalfSpace((F(0), F(1, 2)), F(3), strict=True),), ()))
    text = f"relu query 1\n{query.network.digest}\n-1/3 inf\nor 1\n0 1/2 < 3\nor 0"
    assert query.digest == hashlib.sha256(text.encode()).hexdigest()


def test_numbers_of_any_length_have_a_digest() -> None:
    """Beyond the 4300 digits that Python's own conversions allow; the text stays the plain one."""
    long, nines = F(3**9000, 2**15_001), "9" * 5_000
    top = F(10**5000 - 1)
    network = Network((Layer(Matrix.column([long]), Matrix.column([-long]), Matrix.column([1])),))
    query = Query(network, Box((-top,), (top,)), ((HalfSpace((F(0), long), top),),))
    assert query.domain.encode() == f"-{nines} {nines}"
    assert query.disjuncts[0][0].encode().endswith(f" <= {nines}")
    other = Query(network, Box((-top,), (top,)), ((HalfSpace((F(0), long), top + 1),),))
    assert query.digest != other.digest
    with pytest.raises(ValueError, match=f"lower bound {nines} exceeds upper bound -{nines}"):
        Box((top,), (-top,))


def test_dimensions_are_checked() -> None:
    network = Network((Layer.identity(2),))
    with pytest.raises(ValueError, match="2 inputs, the domain 1"):
        Query(network, Box.from_bounds([0], [1]), ())
    with pytest.raises(ValueError, match="needs 4 coefficients, received 2"):
        Query(network, Box.whole_space(2), ((HalfSpace((F(1), F(1)), F(0)),),))
