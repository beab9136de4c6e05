"""What certificates of partitions cost: ``python benchmarks/partitions.py``.

Random Gaussian networks (fixed seed) on [-1, 1]^n: CPU milliseconds a cell to find the cells, to make the proof and to
check it, and bytes a cell of the certificate.
"""

from __future__ import annotations

import itertools
import time
import zlib

import numpy as np

from verifier.engines.partition_proof import prove_cells
from verifier.engines.propagate import Propagation, Region
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Network
from verifier.kernel.partition import Cells, check_cells
from verifier.kernel.polyhedron import Box

WIDTHS = [(2, 16, 16, 1), (2, 32, 32, 32, 1), (2, 64, 64, 1), (3, 16, 16, 1), (4, 16, 16, 1), (8, 6, 4, 1)]


def network(widths: tuple[int, ...]) -> Network:
    """Standard weights over the root of the fan-in, float32, and smaller biases."""
    rng = np.random.default_rng(0)
    return Network.from_arrays([(rng.standard_normal((b, a)) / np.sqrt(a)).astype(np.float32)
                                for a, b in itertools.pairwise(widths)],
                               [(0.3 * rng.standard_normal(b)).astype(np.float32) for b in widths[1:]])


def main() -> None:
    """Measure and print."""
    print("widths            cells  walk ms/cell  prove ms/cell  check ms/cell  bytes/cell  check s")
    for widths in WIDTHS:
        region = Region(network(widths), Box.from_bounds([-1] * widths[0], [1] * widths[0]))
        clock = [time.process_time()]
        cells = list(Propagation(region).cells())
        clock.append(time.process_time())
        frames = list(prove_cells(region, cells, joins=True))
        clock.append(time.process_time())
        claim = check_cells(region.network, len(region.kept), Polytope(region.box), frames).claim
        clock.append(time.process_time())
        assert isinstance(claim, Cells)
        assert claim.complete
        assert len(claim.patterns) == len(cells)
        walk, prove, check = (1000 * (b - a) / len(cells) for a, b in itertools.pairwise(clock))
        size = sum(len(zlib.compress(frame)) for frame in frames) / len(cells)
        name = "-".join(map(str, widths))
        print(f"{name:14s} {len(cells):8d} {walk:13.2f} {prove:14.2f} {check:14.2f} {size:11.0f} "
              f"{clock[3] - clock[2]:8.1f}", flush=True)


if __name__ == "__main__":
    main()
