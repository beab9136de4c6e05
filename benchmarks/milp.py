"""The mixed-integer engine against the propagator, on random networks and on ACAS Xu; radii of the shipped classifier.

    python -m benchmarks.milp agreement --count 500 --solver highs --solver cbc
    python -m benchmarks.milp ranges NET.onnx SPEC.vnnlib [--engine milp --engine propagate --engine branch]
    python -m benchmarks.milp radius --count 10

*agreement*: networks with 2 to 6 inputs and up to 24 units, half of them degenerate.  For each network a query is
decided, a range computed, and (if the propagator finds at most ``--cells`` of them) the patterns are enumerated: with
each solver, and by the propagator's cells.  All must be equal as exact rationals.  What the solver proposes is compared
before any proof is searched, so that a solver that misses something shows.
*ranges*: all outputs on a property's domain by each engine, and the CPU seconds.
*radius*: random inputs of ``models/advisory.onnx``; each radius is confirmed from both sides by ``verify``.

The exit code is 1 when anything disagrees.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.strategies import network_of
from verifier.api import verify
from verifier.engines.exact_leaf import piece
from verifier.engines.milp import Milp, MilpSolver
from verifier.engines.milp_patterns import enumerate_patterns
from verifier.engines.propagate import Cell, cells
from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import read_property
from verifier.kernel.certificate import ExactLeaf
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import dot
from verifier.properties.radius import Change, changes
from verifier.properties.safety import Outcome
from verifier.radius import robustness_radius
from verifier.sets import output_range

MODELS = Path(__file__).parents[1] / "models"
MOST_CELLS = 3000


def by_cells(query: Query, found: list[Cell]) -> tuple[bool, Fraction]:
    """Whether the query has a point, and the maximum of the first output, from the cells."""
    inputs = query.network.inputs
    first = (*([Fraction(0)] * inputs), Fraction(1), *([Fraction(0)] * (query.network.outputs - 1)))
    exists, best = False, None
    for cell in found:
        exists = exists or not isinstance(piece(query, [np.array(p) for p in cell.pattern]).decide(0),
                                          ExactLeaf | None)
        values = [dot(first, x + query.network.evaluate(x)) for x in cell.vertices]
        best = max(values) if best is None else max(best, *values)
    assert best is not None
    return exists, best


def agreement(options: argparse.Namespace) -> int:
    """Compare seed after seed."""
    totals: Counter[str] = Counter()
    solvers = [MilpSolver(name) for name in options.solver or ["highs", "cbc"]]
    seconds: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.count):
        network, query = network_of(seed)
        clock = time.process_time()
        found = []
        for cell in cells(network, query.domain, representation="vertices"):
            found.append(cell)
            if len(found) > MOST_CELLS:
                break
        if len(found) > MOST_CELLS:
            totals["skipped, too many cells"] += 1
            continue
        exists, best = by_cells(query, found)
        seconds["propagator"] += time.process_time() - clock
        totals["networks"] += 1
        totals["points"] += exists
        totals["cells"] += len(found)
        inputs = network.inputs
        first = (*([Fraction(0)] * inputs), Fraction(1), *([Fraction(0)] * (network.outputs - 1)))
        for solve in solvers:
            clock = time.process_time()
            model = Milp(network, query.domain, solve)
            point = model.find(query.disjuncts).point
            if (point is not None) != exists:
                totals[f"{solve.name}: verdicts missed"] += 1
                print(f"seed {seed}: {solve.name} finds {point}, there is {'a' if exists else 'no'} point", flush=True)
            x = model.best((), first)
            if x is None or network.evaluate(x)[0] != best:
                totals[f"{solve.name}: optima missed"] += 1
                print(f"seed {seed}: {solve.name} reaches {x}, the maximum is {best}", flush=True)
            if len(found) <= options.cells:
                told = enumerate_patterns(network, query.domain, (), solve)
                totals[f"{solve.name}: networks enumerated"] += 1
                totals[f"{solve.name}: proposals dropped"] += told.dropped
                if set(told.patterns) != {cell.pattern for cell in found} or len(told.patterns) != len(found):
                    totals[f"{solve.name}: counts that differ"] += 1
                    print(f"seed {seed}: {solve.name} has {len(told.patterns)} patterns of {len(found)}", flush=True)
            seconds[solve.name] += time.process_time() - clock
        if seed % options.proofs == 0:
            ranges = [output_range(network, query.domain, ["Y_0"], engine=engine) for engine in ("milp", "propagate")]
            totals["proved ranges"] += 1
            if [r[0].maximum.value for r in ranges] != [best, best]:
                totals["proved ranges that differ"] += 1
                print(f"seed {seed}: ranges differ", flush=True)
    for solve in solvers:
        solve.__exit__()
    print(", ".join(f"{name}: {count}" for name, count in totals.items()))
    print("CPU seconds without the solvers' own:", ", ".join(f"{n} {s:.1f}" for n, s in seconds.items()))
    return int(any("missed" in name or "differ" in name for name in totals))


def ranges(options: argparse.Namespace) -> int:
    """Ranges of all outputs by several engines."""
    network, prop = read_network(options.network), read_property(options.spec)
    answers = []
    for engine in options.engine or ["milp", "branch", "propagate"]:
        started = cpu_seconds()
        found = output_range(network, prop, engine=engine)
        print(f"{engine}: {cpu_seconds() - started:.1f} CPU s, "
              f"{sum(e.boxes for r in found for e in (r.minimum, r.maximum)):,} boxes", flush=True)
        answers.append([(r.minimum.value, r.maximum.value) for r in found])
    for low, high in answers[0]:
        print(f"[{low}, {high}] (about [{float(low or 0):.9g}, {float(high or 0):.9g}])")
    print("equal" if all(answer == answers[0] for answer in answers) else "DIFFERENT")
    return int(any(answer != answers[0] for answer in answers))


def cpu_seconds() -> float:
    """Of this process and of its children that have ended, solvers among them."""
    return sum(os.times()[:4])


def radius(options: argparse.Namespace) -> int:
    """Radii of the shipped classifier, confirmed from both sides."""
    network = read_network(MODELS / "advisory.onnx").network
    rng = random.Random(options.seed)
    wrong = 0
    for _ in range(options.count):
        x = tuple(Fraction(rng.randint(-50, 50), 100) for _ in range(network.inputs))
        y = network.evaluate(x)
        label = max(range(network.outputs), key=lambda k: y[k])
        clock = time.process_time()
        found = robustness_radius(network, x, label=label, timeout=options.timeout)
        clock = time.process_time() - clock
        if not found.is_exact or found.upper is None:
            print(f"label {label}: in [{float(found.lower)}, {found.upper}], {found.reason}, {clock:.2f} CPU s")
            continue
        sides = []
        for size, outcome in ((found.upper * (1 - Fraction(1, 2**20)), Outcome.HOLDS), (found.upper, Outcome.VIOLATED)):
            ball = Box(tuple(v - size for v in x), tuple(v + size for v in x))
            query = changes(network, Change(label, False, ball))
            sides.append(verify(network, [query], timeout=options.timeout).outcome is outcome)
        wrong += not all(sides)
        print(f"label {label}: {found.upper} (about {float(found.upper):.9g}), {found.boxes} boxes, {clock:.2f} CPU s, "
              f"{'confirmed from both sides' if all(sides) else 'NOT CONFIRMED'}", flush=True)
    return int(wrong > 0)


def main() -> int:
    """Run what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    one = kinds.add_parser("agreement")
    one.add_argument("--count", type=int, default=500)
    one.add_argument("--seed", type=int, default=0, help="the first seed")
    one.add_argument("--solver", action="append", choices=["highs", "cbc", "scip", "gurobi"])
    one.add_argument("--cells", type=int, default=24, help="enumerate patterns of networks with at most so many cells")
    one.add_argument("--proofs", type=int, default=10, help="prove the range of every n-th network too")
    one.set_defaults(run=agreement)
    two = kinds.add_parser("ranges")
    two.add_argument("network", type=Path)
    two.add_argument("spec", type=Path)
    two.add_argument("--engine", action="append")
    two.set_defaults(run=ranges)
    three = kinds.add_parser("radius")
    three.add_argument("--count", type=int, default=10)
    three.add_argument("--seed", type=int, default=0)
    three.add_argument("--timeout", type=float, default=60.0)
    three.set_defaults(run=radius)
    options = parser.parse_args()
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
