"""Make the hand-written networks: functions of one input whose answers hang on exactness.

Each is a formula in ReLU units that can be checked on paper, with a question whose margin is zero or far below the
rounding error of float32.  Everything is a binary float, so nothing is lost in the file.

==================  ================================================  ================================================
network             function on [-1, 1]                               what goes wrong without exactness
==================  ================================================  ================================================
``absolute``        relu(x) + relu(-x) = |x|                          it vanishes at one point only
``absolute_above``  relu(x) + relu(-x) + e = |x| + e                  a tolerance swallows the margin e
``zero``            relu(x) - relu(-x) - relu(x + b) + relu(-x - b)   a float32 run gives up to 0.00000003
                    + b = x - (x + b) + b = 0
``float_trap``      relu(c x + 1) - relu(c x)                         at x = 1, where it is 1, a float32 run gives 0
``sliver``          relu(x) - relu(x - e), which is e for x >= e      a float32 run gives 0 at x = 1
==================  ================================================  ================================================

Here ``e = 2^-30``, ``c = 2^24`` and ``b`` is the float32 number next to 1/3.
"""

from __future__ import annotations

import numpy as np
from common import network_bytes, property_text, write_files

E = 2.0**-30
C = 2.0**24
B = float(np.float32(1 / 3))

# name: (hidden weights, hidden biases, output weights, output bias)
NETWORKS = {
    "absolute": ([1, -1], [0, 0], [1, 1], 0),
    "absolute_above": ([1, -1], [0, 0], [1, 1], E),
    "zero": ([1, -1, 1, -1], [0, 0, B, -B], [1, -1, -1, 1], B),
    "float_trap": ([C, C], [1, 0], [1, -1], 0),
    "sliver": ([1, 1], [0, -E], [1, -1], 0),
}

# name: (comment, lower bound, upper bound, counterexample)
PROPERTIES = {
    "absolute_positive": ("|x| > 0: violated, at x = 0 and nowhere else.", "-0.7", "1.0", "(<= Y_0 0.0)"),
    "absolute_not_negative": ("|x| >= 0: holds, with margin zero.", "-1.0", "1.0", "(< Y_0 0.0)"),
    "absolute_above_positive": ("|x| + 2^-30 > 0: holds, by less than a billionth.", "-1.0", "1.0", "(<= Y_0 0.0)"),
    "absolute_above_exceeds_e": ("|x| + 2^-30 > 2^-30: violated, at x = 0 and nowhere else.", "-0.7", "1.0",
                                 "(<= Y_0 0.000000000931322574615478515625)"),
    "zero_below_threshold": ("0 < 0.00000001: holds.", "-1.0", "1.0", "(>= Y_0 0.00000001)"),
    "zero_not_positive": ("0 <= 0: holds, with margin zero.", "-1.0", "1.0", "(> Y_0 0.0)"),
    "zero_negative": ("0 < 0: violated, everywhere.", "-1.0", "1.0", "(>= Y_0 0.0)"),
    "float_trap_above_half": ("1 > 0.5: holds.", "0.9", "1.0", "(<= Y_0 0.5)"),
    "float_trap_below_one": ("1 < 1: violated, everywhere.", "0.9", "1.0", "(>= Y_0 1.0)"),
    "sliver_small": ("min(max(x, 0), 2^-30) < 0.0000000004: violated.", "-1.0", "1.0", "(>= Y_0 0.0000000004)"),
    "sliver_at_most_e": ("min(max(x, 0), 2^-30) <= 2^-30: holds, with margin zero.", "-1.0", "1.0",
                         "(> Y_0 0.000000000931322574615478515625)"),
}


def main() -> None:
    """Write the files."""
    networks = {f"{name}.onnx": network_bytes(name, [np.array(weights)[:, None], np.array([outer])],
                                              [np.array(biases), np.array([constant])])
                for name, (weights, biases, outer, constant) in NETWORKS.items()}
    properties = {f"{name}.vnnlib": property_text(comment, 1, [[(lower, upper)]], [[counterexample]])
                  for name, (comment, lower, upper, counterexample) in PROPERTIES.items()}
    write_files(networks, properties)


if __name__ == "__main__":
    main()
