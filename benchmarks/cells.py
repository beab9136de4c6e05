"""Cells per CPU second by input dimension and representation: ``python benchmarks/cells.py [--seconds S]``.

Random Gaussian networks (fixed seed) on [-1, 1]^n with two hidden layers, walked for a few CPU seconds each.  Compiling
is not counted.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time

import numpy as np

from verifier.engines.propagate import Propagation, Region
from verifier.geometry.traversal import Walk
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box


def network(inputs: int, width: int = 16) -> Network:
    """Two hidden layers of ``width`` units, two outputs."""
    rng = np.random.default_rng(inputs)
    sizes = [inputs, width, width, 2]
    return Network.from_arrays([rng.standard_normal((b, a)) / np.sqrt(a) for a, b in itertools.pairwise(sizes)],
                               [rng.standard_normal(b) / 2 for b in sizes[1:]])


def by_vertices(walk: Propagation, seconds: float) -> tuple[int, float, int]:
    """Cells counted, CPU seconds, exact signs."""
    loop = Walk(walk.space, collect=False)
    loop.push([walk.space.root()])
    start = time.process_time()
    while not loop.finished and time.process_time() - start < seconds:
        loop.step()
    return loop.cells, time.process_time() - start, loop.statistics.exact_signs


def by_programs(walk: Propagation, seconds: float) -> tuple[int, float, int]:
    """The same by linear programs, all of which are exact."""
    start, found = time.process_time(), 0
    for _ in walk.cells():
        found += 1
        if time.process_time() - start > seconds:
            break
    return found, time.process_time() - start, 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="CPU seconds for each measurement")
    parser.add_argument("--dimensions", type=int, nargs="*", default=[2, 3, 4, 5, 6, 8, 10, 12])
    options = parser.parse_args()
    by_vertices(Propagation(Region(network(2), Box.from_bounds([-1] * 2, [1] * 2)), "vertices"), 60.0)  # compiles
    print("inputs  method    cells     CPU s   cells/s  exact signs  peak MiB")
    for n in options.dimensions:
        region = Region(network(n), Box.from_bounds([-1] * n, [1] * n))
        for name, measure in (("vertices", by_vertices), ("lp", by_programs)):
            found, spent, exact = measure(Propagation(region, "vertices" if name == "vertices" else "lp"),
                                          options.seconds)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            speed = found / max(spent, 1e-6)
            print(f"{n:6d}  {name:8s} {found:8d}  {spent:7.2f}  {speed:8.0f}  {exact:11d}  {peak:8d}", flush=True)


if __name__ == "__main__":
    main()
