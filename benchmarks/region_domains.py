"""Regions over all kinds of domains: ``python -m benchmarks.region_domains [cells|brackets|certificates]``.

Random Gaussian networks (seed 1, He weights, biases halved).  *cells*: activation regions for each CPU second in
[-1, 1]^n, in the unit balls of the 1-norm and the 2-norm, and in all of space; a walk that is not finished after the
given CPU ``--seconds`` is marked.  *brackets*: how the upper bound closes in while a walk goes on (``--acasxu FOLDER``
adds ACAS Xu 1_1 on the box of property 3).  *certificates*: the cost of writing and of checking proofs of up to
17,000 regions.
"""

from __future__ import annotations

import argparse
import io
import itertools
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from verifier import api
from verifier.counting import certify_regions, convex_domain
from verifier.engines.region_walk import RegionWalk
from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import Property, read_property
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


SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.97)


def brackets(folder: Path | None) -> None:
    """Upper bounds of the number of regions when a share of them has been found, and what they cost."""
    questions: list[tuple[str, Network, Property | Box | Ball | None]] = [
        (f"{'-'.join(map(str, shape))}, {name}", network(shape), domain)
        for shape in ((3, 40, 40, 1), (5, 20, 20, 20, 1), (8, 14, 12, 1))
        for name, domain in domains(shape[0]) if name in ("box", "ball, 2-norm")]
    if folder is not None:
        net = read_network(folder / "onnx/ACASXU_run2a_1_1_batch_2000.onnx").network
        questions.append(("ACAS Xu 1_1, property 3", net,
                          read_property(folder / "vnnlib/prop_3.vnnlib")))
    print("| network, domain | regions | before | " + " | ".join(f"{share:.0%}" for share in SHARES)
          + " | walk, CPU s | a bound, CPU s |")
    for name, net, domain in questions:
        where = convex_domain(net, domain)
        total = sum(batch.count for batch in RegionWalk(net, where).batches(collect=False))
        walk = RegionWalk(net, where)
        most = walk.total_bound
        row, asked, found = [f"{most:.1e}"], 0.0, 0
        start = time.process_time()
        for batch in walk.batches(collect=False):
            found += batch.count
            while len(row) <= len(SHARES) and found >= SHARES[len(row) - 1] * total:
                now = time.process_time()
                most = min(most, found + walk.remaining())
                row.append(f"{most:.1e}")
                asked += time.process_time() - now
        spent = time.process_time() - start - asked
        print(f"| {name} | {total:,} | {' | '.join(row)} | {spent:.1f} | {asked / len(SHARES):.2f} |", flush=True)


CERTIFIED = (((2, 16, 16, 1), "ball, 2-norm", "activation"), ((3, 16, 16, 1), "ball, 2-norm", "activation"),
             ((3, 16, 16, 1), "ball, 2-norm", "linear"), ((2, 96, 96, 1), "ball, 2-norm", "activation"),
             ((2, 64, 64, 1), "space", "activation"), ((2, 64, 64, 1), "space", "linear"),
             ((8, 8, 8, 1), "space", "linear"), ((4, 16, 16, 1), "box", "linear"))


def certificates() -> None:
    """Writing (the walk and a first check are part of it) and checking."""
    certify_regions(network((2, 4, 1)), Ball((Fraction(0),) * 2, Fraction(1), "2"), "linear", io.BytesIO())
    print("| network | domain | kind | regions | written, CPU s | ms a region | checked, CPU s | ms a region | bytes |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for shape, name, kind in CERTIFIED:
        net, domain, stream = network(shape), dict(domains(shape[0]))[name], io.BytesIO()
        clock = [time.process_time()]
        proved = certify_regions(net, domain, kind, stream)
        clock.append(time.process_time())
        stream.seek(0)
        checked = api.check(stream, net)
        clock.append(time.process_time())
        assert proved is not None
        assert (checked.lower, checked.upper) == (proved.lower, proved.upper)
        costs = [f"{b - a:.1f} | {1000 * (b - a) / proved.lower:.2f}" for a, b in itertools.pairwise(clock)]
        print(f"| {'-'.join(map(str, shape))} | {name} | {kind} | {proved.lower:,} | {' | '.join(costs)} | "
              f"{len(stream.getvalue()):,} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cells", "brackets", "certificates"), nargs="?", default="cells")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--acasxu", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.what == "cells":
        cells(options.seconds)
    elif options.what == "brackets":
        brackets(options.acasxu)
    else:
        certificates()


if __name__ == "__main__":
    main()
