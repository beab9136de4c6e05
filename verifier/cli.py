"""The command line: the only place that prints.

The first line on standard output is one word, the answer; all else that is asked for follows it.  Progress and
complaints go to standard error.  Exit codes: 0 holds, done, or certificate accepted; 10 violated; 2 wrong use or bad
input; 3 unknown; 4 certificate rejected; 5 a suite contradicts its ``expected.csv``; 70 a failure of ours; 130
interrupted.  :func:`main` is the outermost handler: whatever happens, a crash does not look like a verdict.

Imports are inside the commands, so that ``--help`` and a mistyped name cost nothing and numpy is loaded only after the
number of its threads is set.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verifier.cli_model import model_command
from verifier.cli_radius import radius_command, tell_radius
from verifier.cli_regions import regions_command
from verifier.cli_sets import AllCounterexamples, range_command, reach_command, tell_sets
from verifier.console import (
    CONTRADICTED,
    FAILED,
    FILE,
    HOLDS,
    INTERRUPTED,
    REJECTED,
    UNKNOWN,
    VIOLATED,
    WRONG_USE,
    axes_option,
    common_options,
    complain,
    exact_option,
    jobs_option,
    log,
    processes,
    say,
    say_json,
    seconds,
    seed_option,
    solver_option,
    strict_option,
    time_left,
    timeout_option,
    two_axes,
)
from verifier.ending import explain, without_answer
from verifier.formats.errors import InputError
from verifier.progress import Bar

if TYPE_CHECKING:
    from verifier.formats.onnx import LoadedNetwork
    from verifier.formats.vnnlib import Property
    from verifier.properties.safety import Verdict
    from verifier.report import Answer
    from verifier.results import Row


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (``sys.argv`` by default) and exit with the code of its answer."""
    # The matrices here are small: a second BLAS thread costs more than it brings, and workers are processes.
    for library in ("OPENBLAS", "OMP", "MKL", "BLIS", "VECLIB_MAXIMUM"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # click's own main turns a broken pipe, whichever it is, into exit code 1, which here means nothing.
        with commands.make_context("verifier", list(given)) as context:
            code = commands.invoke(context)
        assert isinstance(code, int)
        return code
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return without_answer(WRONG_USE, error.format_message(), given)
    except BaseException as error:
        code, sentence = _ending(error)
        complain(sentence)
        if code == FAILED:
            log.debug("where it happened", exc_info=True)
        return without_answer(code, sentence, given)


def _ending(error: BaseException) -> tuple[int, str]:
    """The exit code and the sentence for what ended a command; nothing is imported, for that may be what failed."""
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, InputError):
        return WRONG_USE, str(error)
    certificates = sys.modules.get("verifier.kernel.certificate")
    if certificates is not None and isinstance(error, certificates.InvalidCertificate):
        return REJECTED, f"certificate rejected: {error}"
    return FAILED, f"internal error: {explain(error)}"


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        try:
            say(f"verifier {version('relu-verifier')}\n")
        except PackageNotFoundError:
            say("verifier (not installed, so without a version)\n")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version,
              help="Print the version.")
def commands() -> None:
    """Decide questions about small ReLU networks exactly, with proofs.

    Exit codes: 0 holds, done or certificate accepted; 10 violated; 2 wrong use or bad input; 3 unknown;
    4 certificate rejected; 5 a suite contradicts its expected.csv; 70 internal error; 130 interrupted.
    """


commands.add_command(reach_command)
commands.add_command(range_command)
commands.add_command(regions_command)
commands.add_command(radius_command)
commands.add_command(model_command)


@commands.command()
@click.argument("net", type=FILE)
@click.argument("spec", type=FILE)
@click.option("--engine", type=click.Choice(["auto", "branch", "propagate", "milp"]), default="auto", show_default=True,
              help="How to search; no verdict depends on it.")
@solver_option
@timeout_option
@click.option("--certificate", type=FILE, help="Write the proof to this file.")
@click.option("--witness", type=FILE, help="Write a counterexample to this file, in the competition's format.")
@click.option("--all", "everything", is_flag=True,
              help="Compute the set of all counterexamples (its closure), and its share of the domain's volume.")
@click.option("--output", type=FILE, help="With --all: write that set to this JSON file.")
@click.option("--plot", type=FILE, help="With --all: draw two inputs of that set, into a PNG, SVG or PDF file.")
@axes_option
@exact_option
@seed_option
@jobs_option
@strict_option
@common_options
def verify(net: Path, spec: Path, *, engine: str, solver: str, timeout: float | None, certificate: Path | None,
           witness: Path | None, everything: bool, output: Path | None, plot: Path | None, axes: str, exact: bool,
           seed: int, jobs: int, strict_bounds: bool, as_json: bool) -> int:
    """Decide whether the network NET.onnx satisfies the property SPEC.vnnlib (which states its counterexample)."""
    from verifier import api  # noqa: PLC0415
    from verifier.files import NewFile, distinct_outputs  # noqa: PLC0415
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415
    from verifier.formats.witness import competition_witness  # noqa: PLC0415
    from verifier.properties.safety import Outcome  # noqa: PLC0415
    from verifier.suite import require_bounds  # noqa: PLC0415

    started = time.monotonic()
    distinct_outputs([net, spec], [certificate, witness, output, plot])
    if not everything and (output is not None or plot is not None):
        raise InputError("--output and --plot write the set of all counterexamples: they require --all")
    network, prop = read_network(net), read_property(spec)
    whole = AllCounterexamples(network, prop, output, plot, two_axes(axes))
    if strict_bounds:
        require_bounds(prop)
    with contextlib.ExitStack() as stack:
        proof = None if certificate is None else stack.enter_context(NewFile(certificate))
        sample = None if witness is None else stack.enter_context(NewFile(witness))
        executor = stack.enter_context(processes(jobs))
        stack.enter_context(whole)
        with Bar() as bar:
            verdict = api.verify(network, prop, engine=engine, solver=solver, timeout=time_left(timeout, started),
                                 seed=seed, exact=exact, executor=executor, progress=bar,
                                 certificate=None if proof is None else proof.file)
        if proof is not None and verdict.outcome is not Outcome.UNKNOWN:
            proof.commit()
        if sample is not None and verdict.witness is not None:
            sample.file.write(competition_witness(verdict.witness.x, verdict.witness.y, prop.input_names,
                                                  prop.output_names).encode())
            sample.commit()
        found: dict[str, Any] = {}
        if everything and verdict.outcome is not Outcome.UNKNOWN:
            found = whole.compute(verdict, time_left(timeout, started), executor, as_json)
    if witness is not None and verdict.witness is None and witness.is_file():
        witness.unlink()
        complain(f"{witness}: removed, it was written for an earlier answer and this one has no counterexample")
    if proof is not None and verdict.outcome is Outcome.UNKNOWN and certificate is not None and certificate.is_file():
        complain(f"{certificate}: left as it was, it is not the proof of this answer")
    written = certificate if verdict.outcome is not Outcome.UNKNOWN else None
    facts = {"seed": seed, "certificate": None if written is None else str(written),
             "witness_file": None if witness is None or verdict.witness is None else str(witness), **found}
    _tell(_answer(verdict, network, prop), facts, network, started, as_json)
    if whole.interrupted:
        return INTERRUPTED
    return {Outcome.HOLDS: HOLDS, Outcome.VIOLATED: VIOLATED, Outcome.UNKNOWN: UNKNOWN}[verdict.outcome]


@commands.command()
@click.argument("certificate", type=FILE)
@click.argument("net", type=FILE)
@click.argument("spec", type=FILE, required=False)
@timeout_option
@exact_option
@common_options
def check(certificate: Path, net: Path, spec: Path | None, timeout: float | None, exact: bool, as_json: bool) -> int:
    """Check that CERTIFICATE proves what it says about NET.onnx (and SPEC.vnnlib), and print that."""
    from verifier import api  # noqa: PLC0415
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415
    from verifier.properties.safety import Outcome, Verdict  # noqa: PLC0415
    from verifier.radius_certificates import ProvedRadius  # noqa: PLC0415

    started = time.monotonic()
    network, prop = read_network(net), None if spec is None else read_property(spec)
    try:
        file = certificate.open("rb")
        file.peek(1)
    except OSError as error:
        raise InputError(f"{certificate}: a readable file was required: {error.strerror or error}") from None
    with file, Bar() as bar:
        proved = api.check(file, network, prop, exact=exact, timeout=time_left(timeout, started), progress=bar)
    accepted = not isinstance(proved, Verdict) or proved.outcome is not Outcome.UNKNOWN
    facts = {"certificate": f"{certificate}, {'accepted' if accepted else 'not checked to its end'}"}
    if isinstance(proved, Verdict):
        _tell(_answer(proved, network, prop), facts, network, started, as_json)
    elif isinstance(proved, ProvedRadius):
        tell_radius(proved, facts, network, spec, time.monotonic() - started, as_json)
    else:
        tell_sets(proved, facts, network, spec, time.monotonic() - started, as_json)
    return HOLDS if accepted else UNKNOWN


@commands.command()
@click.argument("net", type=FILE)
@common_options
def info(net: Path, as_json: bool) -> int:
    """Show the layers, units and parameters of NET.onnx, and what was lowered how."""
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.report import info_json, info_text  # noqa: PLC0415

    network = read_network(net)
    if as_json:
        say_json(info_json(network))
    else:
        say(info_text(network))
    return HOLDS


@commands.command()
@click.argument("family", type=FILE)
@jobs_option
@click.option("--timeout", type=float, callback=seconds, metavar="SECONDS",
              help="Limit of wall time for each instance, instead of those in instances.csv.")
@click.option("--output", type=FILE, help="Folder for results.csv, certificates/ and witnesses/.")
@click.option("--resume", is_flag=True, help="Continue the results.csv in the output folder.")
@click.option("--check", "arithmetic", type=click.Choice(["rigorous", "exact"]), default="rigorous", show_default=True,
              help="Arithmetic in which every proof is checked.")
@click.option("--memory", type=click.IntRange(min=64), metavar="MIB", help="Limit of each worker's address space.")
@seed_option
@strict_option
@common_options
def suite(family: Path, *, jobs: int, timeout: float | None, output: Path | None, resume: bool, arithmetic: str,
          memory: int | None, seed: int, strict_bounds: bool, as_json: bool) -> int:
    """Decide every instance of FAMILY, a folder with an instances.csv or such a file.

    Exits with 5 when a verdict contradicts the expected.csv beside it, else with 3 when an instance is undecided.
    """
    from verifier import results  # noqa: PLC0415
    from verifier import suite as suites  # noqa: PLC0415

    started = time.monotonic()
    instances = suites.read_instances(family, timeout)
    beside = instances[0].folder / "expected.csv"
    expected = results.read_expected(beside) if beside.exists() else {}
    if resume and output is None:
        raise InputError("--resume requires the --output folder that is to be continued")
    options = suites.Options(output, arithmetic == "exact", seed, strict_bounds)
    with contextlib.ExitStack() as stack:
        file = None if output is None else stack.enter_context(suites.open_results(output, resume))
        if file is not None and file.moved is not None:
            complain(f"the earlier results are kept in {file.moved}")
        rows: list[Row] = [] if file is None else list(file.rows)
        left = suites.remaining(instances, rows)
        bar = stack.enter_context(Bar())
        running = suites.run_suite(left, options, jobs=jobs, memory_mib=memory, results=file)
        for row, details in stack.enter_context(contextlib.closing(running)):
            rows.append(row)
            if row.result == "error":
                complain(f"{row.network} {row.property}: {row.reason}")
                log.debug("%s", details)
            bar.update(len(rows) / len(instances), f"{len(rows)}/{len(instances)}, last {row.result} {row.property}")
    return _summarise(rows, len(instances), expected, time.monotonic() - started, as_json)


def _summarise(rows: list[Row], instances: int, expected: dict[tuple[str, str], str], seconds: float,
               as_json: bool) -> int:
    from verifier.report import summary_json, summary_text  # noqa: PLC0415
    from verifier.results import contradictions, summarise  # noqa: PLC0415

    summary = summarise(rows, instances, expected, seconds)
    wrong = contradictions(rows, expected)
    undecided = [row for row in rows if not row.is_decided()]
    if as_json:
        say_json(summary_json(summary, wrong, undecided))
    else:
        say(summary_text(summary, wrong, undecided))
    if wrong:
        return CONTRADICTED
    return UNKNOWN if undecided else HOLDS


def _answer(verdict: Verdict, network: LoadedNetwork, prop: Property | None) -> Answer:
    from verifier.formats.replay import replay  # noqa: PLC0415
    from verifier.report import Answer  # noqa: PLC0415

    if prop is None:
        inputs, outputs = (tuple(f"{letter}_{index}" for index in range(count))
                           for letter, count in (("X", network.network.inputs), ("Y", network.network.outputs)))
        return Answer(verdict, inputs, outputs)
    if verdict.witness is None:
        return Answer(verdict, prop.input_names, prop.output_names)
    queries = prop.queries(network.network)
    replayed = replay(network.model_bytes, network.input_name, network.input_shape, verdict.witness.x,
                      queries[verdict.witness.query].domain)
    violates = any(replayed.satisfies(query) for query in queries)
    rounded_out = not violates and any(replayed.satisfies(query, outputs_only=True) for query in queries)
    return Answer(verdict, prop.input_names, prop.output_names, replayed, violates, rounded_out)


def _tell(answer: Answer, facts: dict[str, Any], network: LoadedNetwork, started: float, as_json: bool) -> None:
    from verifier.report import answer_json, answer_text  # noqa: PLC0415

    seconds = time.monotonic() - started
    costs = answer.verdict.statistics
    if as_json:
        say_json(answer_json(answer, {**facts, "digest": network.network.digest, "seconds": seconds}))
    else:
        time_spent = f"{seconds:.2f} s ({costs.search_seconds:.2f} search, {costs.check_seconds:.2f} check)"
        shown = {name.replace("_", " "): str(value) for name, value in facts.items() if value is not None}
        say(answer_text(answer, {**shown, "time": time_spent}))
