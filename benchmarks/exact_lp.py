"""Exact linear programs: HiGHS' basis made exact, against cddlib's rational simplex method.

    python -m benchmarks.exact_lp --count 10000 --seed 0

Random small-integer problems: feasible, infeasible, unbounded, with zero, repeated and negated rows, equations, fixed
and free variables.  Each is solved twice; the answers (the optimum, or "infeasible", or "unbounded") must be identical,
and the certificate of ours is confirmed by schoolbook arithmetic.  Prints the CPU milliseconds a problem of both, by
kind of answer; the exit code is 1 when anything differs.  ``--larger N`` adds N problems of 12 variables and 40 rows.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np

from tests.solvers.oracle import random_problem
from tests.solvers.test_exact_lp import confirm, expected, program
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix
from verifier.solvers.exact_lp import solve

Problem = tuple[list[Fraction], Matrix, list[bool], Box]


def larger_problem(rng: np.random.Generator) -> Problem:
    """12 variables, 40 inequalities around the origin, most variables bounded."""
    rows = [[*map(Fraction, rng.integers(-3, 4, size=12).tolist()), Fraction(int(rng.integers(-1, 9)))]
            for _ in range(40)]
    upper = tuple(None if rng.random() < 0.2 else Fraction(int(rng.integers(1, 9))) for _ in range(12))
    objective = [Fraction(int(v)) for v in rng.integers(-3, 4, size=12)]
    return objective, Matrix.from_rationals(rows), [False] * 40, Box((None,) * 12, upper)


def main() -> int:
    """Run the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--larger", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    problems = [("small", random_problem(rng, "integer")) for _ in range(options.count)]
    problems += [("larger", larger_problem(rng)) for _ in range(options.larger)]
    seconds: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    counts: Counter[tuple[str, str]] = Counter()
    wrong = 0
    for number, (size, problem) in enumerate(problems):
        clock = [time.process_time()]
        answer = solve(program(problem))
        clock.append(time.process_time())
        truth = expected(problem)
        clock.append(time.process_time())
        told = confirm(problem, answer)
        if told != truth:
            wrong += 1
            print(f"problem {number}: {told} here, {truth} by cddlib")
        kind = size, truth if isinstance(truth, str) else "optimal"
        counts[kind] += 1
        seconds[kind][0] += clock[1] - clock[0]
        seconds[kind][1] += clock[2] - clock[1]
    print(f"{len(problems)} problems, {wrong} differences")
    for (size, kind), count in sorted(counts.items()):
        ours, theirs = (1000 * s / count for s in seconds[size, kind])
        print(f"{size:7} {kind:10} {count:6}  here {ours:.3f} ms, cddlib {theirs:.3f} ms")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
