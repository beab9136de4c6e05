"""Random small queries: the search and its proofs against brute force over activation patterns.

    python -m benchmarks.agreement --count 100000 --seed 0 --jobs 2

Every query is decided twice: by the search, and by ``tests.reference.decide``, which shares nothing with it.  Points
are confirmed by the checker, proofs are written as certificates and checked in rigorous floating point, one in
``--exact`` of them also in integers.  Prints each disagreement with the seed that makes the query, and a summary line;
the exit code is 1 when there was any.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass

from tests.proofs import Answer, SearchTooLong, check_bytes, search, to_bytes
from tests.reference import decide
from tests.strategies import random_query, random_touching
from verifier.kernel.certificate import InvalidCertificate
from verifier.kernel.checker import PointIn, check_point
from verifier.kernel.query import Query


@dataclass(frozen=True)
class Outcome:
    """What became of one query: ``problem`` is empty when all agree."""

    seed: int
    problem: str
    point: bool
    exact: bool
    boxes: int
    search_seconds: float
    check_seconds: float
    oracle_seconds: float


def query_of(seed: int) -> Query:
    """The query that a seed stands for: degenerate and not, in turns; one in five touches its threshold."""
    rng = random.Random(seed)
    degenerate = bool(seed % 2)
    return random_touching(rng, degenerate).query if seed % 5 == 0 else random_query(rng, degenerate)


def compare(seed: int, exact: int = 5) -> Outcome:
    """Decide the seed's query twice and check what the search says.  ``exact``: how seldom in integers too."""
    query = query_of(seed)
    clock = [time.process_time()]
    truth = decide(query)
    clock.append(time.process_time())
    problem, point, boxes = "", False, 0
    in_integers = seed % exact == 1 % exact
    try:
        answer = _search(query, bisect=seed % 16 == 0)
        point, boxes = answer.point is not None, answer.effort.boxes
        clock.append(time.process_time())
        if point != (truth is not None):
            problem = f"the search says {'a point' if point else 'none'}, brute force the opposite"
        if answer.point is not None:
            check_point(PointIn(query, answer.point))
        else:
            data = to_bytes([[block.encode() for block in answer.blocks]])
            check_bytes(query, data)
            if in_integers:
                check_bytes(query, data, exact=True)
    except InvalidCertificate as error:
        problem = f"refused: {error}"
    except Exception as error:  # a benchmark goes on and reports it
        problem = f"{type(error).__name__}: {error}"
    clock.append(time.process_time())
    middle = clock[2] if len(clock) == 4 else clock[-1]
    return Outcome(seed, problem, point, in_integers and not point, boxes, middle - clock[1], clock[-1] - middle,
                   clock[1] - clock[0])


def _search(query: Query, bisect: bool) -> Answer:
    """Some queries are cut along inputs first, as large networks are, unless that takes long (touching sets)."""
    if bisect:
        try:
            return search(query, bisect=True, most=150)
        except SearchTooLong:
            pass
    return search(query, most=50_000)


def main() -> int:
    """Run the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--exact", type=int, default=5, help="check every n-th proof in integers too")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.count)
    work = functools.partial(compare, exact=options.exact)
    totals: Counter[str] = Counter()
    slowest = (0.0, -1)
    with multiprocessing.Pool(options.jobs) as pool:
        for outcome in pool.imap(work, seeds, chunksize=20) if options.jobs > 1 else map(work, seeds):
            if outcome.problem:
                print(f"seed {outcome.seed}: {outcome.problem}", flush=True)
            totals["problems"] += bool(outcome.problem)
            totals["points"] += outcome.point
            totals["exact"] += outcome.exact
            totals["boxes"] += outcome.boxes
            for name in ("search", "check", "oracle"):
                totals[name] += getattr(outcome, f"{name}_seconds")
            slowest = max(slowest, (outcome.search_seconds, outcome.seed))
    proofs = options.count - totals["points"]
    print(f"{options.count} queries from seed {options.seed}: {totals['problems']} problems; "
          f"{totals['points']} points, {proofs} proofs ({totals['exact']} checked in integers too); "
          f"{totals['boxes']} branches; CPU seconds: search {totals['search']:.1f}, check {totals['check']:.1f}, "
          f"brute force {totals['oracle']:.1f}; slowest search {slowest[0]:.2f} s, seed {slowest[1]}")
    return int(totals["problems"] > 0)


if __name__ == "__main__":
    sys.exit(main())
