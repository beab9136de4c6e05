"""Make ``random_7x7.onnx``: a random network of the shape of a published example, to look at its reachable set.

Xiang, Tran and Johnson (2017) show the reachable set of a random network with 3 inputs, 7 hidden layers of 7 ReLU units
and 2 outputs over the box [-1, 1]^3.  Their weights are not available; these are normal with mean 0 and variance 1 (the
biases too), rounded to float32, from a fixed seed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from common import network_bytes, property_text, write_files

SEED = 3
WIDTHS = (3, *(7,) * 7, 2)


def main() -> None:
    """Write the file."""
    random = np.random.default_rng(SEED)
    weights = [random.standard_normal((m, n)).astype(np.float32) for n, m in pairwise(WIDTHS)]
    biases = [random.standard_normal(m).astype(np.float32) for m in WIDTHS[1:]]
    box = [("-1.0", "1.0")] * WIDTHS[0]
    properties = {
        "random_7x7_stays_below.vnnlib": property_text("The first output stays below 13: holds.", 2, [box],
                                                       [["(>= Y_0 13.0)"]]),
        "random_7x7_tip.vnnlib": property_text("The second output stays above -130: violated, at one tip of the set.",
                                               2, [box], [["(<= Y_1 -130.0)"]]),
    }
    write_files({"random_7x7.onnx": network_bytes("random_7x7", weights, biases)}, properties)


if __name__ == "__main__":
    main()
