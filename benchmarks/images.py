"""CPU time of the images of cells, by vertices and by linear programs, for more and more inputs.

    python benchmarks/images.py [CELLS]

Networks of two hidden layers of 8 units with random weights over the box [-1, 1]^n, 3 outputs: milliseconds a cell for
the walk and the image with its bounding box, and by programs for the vertices of the image besides.
"""

from __future__ import annotations

import sys
import time
from itertools import islice

import numpy as np

from verifier.engines.propagate import Propagation, Region, Representation
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


def measured(inputs: int, representation: Representation, most: int, vertices: bool = False) -> float:
    """Milliseconds a cell, with or without the vertices of its image."""
    region = Region(network(inputs), Box.from_bounds([-1] * inputs, [1] * inputs))
    started = time.process_time()
    images = [mapped(cell).image for cell in islice(Propagation(region, representation).cells(), most)]
    for image in images:
        image.bounding_box()
        if vertices:
            image.vertices()
    return 1000 * (time.process_time() - started) / len(images)


def main() -> None:
    """Measure and print the table."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    measured(2, "vertices", most), measured(6, "lp", most)  # loads the compiled walks
    print(f"{'inputs':>6}  {'by vertices':>12} {'by programs':>12} {'and vertices':>13}   (ms a cell)")
    for inputs in (6, 7, 8, 10, 12, 16, 20):
        numbers = [measured(inputs, "vertices", most)] if inputs <= 10 else [np.nan]
        numbers += [measured(inputs, "lp", most), measured(inputs, "lp", most // 3, vertices=True)]
        print(f"{inputs:>6}  {numbers[0]:>12.1f} {numbers[1]:>12.1f} {numbers[2]:>13.1f}", flush=True)


if __name__ == "__main__":
    main()
