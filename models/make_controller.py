"""Make ``controller.onnx`` and its properties: a small network that balances a pole on a cart.

Teacher.  Cart 1 kg, pole 0.1 kg with its centre of mass at 0.5 m, force at most 10 N.  Linearised at the upright
position and sampled every 0.02 s, the plant is ``x' = A x + B f`` for ``x`` = (position, velocity, angle, angular
velocity); the teacher is the linear quadratic regulator ``f = -K x`` clipped at the limit.  ``K`` comes from iterating
the Riccati equation to its fixed point.  The network imitates it, so it has its corners, nearly, and its own errors.

Inputs, each scaled to [-1, 1]: position +-1 m, velocity +-1 m/s, angle +-0.2 rad, angular velocity +-1 rad/s.
Output: force divided by 10 N.
"""

from __future__ import annotations

import numpy as np
from common import FloatArray, Interval, forward, network_bytes, property_text, train, write_files

PEAK = ("0.461307", "0.461306")
WIDTHS = (4, 24, 24, 1)
SCALE = np.array([1.0, 1.0, 0.2, 1.0])


def regulator() -> FloatArray:
    """The gain ``K`` for scaled inputs and scaled force, shape (4,)."""
    gravity, cart, pole, length, step, limit = 9.81, 1.0, 0.1, 0.5, 0.02, 10.0
    inertia = 4 / 3 - pole / (cart + pole)  # of the pole about its foot, per pole mass and length
    a = np.eye(4)
    a[0, 1] = a[2, 3] = step
    a[3, 2] = step * gravity / (length * inertia)
    a[1, 2] = -a[3, 2] * pole * length / (cart + pole)
    angular = -1 / ((cart + pole) * length * inertia)
    b = step * np.array([0.0, 1 / (cart + pole) - angular * pole * length / (cart + pole), 0.0, angular])
    cost = state_cost = np.diag([1.0, 0.5, 10.0, 1.0])
    for _ in range(2000):
        gain = (b @ cost @ a) / (0.02 + b @ cost @ b)
        cost = state_cost + a.T @ cost @ (a - np.outer(b, gain))
    scaled: FloatArray = gain * SCALE / limit
    return scaled


def teacher(x: FloatArray) -> FloatArray:
    """The clipped regulator for scaled inputs of shape (points, 4), shape (points, 1)."""
    return np.clip(-x @ regulator(), -1.0, 1.0)[:, None]


def properties() -> dict[str, str]:
    """Name and text of every property file."""
    everywhere = [("-1.0", "1.0")] * 4
    near_rest = [("-0.1", "0.1")] * 4
    falling = [("-1.0", "1.0"), ("-0.5", "0.5"), ("0.5", "1.0"), ("0.75", "1.0")]
    # The largest output near rest, rounded up and down to six digits.
    above_peak, below_peak = PEAK
    named: dict[str, tuple[str, list[Interval], list[list[str]]]] = {
        "force_is_limited": (
            "Everywhere the demanded force stays within 12 N in both directions.",
            everywhere, [["(>= Y_0 1.2)"], ["(<= Y_0 -1.2)"]]),
        "force_never_exceeds_limit": (
            "Everywhere the demanded force stays within the teacher's 10 N: an imitation overshoots.",
            everywhere, [["(> Y_0 1.0)"], ["(< Y_0 -1.0)"]]),
        "falling_is_caught": (
            "A pole falling to the right fast is met with at least 9 N to the right.",
            falling, [["(< Y_0 0.9)"]]),
        "falling_is_caught_fully": (
            "The same with the teacher's full 10 N: too much to ask.",
            falling, [["(< Y_0 1.0)"]]),
        "quiet_near_rest": (
            "Near rest the demanded force stays below 5 N in both directions.",
            near_rest, [["(>= Y_0 0.5)"], ["(<= Y_0 -0.5)"]]),
        "below_peak": (
            "Near rest the output stays below its maximum rounded up to six digits.",
            near_rest, [[f"(>= Y_0 {above_peak})"]]),
        "reaches_peak": (
            "Near rest the output reaches its maximum rounded down to six digits, in one corner.",
            near_rest, [[f"(>= Y_0 {below_peak})"]]),
    }
    return {f"controller_{name}.vnnlib": property_text(comment, 1, [box], counterexample)
            for name, (comment, box, counterexample) in named.items()}


def main() -> None:
    """Train, report the distance from the teacher on fresh points, write the files."""
    random = np.random.default_rng(1)
    features = random.uniform(-1.0, 1.0, (100_000, 4))
    weights, biases = train(WIDTHS, features, teacher(features), lambda output, target: output - target,
                            seed=2, steps=8_000)
    fresh = random.uniform(-1.0, 1.0, (50_000, 4))
    error = np.abs(forward(weights, biases, fresh)[-1] - teacher(fresh))
    print(f"error on 50,000 fresh points: mean {error.mean():.4f}, largest {error.max():.4f}")
    write_files({"controller.onnx": network_bytes("controller", weights, biases)}, properties())


if __name__ == "__main__":
    main()
