"""Exact reachable sets: CPU time by stage, and peak memory: ``python -m benchmarks.reach``.

Random Gaussian networks (fixed seed, two hidden layers of 16 units, two outputs) on [-1, 1]^n, or given instances with
``--instance NET SPEC``; every one in a process of its own.  *summary* is what ``verifier reach`` says without a file:
the cells, the dimension of every part, and the exact bounding box.  *file* makes all exact vertices of all parts and
the text of the JSON file, with inputs.  Times are CPU seconds and add up; compiling and loading are not counted.
``--summary`` stops after the first stage.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.cells import peak
from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import read_property
from verifier.geometry.union_json import json_lines
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.sets import reach


@dataclass(frozen=True)
class Measure:
    """One row: CPU seconds and peaks in MiB after each stage; ``size`` is that of the file in bytes."""

    cells: int
    seconds: tuple[float, ...]
    peaks: tuple[int, ...]
    size: int


def network(inputs: int) -> Network:
    """The random network."""
    rng = np.random.default_rng(inputs)
    sizes = [inputs, 16, 16, 2]
    return Network.from_arrays([rng.standard_normal((b, a)) / np.sqrt(a) for a, b in itertools.pairwise(sizes)],
                               [rng.standard_normal(b) / 2 for b in sizes[1:]])


def cube(inputs: int) -> Box:
    """[-1, 1]^n."""
    return Box.from_bounds([-1] * inputs, [1] * inputs)


def measure(case: int | tuple[str, str], summary: bool) -> Measure:
    """The random network with so many inputs, or files."""
    warm = reach(network(2), cube(2))
    assert warm.bounding_box is not None
    given = (network(case), cube(case)) if isinstance(case, int) else (
        read_network(Path(case[0])), read_property(Path(case[1])))
    clock, peaks = [time.process_time()], []
    found = reach(*given)
    size = 0
    for stage in range(1 if summary else 2):
        if stage == 0:
            assert sum(found.dimensions.values()) == found.cells
            assert found.bounding_box is not None
        else:
            size = sum(len(line) for line in json_lines(found.union, inputs=found.attaining))
        clock.append(time.process_time())
        peaks.append(peak())
    return Measure(found.cells, tuple(b - a for a, b in itertools.pairwise(clock)), tuple(peaks), size)


def main() -> None:
    """Measure and print."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # in the workers, as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, nargs="*", default=range(2, 7))
    parser.add_argument("--instance", nargs=2, action="append", default=[], metavar=("NET", "SPEC"),
                        help="a network file and a property file instead of random networks; may be repeated")
    parser.add_argument("--summary", action="store_true", help="only the summary")
    options = parser.parse_args()
    stages = ("summary",) if options.summary else ("summary", "file")
    titles = " | ".join(f"{stage}, CPU s | ms a cell | peak MiB" for stage in stages)
    print(f"| case | cells | {titles} | file MB |")
    print("| --- " * (3 + 3 * len(stages)) + "|")
    cases: list[int | tuple[str, str]] = [(net, spec) for net, spec in options.instance] or list(options.dimensions)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for case in cases:
            row = pool.submit(measure, case, options.summary).result()
            name = str(case) if isinstance(case, int) else " ".join(Path(file).name for file in case)
            columns = " | ".join(f"{seconds:.2f} | {1000 * seconds / row.cells:.3f} | {most}" for seconds, most in
                                 zip(row.seconds, row.peaks, strict=True))
            print(f"| {name} | {row.cells:,} | {columns} | {row.size / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
