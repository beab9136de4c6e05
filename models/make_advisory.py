"""Make ``advisory.onnx`` and its properties: a classifier that advises a pilot how to avoid one intruder.

Rule.  The aircraft flies along +x from the origin.  The intruder starts at distance ``d`` and bearing ``theta``
(anticlockwise: positive is left) and flies with heading ``psi``; both keep their velocities.  With relative position
``p`` and relative velocity ``u`` the closest approach is at ``t = max(0, -p.u / u.u)``, at the offset ``m = p + t u``.

* ``|m| > 900 m`` or ``t > 50 s``: clear of conflict;
* otherwise turn away from the side on which the intruder passes (``m`` to the left: turn right), strongly when
  ``|m| < 600 m`` and ``t < 25 s``, else weakly.

Inputs, each scaled to [-1/2, 1/2]: distance 0..8000 m, bearing and heading -pi..pi, own and intruder speed
50..250 m/s.  Outputs: scores of clear, weak left, weak right, strong left, strong right; the largest is the advice.
"""

from __future__ import annotations

import numpy as np
from common import FloatArray, Interval, forward, network_bytes, property_text, train, write_files

CLEAR, WEAK_LEFT, WEAK_RIGHT, STRONG_LEFT, STRONG_RIGHT = range(5)
WIDTHS = (5, 24, 24, 24, 5)
BOUNDARY = ("0.069946", "0.069947")


def advice(x: FloatArray) -> np.ndarray:
    """The advisory of the rule for scaled inputs of shape (points, 5), shape (points,)."""
    distance, bearing, heading = (x[:, 0] + 0.5) * 8000, x[:, 1] * 2 * np.pi, x[:, 2] * 2 * np.pi
    own, intruder = x[:, 3] * 200 + 150, x[:, 4] * 200 + 150
    position = distance * np.exp(1j * bearing)
    velocity = intruder * np.exp(1j * heading) - own
    time = np.maximum(0.0, -(position * velocity.conj()).real / np.maximum(np.abs(velocity) ** 2, 1.0))
    miss = position + time * velocity
    conflict = (np.abs(miss) <= 900) & (time <= 50)
    strong = (np.abs(miss) < 600) & (time < 25)
    turn_right = miss.imag > 0
    return np.where(conflict, np.where(strong, STRONG_LEFT, WEAK_LEFT) + turn_right, CLEAR)


def cross_entropy(scores: FloatArray, targets: FloatArray) -> FloatArray:
    """Derivative of the cross entropy of softmax(scores) against one-hot ``targets``."""
    weight = np.exp(scores - scores.max(axis=1, keepdims=True))
    gradient: FloatArray = weight / weight.sum(axis=1, keepdims=True) - targets
    return gradient


def sample(seed: int, points: int) -> FloatArray:
    """Scaled inputs: half of them uniform, half pointed at the aircraft, where conflicts are."""
    random = np.random.default_rng(seed)
    x = random.uniform(-0.5, 0.5, (points, 5))
    pointed = points // 2
    own, intruder = x[:pointed, 3] * 200 + 150, x[:pointed, 4] * 200 + 150
    # A collision course: w e^{i psi} - v points along -e^{i theta}, so sin(psi - theta - pi) = v sin(theta) / w.
    bearing = x[:pointed, 1] * 2 * np.pi
    across = own * np.sin(bearing) / intruder
    aimed = bearing + np.pi + np.arcsin(np.clip(across, -1, 1)) + random.normal(0, 0.3, pointed)
    x[:pointed, 2] = (aimed + np.pi) % (2 * np.pi) / (2 * np.pi) - 0.5
    return x


MODERATE: Interval = ("-0.25", "0.25")
ANY: Interval = ("-0.5", "0.5")


def exceeds(winner: int) -> list[list[str]]:
    """Disjuncts: some other score is at least that of ``winner``."""
    return [[f"(>= Y_{other} Y_{winner})"] for other in range(5) if other != winner]


def is_advised(*winners: int) -> list[list[str]]:
    """Disjuncts: one of ``winners`` has a largest score."""
    return [[f"(>= Y_{winner} Y_{other})" for other in range(5) if other != winner] for winner in winners]


def properties() -> dict[str, str]:
    """Name and text of every property file."""
    near_left = [("-0.375", "-0.25"), ("0.03", "0.1"), ("0.42", "0.5"), ANY, ANY]
    near_right = [("-0.375", "-0.25"), ("-0.1", "-0.03"), ("-0.5", "-0.42"), ANY, ANY]
    head_on = [("-0.4", "-0.2"), ("-0.02", "0.02"), ("0.48", "0.5")]
    fast_own, slow_intruder = ("0.2", "0.5"), ("-0.5", "-0.2")
    behind_left = [("0.1", "0.5"), ("0.4", "0.5"), ANY, fast_own, slow_intruder]
    behind_right = [("0.1", "0.5"), ("-0.5", "-0.4"), ANY, fast_own, slow_intruder]
    # The bound on the bearing at which strong right stops beating clear, rounded down and up to six digits.
    boundary = [("-0.4", "-0.3"), ("0.02", "{}"), ("0.48", "0.5"), ("0.0", "0.0"), ("0.0", "0.0")]
    inside, outside = ([(lo, hi.format(bearing)) for lo, hi in boundary] for bearing in BOUNDARY)
    named = {
        "far_is_clear": (
            "An intruder far ahead that flies away faster: clear of conflict.",
            [[("0.3", "0.5"), ("-0.1", "0.1"), ("-0.1", "0.1"), ("-0.5", "-0.1"), ("0.1", "0.5")]], exceeds(CLEAR)),
        "departing_is_clear": (
            "The same for every intruder that is no slower, from 6000 m on: too much to ask.",
            [[("0.25", "0.5"), ("-0.15", "0.15"), ("-0.15", "0.15"), ("-0.5", "0.0"), ("0.0", "0.5")]],
            exceeds(CLEAR)),
        "behind_is_clear": (
            "A slower intruder far behind, on the left or on the right (two boxes: the bearing wraps around).",
            [behind_left, behind_right], exceeds(CLEAR)),
        "left_threat_not_left": (
            "An oncoming intruder on the left: neither left turn is advised.",
            [near_left], is_advised(WEAK_LEFT, STRONG_LEFT)),
        "right_threat_not_right": (
            "An oncoming intruder on the right: neither right turn is advised.",
            [near_right], is_advised(WEAK_RIGHT, STRONG_RIGHT)),
        "head_on_is_strong": (
            "Close and head on at moderate speeds: a strong turn is advised.",
            [[*head_on, MODERATE, MODERATE]], is_advised(CLEAR, WEAK_LEFT, WEAK_RIGHT)),
        "head_on_any_speed_is_strong": (
            "The same at all speeds: too much to ask.",
            [[*head_on, ANY, ANY]], is_advised(CLEAR, WEAK_LEFT, WEAK_RIGHT)),
        "boundary_inside": (
            "Both speeds fixed; up to this bearing strong right beats clear, by a hair.",
            [inside], [[f"(>= Y_{CLEAR} Y_{STRONG_RIGHT})"]]),
        "boundary_outside": (
            "The bearing of boundary_inside 0.000001 wider: in one corner strong right does not beat clear.",
            [outside], [[f"(>= Y_{CLEAR} Y_{STRONG_RIGHT})"]]),
    }
    return {f"advisory_{name}.vnnlib": property_text(comment, 5, boxes, counterexample)
            for name, (comment, boxes, counterexample) in named.items()}


def main() -> None:
    """Train, report the agreement with the rule on fresh points, write the files."""
    features = sample(1, 200_000)
    weights, biases = train(WIDTHS, features, np.eye(5)[advice(features)], cross_entropy, seed=3, steps=15_000)
    fresh = sample(2, 50_000)
    agreement = np.mean(forward(weights, biases, fresh)[-1].argmax(axis=1) == advice(fresh))
    print(f"agreement with the rule on 50,000 fresh points: {agreement:.4f}")
    write_files({"advisory.onnx": network_bytes("advisory", weights, biases)}, properties())


if __name__ == "__main__":
    main()
