"""Operators with two words are read as one token; that changes nothing but the time it takes."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from verifier.formats import vnnlib_syntax
from verifier.formats.errors import InputError
from verifier.formats.vnnlib import parse_property

TEXT = """(declare-const X_0 Real) (declare-const X_1 Real)
(declare-const Y_0 Real) ; outputs
(declare-const Y_1 Real)
(set-info :status (<= X_0 1))
(assert (<= X_0 0.5)) (assert (>= X_0 -1e-1))
(assert (> X_1 -3)) ( assert (< X_1 2.25) ) (assert (not (<= Y_0 Y_1)))
(assert (or (and (<= Y_0 1) (>= (- Y_0 Y_1) 2)) (not (or (< Y_1 .5) (> (* -2 Y_0) (- 1 X_0))))
            (<= (+ (* 3 X_0) (* Y_1 2) (- X_1 X_0)) 7)))
(check-sat)
"""
PIECES = ["(", ")", " ", "\n", "<=", "<", "-", "*", "=", "X_0", "X_7", "Y_1", "1", "0.3", "1e9999", "1e3000", "true",
          "and", "not", "assert", "|", '"', ";", "(assert (<= X_0 1))", "(<= 2 1)", "(* X_0 Y_0)", "(- 1 2)",
          "check-sat)(", "x"]


def outcome(text: str) -> object:
    try:
        prop = parse_property(text)
    except InputError as error:
        return str(error)
    return prop.cases, prop.contradictory


def mutant(rng: random.Random) -> str:
    text = TEXT
    for _ in range(rng.randrange(3)):
        start = rng.randrange(len(text))
        text = text[:start] + rng.choice(["", *PIECES]) + text[start + rng.choice((0, 0, 1, 3)):]
    return text


def test_the_same_is_read_token_by_token(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    texts = [TEXT, *(mutant(rng) for _ in range(1500))]
    as_pairs = [outcome(text) for text in texts]
    monkeypatch.setattr(vnnlib_syntax, "_PAIR_OR_TOKEN", vnnlib_syntax._TOKEN)
    assert [outcome(text) for text in texts] == as_pairs
    kinds = Counter(type(result) for result in as_pairs)
    assert min(kinds[str], kinds[tuple]) > 200
    assert len({result.partition(": ")[2] for result in as_pairs if isinstance(result, str)}) > 100


def test_denominators_do_not_multiply_without_end() -> None:
    """The common denominator of a row is bounded while it is made: here it would have millions of bits."""
    divisors = [2**6000 + 2 * k + 1 for k in range(400)]
    names = "".join(f"(declare-const X_{i} Real)" for i in range(len(divisors))) + "(declare-const Y_0 Real)"
    terms = " ".join(f"(/ X_{i} {d})" for i, d in enumerate(divisors))
    with pytest.raises(InputError, match="numbers of at most 14000 bits were required"):
        parse_property(f"{names}\n(assert (<= (+ {terms}) 1))")
