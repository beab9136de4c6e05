"""``verifier model``: a question as mixed-integer programs in files that other solvers read.

The first line is the number of programs written.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier.console import FILE, HOLDS, common_options, say, say_json
from verifier.formats.errors import InputError

if TYPE_CHECKING:
    from verifier.kernel.network import Network
    from verifier.kernel.query import Query
    from verifier.solvers.mixed_integer import MixedProgram


@click.command("model")
@click.argument("net", type=FILE)
@click.option("--spec", type=FILE, help="The counterexample of this VNN-LIB file; with --objective its inputs.")
@click.option("--box", metavar="LO:HI[,LO:HI...]", help="With --objective: inputs, as in verifier range.")
@click.option("--objective", metavar="EXPRESSION", help='Maximise a linear expression such as "2*Y_0 - Y_1".')
@click.option("--tighten", is_flag=True, help="Narrow the bounds on units by linear programs first.")
@click.option("--output", type=FILE, required=True, help="File to write, .lp or .mps; several programs are numbered.")
@common_options
def model_command(net: Path, *, spec: Path | None, box: str | None, objective: str | None, tighten: bool,
                  output: Path, as_json: bool) -> int:
    """Write what is asked of NET.onnx as a mixed-integer program, with readable names.

    The objective is to be minimised: the negated expression, or, for a counterexample, the negated least slack of its
    constraints, which is negative where there is room. Files round numbers to 12 digits.
    """
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.solvers import pulp  # noqa: PLC0415

    started = time.monotonic()
    if output.suffix not in pulp.SUFFIXES:
        raise InputError(f"--output: a file name ending with {' or '.join(pulp.SUFFIXES)} was required, "
                         f"received {output.name!r}")
    network = read_network(net).network
    programs = _programs(network, _queries(network, spec, box, objective), objective, tighten)
    names = [output] if len(programs) == 1 else [output.with_stem(f"{output.stem}-{number}")
                                                 for number in range(1, len(programs) + 1)]
    for program, path in zip(programs, names, strict=True):
        try:
            pulp.write(program, path)
        except OSError as error:
            raise InputError(f"{path}: a writable file was required: {error.strerror or error}") from None
    seconds = time.monotonic() - started
    if as_json:
        say_json({"files": list(map(str, names)), "digest": network.digest, "seconds": seconds})
    else:
        lines = [str(len(programs))]
        for program, path in zip(programs, names, strict=True):
            integers = sum(v.integer for v in program.variables)
            lines.append(f"{path}: {len(program.variables)} variables ({integers} binary), {len(program.rows)} rows")
        say("\n".join([*lines, f"time: {seconds:.2f} s"]) + "\n")
    return HOLDS


def _queries(network: Network, spec: Path | None, box: str | None, objective: str | None) -> tuple[Query, ...]:
    from verifier.formats.domains import domain_of, parse_box, whole_box  # noqa: PLC0415
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415

    if spec is not None and box is None:
        prop = read_property(spec)
        return prop.queries(network) if objective is None else domain_of(prop, network)
    if box is not None and spec is None and objective is not None:
        return (whole_box(network, parse_box(box, network.inputs)),)
    raise InputError("a question is needed: --spec FILE, or --objective with --box or --spec")


def _programs(network: Network, queries: tuple[Query, ...], objective: str | None, tighten: bool
              ) -> list[MixedProgram]:
    from verifier.engines.milp import Milp, no_solver  # noqa: PLC0415
    from verifier.formats.expression import parse_expression  # noqa: PLC0415

    programs = []
    try:
        for query in queries:
            model = Milp(network, query.domain, no_solver, tighten)
            for disjunct in query.disjuncts:
                if objective is None:
                    programs.append(model.program(disjunct))
                    continue
                if model.homogeneous:
                    raise InputError("an objective needs inputs with bounds: one program has one optimum, on a box")
                expression = parse_expression(objective, network.inputs, network.outputs)
                programs.append(model.optimum(disjunct, expression.coefficients))
    except OverflowError:
        raise InputError("the question has numbers beyond floating point, in which programs are written") from None
    return programs
