"""The generators deliver the positions they promise: a strategy that never meets a tie tests nothing."""

from __future__ import annotations

import random

import pytest

from tests.reference import cells, decide
from tests.strategies import MOST_UNITS, random_network, random_query, random_touching


def test_degenerate_positions_occur() -> None:
    seen: dict[str, int] = {}
    for seed in range(300):
        query = random_query(random.Random(seed), degenerate=True)
        first = query.network.layers[0]
        rows = [(*row, bias) for row, (bias,) in zip(first.weight.rows(), first.bias.rows(), strict=True)]
        bounds = list(zip(query.domain.lower, query.domain.upper, strict=True))
        half_spaces = [h for d in query.disjuncts for h in d]
        inputs = query.network.inputs
        facts = {
            "zero row": any(not any(r[:-1]) for r in rows),
            "repeated row": len(set(rows)) < len(rows),
            "negated row": any(any(r) and tuple(-v for v in r) in rows for r in rows),
            "other slope": any(s not in (0, 1) for layer in query.network.layers for (s,) in layer.slope.rows()),
            "flat": any(lo == hi is not None for lo, hi in bounds),
            "unbounded": not query.domain.is_bounded,
            "strict": any(h.strict for h in half_spaces),
            "on inputs only": any(any(h.normal[:inputs]) and not any(h.normal[inputs:]) for h in half_spaces),
            "mixed": any(any(h.normal[:inputs]) and any(h.normal[inputs:]) for h in half_spaces),
            "several disjuncts": len(query.disjuncts) > 1,
            "deep": len(query.network.layers) > 2,
        }
        for name, fact in facts.items():
            seen[name] = seen.get(name, 0) + fact
    assert all(count >= 15 for count in seen.values()), seen


@pytest.mark.parametrize("degenerate", [True, False])
def test_answers_are_mixed_and_sizes_are_kept(degenerate: bool) -> None:
    answers, most = [], 0
    for seed in range(100):
        rng = random.Random(seed)
        network = random_network(rng, degenerate)
        assert sum(layer.units for layer in network.layers[:-1]) <= MOST_UNITS[network.inputs]
        query = random_query(rng, degenerate)
        answers.append(decide(query) is not None)
        most = max(most, len(cells(query.network, query.domain)))
    assert 30 < sum(answers) < 80
    assert most >= 20


def test_a_seed_is_reproducible() -> None:
    for degenerate in (True, False):
        first, second = (random_query(random.Random(7), degenerate) for _ in range(2))
        assert first == second
        assert first.digest == second.digest


def test_touching_answers_are_mixed() -> None:
    answers = [random_touching(random.Random(seed), degenerate=True).nonempty for seed in range(60)]
    assert 15 < sum(answers) < 45
