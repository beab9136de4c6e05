"""``verifier radius``: how far an input is from the nearest one that changes the decision, or violates a property.

The first line is the distance as an exact number; in the L2 norm, where that is no rational number, ``sqrt(p/q)``.
``inf``: there is no such input.  An interval: all that is known, or the distance is not attained.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier.console import (
    FILE,
    HOLDS,
    UNKNOWN,
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
    from verifier.kernel.rational import Point


@click.command("radius")
@click.argument("net", type=FILE)
@click.option("--center", metavar="X,..", required=True, help="The input: decimals or p/q, one for each input or one "
              "for all.")
@click.option("--label", type=click.IntRange(min=0), metavar="K",
              help="Until output K is not strictly the largest any more.")
@click.option("--smallest", is_flag=True, help="With --label: until output K is not strictly the smallest any more.")
@click.option("--spec", type=FILE, help="Until the property in this VNN-LIB file is violated.")
@click.option("--norm", type=click.Choice(["inf", "1", "2"]), default="inf", show_default=True,
              help="In which norm distances are measured.")
@click.option("--box", metavar="LO:HI[,LO:HI...]", help="With --label: only inputs in this box count.")
@click.option("--engine", type=click.Choice(["auto", "branch", "milp"]), default="auto", show_default=True,
              help="How to find near inputs; no answer depends on it.")
@solver_option
@timeout_option
@exact_option
@seed_option
@common_options
def radius_command(net: Path, *, center: str, label: int | None, smallest: bool, spec: Path | None, norm: str,
                   box: str | None, engine: str, solver: str, timeout: float | None, exact: bool, seed: int,
                   as_json: bool) -> int:
    """Compute the exact distance from an input to the nearest one on which the decision of NET.onnx changes.

    A tie counts as a change.
    """
    from verifier.formats.domains import parse_box  # noqa: PLC0415
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415
    from verifier.radius import robustness_radius  # noqa: PLC0415
    from verifier.report_radius import radius_json, radius_text  # noqa: PLC0415

    started = time.monotonic()
    network = read_network(net)
    point = _center(center, network.network.inputs)
    domain = None if box is None else parse_box(box, network.network.inputs)
    if (label is None) == (spec is None):
        raise InputError("one of --label K and --spec FILE is needed")
    with Bar() as bar:
        found = robustness_radius(network, point, label=label, smallest=smallest,
                                  property=None if spec is None else read_property(spec), domain=domain, norm=norm,
                                  engine=engine, solver=solver, timeout=time_left(timeout, started), seed=seed,
                                  exact=exact, progress=lambda text: bar.update(0.0, text))
    seconds = time.monotonic() - started
    if as_json:
        say_json(radius_json(found, {"seed": seed, "digest": network.network.digest, "seconds": seconds}))
    else:
        say(radius_text(found, {"seed": str(seed), "time": f"{seconds:.2f} s"}))
    return HOLDS if found.is_exact else UNKNOWN


def _center(text: str, inputs: int) -> Point:
    from verifier.formats.numbers import parse_number  # noqa: PLC0415

    parts = text.split(",")
    if len(parts) not in (1, inputs):
        raise InputError(f"--center: one number or {inputs}, one for each input, were required, received {len(parts)}")
    try:
        return tuple(map(parse_number, parts)) * (inputs if len(parts) == 1 else 1)
    except InputError as error:
        raise InputError(f"--center: {error}") from None
