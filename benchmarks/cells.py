"""Cells per CPU second, and memory by number of cells, by input dimension and method: ``python benchmarks/cells.py``.

Random Gaussian networks (fixed seed) on [-1, 1]^n with two hidden layers, walked for a few CPU seconds each, every one
in a process of its own; or given ones with ``--instance NET SPEC``.  Compiling is not counted.  *start* is the resident
memory when the walk begins, libraries included; the columns after it are the peak when so many cells had been counted
(``-``: not that many in the time).  ``--keep`` keeps all cells, as a reachable set does, instead of counting them.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from verifier.engines import lp_walk
from verifier.engines.lp_walk import LpWalk
from verifier.engines.propagate import Propagation, Region, Representation
from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import read_property
from verifier.geometry import traversal
from verifier.geometry.traversal import Walk
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box

COUNTS = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Measure:
    """One row of the table; memory in MiB."""

    cells: int
    seconds: float
    exact: int
    start: int
    peaks: tuple[int | None, ...]


def network(inputs: int) -> Network:
    """Two hidden layers, wider where there are few inputs, and two outputs."""
    rng = np.random.default_rng(inputs)
    width = {2: 150, 3: 160, 4: 56}.get(inputs, 16)
    sizes = [inputs, width, width, 2]
    return Network.from_arrays([rng.standard_normal((b, a)) / np.sqrt(a) for a, b in itertools.pairwise(sizes)],
                               [rng.standard_normal(b) / 2 for b in sizes[1:]])


def region(inputs: int) -> Region:
    """The network over its cube."""
    return Region(network(inputs), Box.from_bounds([-1] * inputs, [1] * inputs))


def counted(walk: Propagation, keep: bool) -> Iterator[tuple[int, int]]:
    """Cells and exact signs so far, again and again; ``keep`` holds all cells in memory."""
    kept = []
    if keep:
        for number, cell in enumerate(walk.cells(), 1):
            kept.append(cell)
            yield number, walk.statistics.exact_signs
        return
    loop: Walk | LpWalk
    if walk.representation == "lp":
        loop = LpWalk(walk.space, collect=False)
    else:
        loop = Walk(walk.space, collect=False)
        loop.push([walk.space.root()])
    while not loop.finished:
        loop.step()
        yield loop.cells, loop.statistics.exact_signs


def peak() -> int:
    """The peak of this process's resident memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(measured: Region, method: Representation, seconds: float, keep: bool) -> Measure:
    """Walk for so many CPU seconds."""
    traversal.FORMS.patience = lp_walk.FORMS.patience = 0  # compiled from the beginning
    for _ in itertools.islice(counted(Propagation(region(6), method), keep), 3):  # compiles
        pass
    walk = Propagation(measured, method)
    start, memory = time.process_time(), peak()
    done = (0, 0)
    peaks: dict[int, int] = {}
    for done in counted(walk, keep):
        for count in COUNTS:
            if done[0] >= count and count not in peaks:
                peaks[count] = peak()
        if time.process_time() - start > seconds:
            break
    return Measure(done[0], time.process_time() - start, done[1], memory, tuple(peaks.get(count) for count in COUNTS))


def cases(options: argparse.Namespace) -> Iterator[tuple[str, Region]]:
    """The regions to be measured, with names: the number of inputs, or files."""
    for net, spec in options.instance:
        given = read_network(net).network
        for piece in read_property(spec).queries(given):
            yield f"{Path(net).name} {Path(spec).name}", Region(given, piece.domain)
    if not options.instance:
        for n in options.dimensions:
            yield str(n), region(n)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="CPU seconds for each measurement")
    parser.add_argument("--dimensions", type=int, nargs="*", default=range(2, 13))
    parser.add_argument("--instance", nargs=2, action="append", default=[], metavar=("NET", "SPEC"),
                        help="a network file and a property file instead of random networks; may be repeated")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    print("| case | method | cells | CPU s | cells/s | exact signs | start MiB | "
          + " | ".join(f"at {count:,}" for count in COUNTS) + " |")
    print("| --- " * (7 + len(COUNTS)) + "|")
    methods: tuple[Representation, ...] = ("vertices", "lp")
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for (name, measured), method in itertools.product(cases(options), methods):
            row = pool.submit(measure, measured, method, options.seconds, options.keep).result()
            speed = row.cells / max(row.seconds, 1e-6)
            print(f"| {name} | {method} | {row.cells:,} | {row.seconds:.2f} | {speed:,.0f} | {row.exact:,} "
                  f"| {row.start} | " + " | ".join("-" if v is None else str(v) for v in row.peaks) + " |", flush=True)


if __name__ == "__main__":
    main()
