"""Regions over all kinds of domains: ``python -m benchmarks.region_domains [cells|certificates] [--seconds S]``.

Random Gaussian networks (seed 1, He weights, biases halved).  *cells*: activation regions for each CPU second in
[-1, 1]^n, in the unit balls of the 1-norm and the 2-norm, and in all of space; a walk that is not finished after the
given CPU seconds is marked.  *certificates*: the cost of writing and of checking proofs of about 10,000 regions.
"""

from __future__ import annotations

import argparse
import io
import itertools
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from verifier import api
from verifier.counting import certify_regions, convex_domain
from verifier.engines.region_walk import RegionWalk
from verifier.geometry.ball import Ball
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box

SHAPES = ((2, 16, 16, 1), (2, 64, 64, 1), (3, 16, 16, 1), (4, 16, 16, 1), (5, 16, 16, 1), (6, 12, 12, 1),
          (8, 12, 12, 1), (10, 12, 12, 1), (12, 12, 12, 1))


def network(shape: tuple[int, ...]) -> Network:
    """He weights, biases of half the size."""
    rng = np.random.default_rng(1)
    return Network.from_arrays([rng.standard_normal((b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(shape)],
                               [rng.standard_normal(b) / 2 for b in shape[1:]])


def domains(n: int) -> Iterator[tuple[str, Box | Ball | None]]:
    """The domains that are compared."""
    centre = (Fraction(0),) * n
    yield "box", Box.from_bounds([-1] * n, [1] * n)
    yield "ball, 1-norm", Ball(centre, Fraction(1), "1")
    yield "ball, 2-norm", Ball(centre, Fraction(1), "2")
    yield "space", None


def cells(seconds: float) -> None:
    """A table of cells for each CPU second."""
    small = network((2, 4, 1))
    for _, domain in domains(2):  # compiled code is loaded
        assert all(batch.count for batch in RegionWalk(small, convex_domain(small, domain)).batches())
    print("| network | " + " | ".join(name for name, _ in domains(2)) + " |")
    for shape in SHAPES:
        row = ["-".join(map(str, shape))]
        for _, domain in domains(shape[0]):
            net = network(shape)
            start = time.process_time()
            found, finished = 0, True
            for batch in RegionWalk(net, convex_domain(net, domain)).batches(collect=False):
                found += batch.count
                if time.process_time() - start > seconds:
                    finished = False
                    break
            rate = found / (time.process_time() - start)
            row.append(f"{found:,}{'' if finished else '+'} ({rate:,.0f}/s)")
        print("| " + " | ".join(row) + " |", flush=True)


def certificates() -> None:
    """Writing and checking."""
    print("| network | domain | kind | regions | written, CPU s | checked, CPU s | bytes |")
    for shape, kind in itertools.product(((2, 96, 96, 1), (4, 16, 16, 1), (8, 8, 8, 1)), ("activation", "linear")):
        for name, domain in domains(shape[0]):
            if (name, shape[0]) not in (("box", 4), ("ball, 1-norm", 4), ("ball, 2-norm", 2), ("space", 8)):
                continue
            net, stream = network(shape), io.BytesIO()
            clock = [time.process_time()]
            proved = certify_regions(net, domain, kind, stream)
            clock.append(time.process_time())
            stream.seek(0)
            checked = api.check(stream, net)
            clock.append(time.process_time())
            assert (checked.lower, checked.upper) == (proved.lower, proved.upper)
            print(f"| {'-'.join(map(str, shape))} | {name} | {kind} | {proved.lower:,} | {clock[1] - clock[0]:.1f} | "
                  f"{clock[2] - clock[1]:.1f} | {len(stream.getvalue()):,} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cells", "certificates"), nargs="?", default="cells")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    if options.what == "cells":
        cells(options.seconds)
    else:
        certificates()


if __name__ == "__main__":
    main()
