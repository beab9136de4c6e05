"""Do all outputs lie in the reachable set?  ``python -m benchmarks.membership [--points N]``

For each network of a list, N random inputs are run through the network in integers, and every output must lie in the
union of its reachable set; then every vertex of every part must be the output of the input that the part names.
Nothing is rounded.  Inputs are multiples of 2^-20 of the box, so that a batch of them is one integer matrix over a
common denominator.  The part to look into is the one with the activation pattern of the input; for an input on the
border of cells any part will do.  Prints one line a network; the exit code is 1 when something was missing.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from flint import fmpz_mat

from verifier.formats.onnx import read_network
from verifier.geometry.homogeneous import Vector, to_point
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.sets import Reach, reach

MODELS = Path(__file__).parents[1] / "models"
NETWORKS = (("absolute.onnx", (-1,), (2,)), ("zero.onnx", (-1,), (1,)), ("sliver.onnx", (-1,), (1,)),
            ("random_7x7.onnx", (-1,) * 3, (1,) * 3),
            ("controller.onnx", (Fraction(-1, 10),) * 4, (Fraction(1, 10),) * 4),
            ("advisory.onnx", (Fraction(-1, 5), Fraction(-1, 5), 0, Fraction(1, 10), 0),
             (Fraction(1, 5), Fraction(1, 5), 0, Fraction(1, 10), 0)))
GRID = 1 << 20
BATCH = 500


def random_inputs(box: Box, count: int, seed: int) -> tuple[list[list[int]], int]:
    """Random points of a bounded box as integers over one denominator."""
    steps = np.random.default_rng(seed).integers(0, GRID + 1, (count, box.dimension)).tolist()
    lower, upper = ([Fraction(v or 0) for v in side] for side in (box.lower, box.upper))
    common = int(np.lcm.reduce([v.denominator for v in (*lower, *upper)]))
    start = [int(v * common) * GRID for v in lower]
    width = [int((high - low) * common) for low, high in zip(lower, upper, strict=True)]
    return [[s + w * k for s, w, k in zip(start, width, row, strict=True)] for row in steps], common * GRID


def run(network: Network, points: list[list[int]], denominator: int) -> Iterator[tuple[Vector, bytes, bool]]:
    """For every point its output ``(t, y)`` (not reduced), its pattern (zero: inactive), and whether no unit with a
    phase is zero there.  Exact: one matrix product of integers a layer."""
    signs: list[list[int]] = [[] for _ in points]
    inner = [True] * len(points)
    columns, d = points, denominator
    for layer in network.layers:
        weight, own = layer.weight.integers()
        bias, other = layer.bias.integers()
        product = (fmpz_mat(len(columns), layer.inputs, [v for row in columns for v in row])
                   * weight.transpose()).tolist()
        shift = [int(b) * d * own for b in bias.entries()]
        z = [[int(v) * other + s for v, s in zip(row, shift, strict=True)] for row in product]
        d *= own * other
        slopes, common = layer.slope.integers()
        factors = [int(s) for s in slopes.entries()]
        linear = [s == common for s in factors]
        columns = []
        for k, row in enumerate(z):
            active = [free or v > 0 for v, free in zip(row, linear, strict=True)]
            signs[k] += active
            inner[k] = inner[k] and all(v or free for v, free in zip(row, linear, strict=True))
            columns.append([v * (common if on else s) for v, on, s in zip(row, active, factors, strict=True)])
        d *= common
    for row, pattern, inside in zip(columns, signs, inner, strict=True):
        yield (d, *row), bytes(pattern), inside


def outside(network: Network, box: Box, found: Reach, count: int, seed: int = 0) -> int:
    """How many outputs of random inputs do not lie in the set."""
    parts = {cell.pattern: cell.image for cell in found.sources}
    points, denominator = random_inputs(box, count, seed)
    missing = 0
    for begin in range(0, count, BATCH):
        for y, pattern, inside in run(network, points[begin:begin + BATCH], denominator):
            if inside:
                missing += pattern not in parts or not parts[pattern].contains_vector(y)
            else:
                missing += not found.union.contains(to_point(y))
    return missing


def unattained(network: Network, found: Reach) -> tuple[int, int]:
    """How many vertices of parts are not the output of the input named, and how many there are."""
    wrong = vertices = 0
    for number, part in enumerate(found.union.parts):
        for vertex, x in zip(part.vertices(), found.inputs(number), strict=True):
            vertices += 1
            wrong += network.evaluate(x) != vertex
    return wrong, vertices


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000)
    options = parser.parse_args()
    failures = 0
    for name, lower, upper in NETWORKS:
        network, box = read_network(MODELS / name).network, Box.from_bounds(lower, upper)
        clock = [time.process_time()]
        found = reach(network, box)
        clock.append(time.process_time())
        missing = outside(network, box, found, options.points)
        clock.append(time.process_time())
        wrong, vertices = unattained(network, found)
        clock.append(time.process_time())
        failures += missing + wrong
        spent = [b - a for a, b in itertools.pairwise(clock)]
        print(f"{name}: {found.cells} cells in {spent[0]:.1f} CPU s; {missing} of {options.points} outputs outside, "
              f"{spent[1]:.1f} s; {wrong} of {vertices} vertices not attained by the input named, {spent[2]:.1f} s",
              flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
