"""Cells per CPU second by input dimension and representation: ``python benchmarks/cells.py [--seconds S]``.

Random Gaussian networks (fixed seed) on [-1, 1]^n with two hidden layers, walked for a few CPU seconds each; or given
ones with ``--instance NET SPEC``.  Compiling is not counted.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from verifier.engines.lp_walk import LpWalk
from verifier.engines.propagate import Propagation, Region
from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import read_property
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
    """The same by linear programs."""
    loop = LpWalk(walk.space, collect=False)
    start = time.process_time()
    while not loop.finished and time.process_time() - start < seconds:
        loop.step()
    return loop.cells, time.process_time() - start, loop.statistics.exact_signs


METHODS = {"vertices": by_vertices, "lp": by_programs}


def cases(options: argparse.Namespace) -> Iterator[tuple[str, Region]]:
    """The regions to be measured, with names."""
    for net, spec in options.instance:
        network_of = read_network(net).network
        for piece in read_property(spec).queries(network_of):
            yield f"{Path(net).name} {Path(spec).name}", Region(network_of, piece.domain)
    if not options.instance:
        for n in options.dimensions:
            yield str(n), Region(network(n), Box.from_bounds([-1] * n, [1] * n))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="CPU seconds for each measurement")
    parser.add_argument("--dimensions", type=int, nargs="*", default=range(2, 13))
    parser.add_argument("--instance", nargs=2, action="append", default=[], metavar=("NET", "SPEC"),
                        help="a network file and a property file instead of random networks; may be repeated")
    parser.add_argument("--methods", nargs="*", choices=sorted(METHODS), default=sorted(METHODS, reverse=True))
    options = parser.parse_args()
    for name in options.methods:  # compiles
        METHODS[name](Propagation(Region(network(2), Box.from_bounds([-1] * 2, [1] * 2)), name), 60.0)
    print("inputs  method    cells     CPU s   cells/s  exact signs  peak MiB")
    for title, region in cases(options):
        for name in options.methods:
            found, spent, exact = METHODS[name](Propagation(region, name), options.seconds)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            speed = found / max(spent, 1e-6)
            print(f"{title:>6s}  {name:8s} {found:8d}  {spent:7.2f}  {speed:8.0f}  {exact:11d}  {peak:8d}", flush=True)


if __name__ == "__main__":
    main()
