"""Activation regions counted in several ways: ``python -m benchmarks.region_counts [--samples N] [--milp SECONDS]``.

Random Gaussian networks (fixed seeds) on [-1, 1]^n.  *vertices* and *lp* walk all cells in the two representations.
Then random points, with coordinates that are multiples of 2^-40, are evaluated in floating point: every point whose
pre-activations are all clear of 0 must lie in a cell that was found.  Points that are not clear are evaluated exactly;
one with a pre-activation of 0 lies on a boundary and shows nothing.  *sampled* is how many cells the points have met.
*milp* enumerates the patterns of the two smallest networks on the tree of the mixed-integer model, with linear programs
and (the first) with CBC, in the wall time given each.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import time
from fractions import Fraction

import numpy as np

from verifier.engines.milp import MilpSolver
from verifier.engines.milp_patterns import enumerate_patterns
from verifier.engines.propagate import Propagation, Region, cells
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box

SHAPES = ((2, 16, 16, 1), (3, 16, 16, 1), (2, 32, 32, 32, 1), (4, 16, 16, 1), (2, 64, 64, 1))
SOLVERS = (("lp", "cbc"), ("lp",), (), (), ())  # of the enumerations
CHUNK = 200_000
CLEAR = 2.0**-30  # of the magnitude of all terms: far above float error, and what is closer is decided exactly


def network(shape: tuple[int, ...]) -> Network:
    """He weights, small biases."""
    rng = np.random.default_rng(sum(shape))
    return Network.from_arrays([rng.standard_normal((b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(shape)],
                               [rng.standard_normal(b) / 4 for b in shape[1:]])


def sampled(net: Network, known: set[bytes], count: int) -> tuple[int, int, int]:
    """Cells met, points in cells that are not known (there are none), points evaluated exactly."""
    rng = np.random.default_rng(0)
    hidden = net.layers[:-1]
    weights = [(layer.weight.approximate(), layer.bias.approximate()[:, 0]) for layer in hidden]
    met: set[bytes] = set()
    exact = 0
    for _ in range(count // CHUNK):
        x = rng.integers(-2**40, 2**40, (CHUNK, net.inputs), endpoint=True) * 2.0**-40
        y, size = x, np.abs(x)
        clear = np.ones(CHUNK, dtype=bool)
        signs = []
        for weight, bias in weights:
            z, magnitude = y @ weight.T + bias, size @ np.abs(weight).T + np.abs(bias)
            clear &= (np.abs(z) > CLEAR * magnitude).all(axis=1)
            signs.append(z > 0)
            y, size = np.maximum(z, 0.0), magnitude
        table = np.concatenate(signs, axis=1).astype(np.uint8)
        met.update(row.tobytes() for row in np.unique(table[clear], axis=0))
        for point in x[~clear]:
            exact += 1
            values = [v for z in net.pre_activations([Fraction(v) for v in point])[:-1] for v in z]
            if all(values):
                met.add(bytes(v > 0 for v in values))
    units = sum(layer.units for layer in hidden)
    strangers = len(met - {signs[:units] for signs in known})
    return len(met), strangers, exact


def enumerated(net: Network, box: Box, known: set[bytes], solver: str, seconds: float) -> str:
    """What the enumeration by this solver ("lp": linear programs) says, in words."""
    clock = sum(os.times()[:4])
    with contextlib.ExitStack() as stack:
        solve = None if solver == "lp" else stack.enter_context(MilpSolver(solver))
        found = enumerate_patterns(net, box, (), solve, deadline=time.time() + seconds)
    same = {bytes(v for layer in pattern for v in layer) for pattern in found.patterns} == known
    state = "" if found.finished and same else ", DIFFERENT" if found.finished else ", unfinished"
    return (f"{solver}: {len(found.patterns)}{state}, "
            f"{found.refuted} + {found.again} refuted, {found.dropped} dropped, {found.missed} missed, "
            f"{sum(os.times()[:4]) - clock:.0f} CPU s")


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--milp", type=float, default=120.0, metavar="SECONDS")
    options = parser.parse_args()
    print("| network | vertices | lp | sampled | unknown cells met | evaluated exactly | milp |")
    print("| --- " * 7 + "|")
    for number, shape in enumerate(SHAPES):
        net, box = network(shape), Box.from_bounds([-1] * shape[0], [1] * shape[0])
        known = {cell.signs for cell in cells(net, box, representation="vertices")}
        programs = Propagation(Region(net, box), "lp").count()
        met, strangers, exact = sampled(net, known, options.samples)
        by_milp = "; ".join(enumerated(net, box, known, solver, options.milp) for solver in SOLVERS[number])
        row = ("-".join(map(str, shape)), len(known), programs, met, strangers, exact, by_milp or "-")
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
