"""The commands about all outputs at once: ``verifier reach`` and ``verifier range``.

The first line is the number of parts of the set, or the interval asked for; ``unknown`` when time ran out.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verifier.console import (
    FILE,
    HOLDS,
    UNKNOWN,
    all_of,
    common_options,
    exact_option,
    say,
    say_json,
    seed_option,
    solver_option,
    time_left,
    timeout_option,
)
from verifier.formats.errors import InputError
from verifier.progress import Bar

if TYPE_CHECKING:
    from verifier.formats.onnx import LoadedNetwork
    from verifier.sets import Domain

_domain = all_of(
    click.option("--spec", type=FILE, help="Inputs: those that satisfy the input constraints of this VNN-LIB file."),
    click.option("--box", metavar="LO:HI[,LO:HI...]",
                 help="Inputs: a box. One pair means every input; bounds are decimals or p/q; no number, no bound."))


def _read_domain(network: LoadedNetwork, spec: Path | None, box: str | None) -> Domain:
    from verifier.formats.domains import parse_box  # noqa: PLC0415
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415

    if spec is not None and box is None:
        return read_property(spec)
    if box is not None and spec is None:
        return parse_box(box, network.network.inputs)
    raise InputError("the inputs are needed, either as --spec FILE or as --box LO:HI")


@click.command("reach")
@click.argument("net", type=FILE)
@_domain
@click.option("--layer", type=click.IntRange(min=0), metavar="K",
              help="The set after layer K (as numbered by info), not after the last one.")
@click.option("--merge", is_flag=True, help="Remove parts that lie in others, and unite those whose union is convex.")
@click.option("--output", type=FILE, help="Write the set to this JSON file.")
@click.option("--plot", type=FILE, help="Draw two coordinates of the set, into a PNG, SVG or PDF file.")
@click.option("--axes", metavar="I,J", default="0,1", show_default=True, help="Which two coordinates are drawn.")
@timeout_option
@common_options
def reach_command(net: Path, *, spec: Path | None, box: str | None, layer: int | None, merge: bool,
                  output: Path | None, plot: Path | None, axes: str, timeout: float | None, as_json: bool) -> int:
    """Compute the exact set of outputs of NET.onnx as a union of polyhedra, one for each cell."""
    from verifier.files import NewFile  # noqa: PLC0415
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.geometry.union_json import to_json  # noqa: PLC0415
    from verifier.report import reach_json, reach_text  # noqa: PLC0415
    from verifier.sets import reach, width  # noqa: PLC0415

    started = time.monotonic()
    network = read_network(net)
    domain = _read_domain(network, spec, box)
    drawn = _axes(axes)
    letter = {0: "X", None: "Y", len(network.network.layers): "Y"}.get(layer, "Z")
    if plot is not None:  # a mistake is told before the work
        from verifier.plot import Marks, draw_set, require_drawable  # noqa: PLC0415

        require_drawable(plot, drawn, width(network, layer))
    with contextlib.ExitStack() as stack:
        file = None if output is None else stack.enter_context(NewFile(output))
        bar = stack.enter_context(Bar())
        found = reach(network, domain, layers=layer, merge=merge, timeout=time_left(timeout, started),
                      progress=lambda count: bar.update(0.0, f"{count:,} cells"))
        if file is not None and found.finished:
            file.file.write(to_json(found.union).encode())
            file.commit()
        if plot is not None and found.finished:
            draw_set(found.union, plot, drawn, Marks(names={j: f"{letter}_{j}" for j in drawn}))
    written = {"output": output, "plot": plot} if found.finished else {}
    facts: dict[str, Any] = {name: str(path) for name, path in written.items() if path is not None}
    seconds = time.monotonic() - started
    if as_json:
        say_json(reach_json(found, {**facts, "digest": network.network.digest, "seconds": seconds}))
    else:
        say(reach_text(found, letter, {**facts, "time": f"{seconds:.2f} s"}))
    return HOLDS if found.finished else UNKNOWN


def _axes(text: str) -> tuple[int, int]:
    numbers = text.split(",")
    if len(numbers) != 2 or not all(part.strip().isascii() and part.strip().isdigit() and len(part) < 10
                                    for part in numbers):
        raise InputError(f"--axes: two numbers I,J were required, received {text!r}")
    return int(numbers[0]), int(numbers[1])


@click.command("range")
@click.argument("net", type=FILE)
@_domain
@click.option("--objective", metavar="EXPRESSION", multiple=True,
              help='Linear expression such as "2*Y_0 - Y_1"; may be repeated. Without it: each output.')
@click.option("--engine", type=click.Choice(["auto", "branch", "propagate", "milp"]), default="auto",
              show_default=True, help="How to find optima; no answer depends on it.")
@solver_option
@timeout_option
@exact_option
@seed_option
@common_options
def range_command(net: Path, *, spec: Path | None, box: str | None, objective: tuple[str, ...], engine: str,
                  solver: str, timeout: float | None, exact: bool, seed: int, as_json: bool) -> int:
    """Compute the exact minimum and maximum of each output of NET.onnx, or of linear expressions, with proof."""
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.report import range_json, range_text  # noqa: PLC0415
    from verifier.sets import output_range  # noqa: PLC0415

    started = time.monotonic()
    network = read_network(net)
    domain = _read_domain(network, spec, box)
    with Bar() as bar:
        ranges = output_range(network, domain, objective or None, engine=engine, solver=solver,
                              timeout=time_left(timeout, started), seed=seed, exact=exact, progress=bar.update)
    seconds = time.monotonic() - started
    if as_json:
        facts = {"seed": seed, "digest": network.network.digest, "seconds": seconds}
        say_json(range_json(ranges, facts))
    else:
        say(range_text(ranges, {"seed": str(seed), "time": f"{seconds:.2f} s"}))
    return HOLDS if all(found.is_decided for found in ranges) else UNKNOWN
