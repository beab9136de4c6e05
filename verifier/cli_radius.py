"""``verifier radius``: how far an input is from the nearest one that changes the decision, or violates a property.

The first line is the distance as an exact number; in the L2 norm, where that is no rational number, ``sqrt(p/q)``.
``inf``: there is no such input.  An interval: all that is known when time ran out.
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
    INTERRUPTED,
    UNKNOWN,
    common_options,
    complain,
    exact_option,
    kept,
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
    from verifier.kernel.rational import Point
    from verifier.radius_certificates import ProvedRadius


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
@click.option("--certificate", type=FILE, help="Write the proof to this file.")
@timeout_option
@exact_option
@seed_option
@common_options
def radius_command(net: Path, *, center: str, label: int | None, smallest: bool, spec: Path | None, norm: str,
                   box: str | None, engine: str, solver: str, certificate: Path | None, timeout: float | None,
                   exact: bool, seed: int, as_json: bool) -> int:
    """Compute the exact distance from an input to the nearest one on which the decision of NET.onnx changes.

    A tie counts as a change.
    """
    from verifier.files import NewFile, distinct_outputs  # noqa: PLC0415
    from verifier.formats.domains import parse_box  # noqa: PLC0415
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415
    from verifier.radius import robustness_radius  # noqa: PLC0415
    from verifier.report_radius import radius_json, radius_text  # noqa: PLC0415

    started = time.monotonic()
    distinct_outputs([net] if spec is None else [net, spec], [certificate])
    if (label is None) == (spec is None):
        raise InputError("one of --label K and --spec FILE is needed")
    if spec is not None and (box is not None or smallest):
        raise InputError("--box and --smallest go with --label: a property states its own inputs")
    network = read_network(net)
    point = _center(center, network.network.inputs)
    domain = None if box is None else parse_box(box, network.network.inputs)
    prop = None if spec is None else read_property(spec)
    with contextlib.ExitStack() as stack:
        proof = None if certificate is None else stack.enter_context(NewFile(certificate))
        bar = stack.enter_context(Bar())
        found, interrupted = kept(lambda: robustness_radius(
            network, point, label=label, smallest=smallest, property=prop, domain=domain, norm=norm, engine=engine,
            solver=solver, timeout=time_left(timeout, started), seed=seed, exact=exact,
            progress=lambda text: bar.update(0.0, text), certificate=None if proof is None else proof.file))
        written = proof is not None and found.says_something and not interrupted
        if proof is not None and written:
            proof.commit()
    if certificate is not None and not written:
        why = "the work was interrupted" if interrupted else "nothing is known that it could prove"
        complain(f"{certificate}: not written, {why}")
    facts: dict[str, Any] = {"seed": seed}
    if written:
        facts["certificate"] = str(certificate)
    boxes = [domain] if prop is None else [query.domain for query in prop.queries(network.network)]
    if not any(inputs is None or inputs.contains(point) for inputs in boxes):
        facts["note"] = "the centre is not one of the inputs that count"
    seconds = time.monotonic() - started
    if as_json:
        say_json(radius_json(found, {**facts, "digest": network.network.digest, "seconds": seconds}))
    else:
        say(radius_text(found, {**{name: str(fact) for name, fact in facts.items()}, "time": f"{seconds:.2f} s"}))
    return INTERRUPTED if interrupted else HOLDS if found.is_exact else UNKNOWN


def tell_radius(proved: ProvedRadius, facts: dict[str, Any], network: LoadedNetwork, spec: Path | None, seconds: float,
                as_json: bool) -> None:
    """Say what a certificate of a radius proves, and of what."""
    from verifier.report_radius import radius_json, radius_scope, radius_scope_json, radius_text  # noqa: PLC0415

    if as_json:
        say_json(radius_json(proved.radius, {**radius_scope_json(proved), **facts, "digest": network.network.digest,
                                             "seconds": seconds}))
    else:
        say(radius_text(proved.radius, {**radius_scope(proved, spec), **facts, "time": f"{seconds:.2f} s"}))


def _center(text: str, inputs: int) -> Point:
    from verifier.formats.numbers import parse_number  # noqa: PLC0415

    parts = text.split(",")
    if len(parts) not in (1, inputs):
        raise InputError(f"--center: one number or {inputs}, one for each input, were required, received {len(parts)}")
    try:
        return tuple(map(parse_number, parts)) * (inputs if len(parts) == 1 else 1)
    except InputError as error:
        raise InputError(f"--center: {error}") from None
