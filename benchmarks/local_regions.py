"""How many regions lie around data points while a network is trained: the study of 2020, with exact counts.

    python benchmarks/local_regions.py [--output benchmarks/local_regions]

The paper (*Bounding the number of linear regions in local area for neural networks with ReLU activations*, 2020)
bounds the number of linear regions in a sphere around a point, and reports that (a) during training boundaries move
away from the training points, and that (b) spheres around training points hold more regions than around arbitrary
points.  Here its bound is replaced by exact counts, and set beside a certified local bound.

Data and networks are made here: two spirals in the plane, and a second problem in five dimensions, of which two decide
(a noisy ring); 2-16-16-1 and 5-16-16-1 ReLU networks, trained by Adam on the logistic loss in float64 and then rounded
to float32, from three seeds each.  At several epochs, around 70 training points, 70 test points of the same
distribution and 70 points uniform in the box of the data: exact activation and linear counts in the Euclidean ball of a
fixed radius, the local bound, and the exact distance to the nearest boundary.  Writes a CSV file, a table in Markdown
and a figure.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from verifier.counting import count_all_regions, region_bound
from verifier.engines.region_margins import MarginFinder
from verifier.geometry.ball import Ball
from verifier.kernel.network import Network

EPOCHS = (0, 10, 30, 100, 300, 1000, 3000)
SEEDS = (1, 2, 3)
POINTS = 70
GROUPS = ("training", "test", "random")
Array = np.ndarray[Any, np.dtype[np.float64]]


def spirals(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Two spirals in [-1, 1]^2 with noise."""
    label = rng.integers(0, 2, count)
    turn = np.sqrt(rng.uniform(0.02, 1, count))
    angle = 3 * np.pi * turn + np.pi * label
    x = 0.9 * turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.clip(x + rng.normal(0, 0.03, x.shape), -1, 1), label.astype(float)


def ring(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Inside or outside of a circle in two of five coordinates; the other three are small."""
    x = np.concatenate([rng.uniform(-1, 1, (count, 2)), rng.normal(0, 0.15, (count, 3))], axis=1)
    return np.clip(x, -1, 1), (np.hypot(x[:, 0], x[:, 1]) + rng.normal(0, 0.05, count) < 0.7).astype(float)


PROBLEMS = {"spirals": (spirals, (2, 16, 16, 1), Fraction(1, 10)), "ring": (ring, (5, 16, 16, 1), Fraction(1, 10))}


class Training:
    """Adam on the mean logistic loss, full batches."""

    def __init__(self, rng: np.random.Generator, widths: tuple[int, ...]) -> None:
        self.parameters: list[Array] = []
        for a, b in itertools.pairwise(widths):
            self.parameters += [rng.normal(0, np.sqrt(2 / a), (b, a)), rng.normal(0, 0.1, b)]
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.parameters]
        self.step = 0

    def epoch(self, x: Array, y: Array, rate: float = 0.01) -> None:
        """One step down the gradient."""
        outputs, last = [x], len(self.parameters) // 2 - 1
        for k in range(last + 1):
            z = outputs[-1] @ self.parameters[2 * k].T + self.parameters[2 * k + 1]
            outputs.append(z if k == last else np.maximum(z, 0))
        delta = (1 / (1 + np.exp(-outputs[-1][:, 0])) - y)[:, None] / len(y)
        gradients: list[Array] = []
        for k in range(last, -1, -1):
            gradients = [delta.T @ outputs[k], delta.sum(axis=0), *gradients]
            delta = delta @ self.parameters[2 * k] * (outputs[k] > 0)
        self.step += 1
        for k, (g, (m, v)) in enumerate(zip(gradients, self.moments, strict=True)):
            self.moments[k] = m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g  # noqa: PLW2901
            self.parameters[k] = self.parameters[k] - rate * (m / (1 - 0.9**self.step)) / (
                np.sqrt(v / (1 - 0.999**self.step)) + 1e-8)

    def network(self) -> Network:
        """The network as a file would hold it."""
        rounded = [p.astype(np.float32).astype(float) for p in self.parameters]
        return Network.from_arrays(rounded[::2], rounded[1::2])

    def accuracy(self, x: Array, y: Array) -> float:
        """The part of the points on the right side."""
        for k in range(0, len(self.parameters) - 2, 2):
            x = np.maximum(x @ self.parameters[k].T + self.parameters[k + 1], 0)
        return float(((x @ self.parameters[-2].T + self.parameters[-1])[:, 0] > 0) @ y + (
            (x @ self.parameters[-2].T + self.parameters[-1])[:, 0] <= 0) @ (1 - y)) / len(y)


def measure(problem: str, seed: int) -> list[dict[str, Any]]:
    """All epochs of one training run."""
    make, widths, radius = PROBLEMS[problem]
    rng = np.random.default_rng(seed)
    (x, y), (x_test, y_test) = make(rng, 200), make(rng, 200)
    low, high = x.min(axis=0), x.max(axis=0)
    groups = {"training": x[:POINTS], "test": x_test[:POINTS], "random": rng.uniform(low, high, (POINTS, widths[0]))}
    training = Training(rng, widths)
    rows: list[dict[str, Any]] = []
    for epoch in range(max(EPOCHS) + 1):
        if epoch in EPOCHS:
            network = training.network()
            finder = MarginFinder(network, "2")
            for group, points in groups.items():
                for point in points:
                    centre = tuple(Fraction(float(np.float32(v))) for v in point)
                    ball = Ball(centre, radius, "2")
                    counts = count_all_regions(network, ball)
                    assert counts.linear is not None
                    square = finder.activation(centre)
                    rows.append({"problem": problem, "seed": seed, "epoch": epoch, "group": group,
                                 "activation": counts.activation.lower, "linear": counts.linear.lower,
                                 "bound": region_bound(network, ball).refined,
                                 "distance": None if square is None else float(square) ** 0.5,
                                 "accuracy": training.accuracy(x_test, y_test)})
                    assert counts.activation.is_exact
                    assert counts.activation.lower <= rows[-1]["bound"]
        training.epoch(x, y)
    return rows


def column(rows: list[dict[str, Any]], key: str, **where: Any) -> Array:
    """One number of all rows with these values."""
    return np.array([row[key] for row in rows if all(row[k] == v for k, v in where.items()) and row[key] is not None],
                    dtype=float)


def table(rows: list[dict[str, Any]], problem: str) -> str:
    """Means (with their standard errors) and medians over points and seeds, an epoch a line."""
    lines = ["| epoch | test accuracy | " + " | ".join(f"{what}, {group}" for what in (
        "linear regions", "local bound (median)", "distance (median)") for group in GROUPS) + " |",
        "|" + "---|" * 11]
    for epoch in EPOCHS:
        counts = [column(rows, "linear", problem=problem, epoch=epoch, group=g) for g in GROUPS]
        cells = [f"{c.mean():.1f} ± {c.std() / len(c) ** 0.5:.1f}" for c in counts]
        cells += [f"{np.median(column(rows, 'bound', problem=problem, epoch=epoch, group=g)):.0f}" for g in GROUPS]
        cells += [f"{np.median(column(rows, 'distance', problem=problem, epoch=epoch, group=g)):.4f}" for g in GROUPS]
        accuracy = column(rows, "accuracy", problem=problem, epoch=epoch).mean()
        lines.append(f"| {epoch} | {accuracy:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(rows: list[dict[str, Any]], path: Path) -> None:
    """Counts, bounds and distances over the epochs."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (an optional dependency)

    picture = Figure(figsize=(11, 6), layout="constrained")
    axes = picture.subplots(2, 3)
    position = range(len(EPOCHS))
    for line, problem in zip(axes, PROBLEMS, strict=True):
        for group in GROUPS:
            for panel, (key, how) in zip(line, (("linear", np.mean), ("bound", np.median), ("distance", np.median)),
                                         strict=True):
                runs = np.array([[how(column(rows, key, problem=problem, epoch=e, group=group, seed=s)) for e in EPOCHS]
                                 for s in SEEDS])
                panel.plot(position, runs.mean(axis=0), marker="o", label=group)
                panel.fill_between(position, runs.min(axis=0), runs.max(axis=0), alpha=0.15)
        for panel, title in zip(line, ("linear regions in the ball (mean)", "local bound (median)",
                                       "distance to the nearest boundary (median)"), strict=True):
            panel.set_title(f"{problem}: {title}", fontsize=9)
            panel.set_xticks(list(position), [str(e) for e in EPOCHS], fontsize=8)
            panel.set_xlabel("epoch", fontsize=8)
        line[1].set_yscale("log")
    axes[0][0].legend(fontsize=8)
    picture.savefig(path, dpi=130)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "local_regions")
    output = parser.parse_args().output
    started = time.process_time()
    rows = [row for problem in PROBLEMS for seed in SEEDS for row in measure(problem, seed)]
    with output.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    figure(rows, output.with_suffix(".png"))
    for problem in PROBLEMS:
        print(f"\n{problem}\n\n{table(rows, problem)}")
    print(f"\n{time.process_time() - started:.0f} CPU seconds")


if __name__ == "__main__":
    main()
