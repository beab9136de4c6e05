"""CPU time of the images of cells in many inputs, by linear programs.

    python benchmarks/images.py [CELLS]

Networks of two hidden layers of 8 units with random weights over the box [-1, 1]^n, 3 outputs: milliseconds a cell for
the walk and the image with its exact bounding box, and with the vertices of the image besides.
"""

from __future__ import annotations

import sys
import time
from itertools import islice

import numpy as np

from verifier.engines.propagate import Propagation, Region
from verifier.engines.reach import mapped
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box


def network(inputs: int) -> Network:
    """Two hidden layers of 8 units and 3 outputs."""
    rng = np.random.default_rng(inputs)
    widths = [inputs, 8, 8, 3]
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    return Network.from_arrays(
        weights=[(rng.normal(size=shape) / np.sqrt(shape[1])).astype(np.float32) for shape in shapes],
        biases=[(rng.normal(size=shape[0]) / 2).astype(np.float32) for shape in shapes])


def measured(inputs: int, most: int) -> tuple[float, float]:
    """Milliseconds a cell, without and with the vertices of its image."""
    region = Region(network(inputs), Box.from_bounds([-1] * inputs, [1] * inputs))
    started = time.process_time()
    images = [mapped(cell).image for cell in islice(Propagation(region, "lp").cells(), most)]
    boxes = time.process_time() - started
    for image in images:
        image.vertices()
    return 1000 * boxes / len(images), 1000 * (time.process_time() - started) / len(images)


def main() -> None:
    """Measure and print the table."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    measured(6, most)  # loads the compiled walk
    print(f"{'inputs':>6} {'box':>8} {'vertices':>9}   (ms a cell)")
    for inputs in (8, 12, 16, 20):
        box, vertices = measured(inputs, most)
        print(f"{inputs:>6} {box:>8.1f} {vertices:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
