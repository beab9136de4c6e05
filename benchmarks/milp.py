"""The mixed-integer engine against the propagator, on random networks and on ACAS Xu; radii of the shipped classifier.

    python -m benchmarks.milp agreement --count 500 --solver highs --solver cbc
    python -m benchmarks.milp ranges NET.onnx SPEC.vnnlib [--engine milp --engine propagate --engine branch]
    python -m benchmarks.milp radius --count 10

*agreement*: networks with 2 to 6 inputs and up to 24 units, half of them degenerate.  For each network a query is
decided, the range of the first output computed, and patterns are enumerated: with each solver (networks of at most
``--cells`` cells; programs of a tree are many), with linear programs (``--most``), and by the propagator's cells.  All
answers must be equal as exact rationals; an answer that is not found in time counts as different.  What the solvers
claim is compared, too, before it is proved or repaired: *missed* counts their faults, which change no answer
(*dropped* proposals are lower-dimensional pieces mostly, which the programs allow).
*ranges*: all outputs on a property's domain by each engine, and the CPU seconds.
*radius*: random inputs of ``models/advisory.onnx``; each radius is confirmed from both sides by ``verify``.

The exit code is 1 when anything disagrees.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.strategies import network_of
from verifier.api import verify
from verifier.engines.exact_leaf import piece
from verifier.engines.milp import Milp, MilpSolver
from verifier.engines.milp_patterns import Pattern, enumerate_patterns
from verifier.engines.optimum import Maximum, maximise
from verifier.engines.propagate import Cell, cells
from verifier.engines.subtrees import search
from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import read_property
from verifier.kernel.certificate import ExactLeaf
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import Point, dot
from verifier.properties.radius import Change, changes
from verifier.properties.safety import Outcome
from verifier.radius import robustness_radius
from verifier.sets import output_range

MODELS = Path(__file__).parents[1] / "models"
MOST_CELLS = 3000


@dataclass
class Truth:
    """What the propagator says: whether the query has a point, the extreme values of the first output (negated minimum
    and maximum), the patterns; and values that were proved to be extreme again."""

    exists: bool
    extremes: list[Fraction]
    patterns: set[Pattern]
    proved: set[tuple[int, Fraction]]


def by_cells(query: Query, found: list[Cell], objectives: list[Point]) -> Truth:
    """All answers from the cells."""
    exists = any(not isinstance(piece(query, [np.array(p) for p in cell.pattern]).decide(0), ExactLeaf | None)
                 for cell in found)
    graph = [x + query.network.evaluate(x) for cell in found for x in cell.vertices]
    return Truth(exists, [max(dot(o, xy) for xy in graph) for o in objectives], {c.pattern for c in found}, set())


def agreement(options: argparse.Namespace) -> int:
    """Compare seed after seed."""
    totals: Counter[str] = Counter()
    started = time.time()
    with contextlib.ExitStack() as stack:
        solvers = [stack.enter_context(MilpSolver(name)) for name in options.solver or ["highs", "cbc"]]
        for seed in range(options.seed, options.seed + options.count):
            network, query = network_of(seed)
            first = [Fraction(j == network.inputs) for j in range(network.inputs + network.outputs)]
            objectives = [tuple(sign * c for c in first) for sign in (-1, 1)]
            found = list(itertools.islice(cells(network, query.domain, representation="vertices"), MOST_CELLS + 1))
            if len(found) > MOST_CELLS:
                totals["skipped, too many cells"] += 1
                continue
            truth = by_cells(query, found, objectives)
            totals["networks"] += 1
            totals["points"] += truth.exists
            totals["cells"] += len(found)
            for solve in solvers:
                model = Milp(network, query.domain, solve)
                compare_verdict(seed, model, query, truth, totals, options.seconds)
                compare_range(seed, model, objectives, truth, totals, options.seconds)
            for solve in [None, *solvers]:
                if len(found) <= (options.most if solve is None else options.cells):
                    compare_patterns(seed, network, query, solve, truth, totals, options.seconds)
            if seed % 50 == 49:
                print(f"{seed + 1}: {cpu_seconds():.0f} CPU s of this process", flush=True)
    for name in sorted(totals):
        print(f"{name}: {totals[name]:,}")
    print(f"{cpu_seconds():.0f} CPU s, solvers included; {time.time() - started:.0f} s")
    return int(any("DIFFERENT" in name for name in totals))


def compare_verdict(seed: int, model: Milp, query: Query, truth: Truth, totals: Counter[str], seconds: float) -> None:
    """The solver's point, and the verdict."""
    name = model.solve.name if isinstance(model.solve, MilpSolver) else ""
    totals[f"{name}: verdicts"] += 1
    finding = model.find(query.disjuncts, time.time() + seconds)
    if finding.point is not None:
        right = truth.exists and query.satisfied_disjunct(finding.point) is not None
    else:
        if truth.exists:
            totals[f"{name}: points missed"] += 1
            print(f"seed {seed}: {name} finds no point, there is one ({finding.claim})", flush=True)
        result = search(query, deadline=time.time() + seconds)
        right = (result.point is not None) == truth.exists and result.finished != truth.exists
    if not right:
        totals[f"{name}: verdicts DIFFERENT"] += 1
        print(f"seed {seed}: {name}: VERDICT DIFFERENT", flush=True)


def compare_range(seed: int, model: Milp, objectives: list[Point], truth: Truth, totals: Counter[str],
                  seconds: float) -> None:
    """The solver's optima, and the proved ones."""
    network, domain = model.network, model.domain
    name = model.solve.name if isinstance(model.solve, MilpSolver) else ""
    for number, objective in enumerate(objectives):
        totals[f"{name}: optima"] += 1
        x = model.best((), objective, time.time() + seconds)
        value = None if x is None else dot(objective, x + network.evaluate(x))
        if value is not None and (number, value) in truth.proved:
            continue
        if value != truth.extremes[number]:
            totals[f"{name}: optima missed"] += 1
            print(f"seed {seed}: {name} reaches {value}, the optimum is {truth.extremes[number]}", flush=True)
        answer = maximise(network, domain, (), objective, start=x, deadline=time.time() + seconds)
        if isinstance(answer, Maximum) and answer.value == truth.extremes[number]:
            truth.proved.add((number, answer.value))
            continue
        totals[f"{name}: optima DIFFERENT"] += 1
        print(f"seed {seed}: {name}: OPTIMUM DIFFERENT", flush=True)


def compare_patterns(seed: int, network: Network, query: Query, solve: MilpSolver | None, truth: Truth,
                     totals: Counter[str], seconds: float) -> None:
    """The enumeration."""
    name = "linear programs" if solve is None else solve.name
    told = enumerate_patterns(network, query.domain, (), solve, deadline=time.time() + seconds)
    totals[f"{name}: networks enumerated"] += 1
    totals[f"{name}: patterns"] += len(told.patterns)
    totals[f"{name}: sub-boxes refuted"] += told.refuted + told.again
    totals[f"{name}: proposals dropped"] += told.dropped
    totals[f"{name}: sub-boxes missed"] += told.missed
    if not told.finished or set(told.patterns) != truth.patterns or len(told.patterns) != len(truth.patterns):
        totals[f"{name}: patterns DIFFERENT"] += 1
        print(f"seed {seed}: {name}: {len(told.patterns)} patterns of {len(truth.patterns)}: DIFFERENT", flush=True)


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
    one.add_argument("--cells", type=int, default=24, help="enumerate networks of at most so many cells by solvers")
    one.add_argument("--most", type=int, default=100, help="the same by linear programs")
    one.add_argument("--seconds", type=float, default=120.0, help="wall time of one answer")
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
