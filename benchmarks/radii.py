"""Radii: against brute force, and how long they take where the boundary is far.

    python -m benchmarks.radii agreement --count 300
    python -m benchmarks.radii far --timeout 60

*agreement*: networks with 1 to 3 inputs, most of them degenerate; all norms, labels and properties with strict rows.
Every radius must be that of ``tests/distances.py``, which tries all pieces and all their vertices, and its certificate
must be accepted in the other arithmetic.
*far*: random networks, of 200 random inputs the one with the largest margin, L1 and L2; CPU seconds.

The exit code is 1 when anything disagrees.
"""

from __future__ import annotations

import argparse
import io
import itertools
import random
import sys
import time
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np

from tests import distances
from tests.strategies import random_box, random_disjunct, random_network, random_point
from verifier.api import check
from verifier.kernel.network import Network
from verifier.kernel.query import Query
from verifier.properties.radius import Change, changes
from verifier.radius import robustness_radius
from verifier.radius_certificates import ProvedRadius


def agreement(options: argparse.Namespace) -> int:
    """Compare seed after seed."""
    totals: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.count):
        rng = random.Random(seed)
        inputs = rng.choice((1, 2, 2, 2, 3))
        network = random_network(rng, rng.random() < 0.8, inputs=inputs, outputs=rng.choice((1, 2, 2, 3)))
        box = random_box(rng, inputs, True, bounded=True)
        center = random_point(rng, box)
        if rng.random() < 0.3:
            center = tuple(c + Fraction(rng.randint(-3, 3), 2) for c in center)
        norm, exact = rng.choice(("inf", "1", "2")), rng.random() < 0.5
        given: list[Query] | None = None
        question: dict[str, Any]
        if rng.random() < 0.5:
            change = Change(rng.randrange(network.outputs), rng.random() < 0.3, box)
            queries = [changes(network, change)]
            question = {"label": change.label, "smallest": change.smallest, "domain": box}
        else:
            boxes = [box, random_box(rng, inputs, True, bounded=True)][:rng.choice((1, 1, 2))]
            given = queries = [Query(network, one, tuple(random_disjunct(rng, network, box, True)
                                                         for _ in range(rng.choice((1, 1, 2))))) for one in boxes]
            question = {"property": queries}
        stream = io.BytesIO()
        found = robustness_radius(network, center, norm=norm, exact=exact, certificate=stream, **question)
        expected = min((d for query in queries if (d := distances.distance(query, center, norm)) is not None),
                       default=None)
        stream.seek(0)
        proved = check(stream, network, given, exact=not exact)
        assert isinstance(proved, ProvedRadius)
        same = found.is_exact and (found.upper, found.infinite) == (expected, expected is None) == (
            proved.radius.upper, proved.radius.infinite)
        if not same:
            print(f"seed {seed}: {found.upper} by the tool, {proved.radius.upper} by its certificate, {expected} by "
                  "brute force", flush=True)
        totals["equal" if same else "different"] += 1
        totals[f"norm {norm}"] += 1
        totals["infinite" if expected is None else "0" if expected == 0 else "positive"] += 1
        totals["not attained at the point"] += not found.attained
    print(", ".join(f"{name}: {count}" for name, count in totals.items()))
    return int(totals["different"] > 0)


def far(options: argparse.Namespace) -> int:
    """Time the radii of inputs far from any change."""
    for inputs in (2, 3, 4, 5, 6, 8):
        for hidden in ((5,), (12,), (10, 10), (20, 20)):
            network, center, label = decided(inputs, hidden)
            for norm in ("1", "2"):
                clock = time.process_time()
                found = robustness_radius(network, center, label=label, norm=norm, timeout=options.timeout)
                clock = time.process_time() - clock
                upper = "inf" if found.upper is None else f"{float(found.upper):.6g}"
                told = upper if found.is_exact else f"[{float(found.lower):.6g}, {upper}]"
                print(f"{inputs} inputs, {'x'.join(map(str, hidden))} units, L{norm}: {told}, {found.boxes} boxes, "
                      f"{clock:.2f} CPU s", flush=True)
    return 0


def decided(inputs: int, hidden: tuple[int, ...]) -> tuple[Network, tuple[Fraction, ...], int]:
    """A random network of three outputs, and of 200 inputs the one whose largest output leads by most."""
    rng = random.Random(1000 * inputs + sum(hidden))
    generator = np.random.default_rng(rng.randrange(2**30))
    sizes = (inputs, *hidden, 3)
    weights = [(generator.normal(size=(b, a)) / np.sqrt(a)).astype(np.float32)
               for a, b in itertools.pairwise(sizes)]
    biases = [(generator.normal(size=b) * 0.5).astype(np.float32) for b in sizes[1:]]
    network = Network.from_arrays(weights=weights, biases=biases)
    points = [tuple(Fraction(rng.randint(-300, 300), 100) for _ in range(inputs)) for _ in range(200)]
    outputs = [network.evaluate(x) for x in points]
    leads = [sorted(y)[-1] - sorted(y)[-2] for y in outputs]
    best = max(range(len(points)), key=leads.__getitem__)
    return network, points[best], max(range(3), key=lambda k: outputs[best][k])


def main() -> int:
    """Run what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    one = kinds.add_parser("agreement")
    one.add_argument("--count", type=int, default=300)
    one.add_argument("--seed", type=int, default=0, help="the first seed")
    one.set_defaults(run=agreement)
    two = kinds.add_parser("far")
    two.add_argument("--timeout", type=float, default=60.0)
    two.set_defaults(run=far)
    options = parser.parse_args()
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
