"""The commands about all outputs at once, ``verifier reach`` and ``verifier range``, and ``verifier verify --all``.

The first line is the number of parts of the set, or the interval asked for; ``unknown`` when time ran out.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verifier.console import (
    FILE,
    HOLDS,
    INTERRUPTED,
    OUT_OF_TIME,
    UNKNOWN,
    all_of,
    axes_option,
    color_option,
    common_options,
    exact_option,
    fix_option,
    fixed_inputs,
    jobs_option,
    kept,
    processes,
    say,
    say_json,
    seed_option,
    solver_option,
    time_left,
    timeout_option,
    two_axes,
    written,
)
from verifier.formats.errors import InputError
from verifier.progress import Bar

if TYPE_CHECKING:
    from verifier.certificates import ProvedRanges
    from verifier.engines.executor import MapExecutor
    from verifier.files import NewFile
    from verifier.formats.onnx import LoadedNetwork
    from verifier.formats.vnnlib import Property
    from verifier.geometry.union import UnionOfPolyhedra
    from verifier.geometry.union_json import Inputs
    from verifier.plot import Marks
    from verifier.preimages import InputSet
    from verifier.properties.cells import ProvedCells
    from verifier.properties.safety import Verdict
    from verifier.sets import Domain, Reach

UNFINISHED = "the set is not finished"
_certificate = click.option("--certificate", type=FILE, help="Write the proof to this file.")
_domain = all_of(
    click.option("--spec", type=FILE, help="Inputs: those that satisfy the input constraints of this VNN-LIB file."),
    click.option("--box", metavar="LO:HI[,LO:HI...]",
                 help="Inputs: a box. One pair means every input; bounds are decimals or p/q; no number, no bound."))

MOST_CONVERTED = 5
"""Inputs up to which sets of them are written with vertices and with facets."""


def _read_domain(network: LoadedNetwork, spec: Path | None, box: str | None) -> Domain:
    from verifier.formats.domains import parse_box  # noqa: PLC0415
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415

    if spec is not None and box is None:
        return read_property(spec)
    if box is not None and spec is None:
        return parse_box(box, network.network.inputs)
    received = "neither" if spec is None else "both"
    raise InputError(f"the inputs are needed, either as --spec FILE or as --box LO:HI, received {received}")


@click.command("reach")
@click.argument("net", type=FILE)
@_domain
@click.option("--layer", type=click.IntRange(min=0), metavar="K",
              help="The set after layer K (as numbered by info), not after the last one.")
@click.option("--merge", is_flag=True, help="Remove parts that lie in others, and unite those whose union is convex.")
@click.option("--preimage", type=FILE, metavar="SET",
              help="Instead, the set of inputs whose outputs lie in this set, a JSON file as --output writes it.")
@click.option("--output", type=FILE, help="Write the set to this JSON file.")
@click.option("--plot", type=FILE, help="Draw two coordinates of the set, into a PNG, SVG or PDF file.")
@click.option("--plot-inputs", type=FILE, help="Draw the cells of two inputs (others are fixed or projected away).")
@axes_option
@fix_option
@color_option("pattern", "map")
@_certificate
@timeout_option
@jobs_option
@common_options
def reach_command(net: Path, *, spec: Path | None, box: str | None, layer: int | None, merge: bool,
                  preimage: Path | None, output: Path | None, plot: Path | None, plot_inputs: Path | None, axes: str,
                  fix: str, color: str, certificate: Path | None, timeout: float | None, jobs: int,
                  as_json: bool) -> int:
    """Compute the exact set of outputs of NET.onnx as a union of polyhedra, one for each cell."""
    from verifier.files import NewFile, distinct_outputs  # noqa: PLC0415
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.plot import Marks  # noqa: PLC0415
    from verifier.preimages import preimage as inputs_to  # noqa: PLC0415
    from verifier.region_picture import fixed_pieces  # noqa: PLC0415
    from verifier.report import reach_json, reach_text, share_facts  # noqa: PLC0415
    from verifier.set_picture import Scene, draw_inputs, draw_outputs  # noqa: PLC0415
    from verifier.sets import Reach, pieces_of, reach, width  # noqa: PLC0415

    started = time.monotonic()
    distinct_outputs([path for path in (net, spec, preimage) if path is not None],
                     [output, plot, plot_inputs, certificate])
    network = read_network(net)
    domain = _read_domain(network, spec, box)
    drawn, fixed = two_axes(axes), fixed_inputs(fix)
    letter = {0: "X", None: "Y", len(network.network.layers): "Y"}.get(layer, "Z")
    target = None
    if preimage is not None:
        if merge or plot_inputs is not None or certificate is not None:
            raise InputError("--preimage is not combined with --merge, --plot-inputs or --certificate")
        target, letter = _read_set(preimage), "X"
    if axes != "0,1" and plot is None and plot_inputs is None:
        raise InputError("--axes is for --plot and --plot-inputs: it requires one")
    _require_drawable(plot, drawn, network.network.inputs if target is not None else width(network, layer))
    _require_drawable(plot_inputs, drawn, network.network.inputs)
    if fixed and plot_inputs is None:
        raise InputError("--fix is for --plot-inputs: it requires one")
    if fixed:
        fixed_pieces(pieces_of(network.network, domain), fixed, drawn)
    scene = Scene(network, domain, layer, drawn, letter)
    found: Reach | InputSet
    with contextlib.ExitStack() as stack:
        file = None if output is None else stack.enter_context(NewFile(output))
        proof = None if certificate is None else stack.enter_context(NewFile(certificate))
        executor = stack.enter_context(processes(jobs))
        bar = stack.enter_context(Bar())
        left = time_left(timeout, started)
        deadline = None if left is None else time.time() + left

        def told(count: int) -> None:
            bar.update(0.0, f"{count:,} cells")

        facts: dict[str, Any] = {}
        inputs = None
        if target is None:
            outputs, interrupted = kept(lambda: reach(
                network, domain, layers=layer, merge=merge, timeout=left, executor=executor, progress=told,
                certificate=None if proof is None else proof.file))
            found, inputs = outputs, outputs.attaining
            if merge and outputs.finished and not outputs.merged:
                facts["merge"] = "the time limit was reached; parts could still be united"
            if proof is not None and outputs.certified:
                proof.commit()
        else:
            leading, interrupted = kept(lambda: inputs_to(network, domain, target, layers=layer, timeout=left,
                                                            executor=executor, progress=told))
            found = leading
            facts |= share_facts(leading, time_left(timeout, started), as_json)
        late = []
        if file is not None and found.finished and not _write(found, file, inputs, deadline):
            late.append("output")
        if found.finished and isinstance(found, Reach):
            witness = scene.witness(deadline, executor) if plot is not None or plot_inputs is not None else None
            if plot is not None and not draw_outputs(scene, found, plot, witness, deadline):
                late.append("plot")
            if plot_inputs is not None and not draw_inputs(scene, found, plot_inputs, fixed, color, witness, deadline,
                                                           executor):
                late.append("plot of inputs")
        elif found.finished and plot is not None and not _draw_inputs_of(found, plot, drawn, Marks(), deadline):
            late.append("plot")
    files = {"output": output, "plot": plot, "plot of inputs": plot_inputs, "certificate": certificate}
    missing = {} if found.finished else dict.fromkeys(files, UNFINISHED)
    if found.finished and certificate is not None and not (isinstance(found, Reach) and found.certified):
        late.append("certificate")
    missing |= dict.fromkeys(late, OUT_OF_TIME)
    facts |= written(files, missing, as_json)
    seconds = time.monotonic() - started
    if as_json:
        say_json(reach_json(found, {**facts, "digest": network.network.digest, "seconds": seconds}))
    else:
        say(reach_text(found, letter, {**facts, "time": f"{seconds:.2f} s"}, interrupted))
    if interrupted:
        return INTERRUPTED
    return HOLDS if found.finished and "merge" not in facts and not missing else UNKNOWN


def _write(found: Reach | InputSet, file: NewFile, inputs: Inputs | None, deadline: float | None) -> bool:
    """Make all vertices and write the set, if there is time; a set of few inputs with its vertices and facets."""
    from verifier.geometry.union_json import json_lines  # noqa: PLC0415
    from verifier.time_limits import Late, until  # noqa: PLC0415

    try:
        for part in until(deadline, found.union.parts):
            if not part.is_implicit:  # of images some are written as they are
                _ = part.given_generators
        both = inputs is None and found.ambient_dimension <= MOST_CONVERTED
        for line in until(deadline, json_lines(found.union, both, inputs)):
            file.file.write(line.encode())
    except Late:
        return False
    file.commit()
    return True


def _read_set(path: Path) -> UnionOfPolyhedra:
    from verifier.geometry.union_json import from_json  # noqa: PLC0415

    try:
        return from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: a readable file was required: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _require_drawable(path: Path | None, axes: tuple[int, int], dimension: int) -> None:
    """A mistake is told before the work."""
    if path is not None:
        from verifier.plot import require_drawable  # noqa: PLC0415

        require_drawable(path, axes, dimension)


def _draw_inputs_of(found: Reach | InputSet, path: Path, axes: tuple[int, int], marks: Marks,
                    deadline: float | None) -> bool:
    """Draw a set of inputs, if there is time."""
    from verifier.plot import draw_set  # noqa: PLC0415
    from verifier.time_limits import Late, in_time  # noqa: PLC0415

    names = {j: f"X_{j}" for j in axes}
    try:
        draw_set(found.union, path, axes, replace(marks, names={**names, **marks.names}), partial(in_time, deadline))
    except Late:
        return False
    return True


class AllCounterexamples:
    """What ``verify --all`` adds to a verdict: the set, its share, its files.  A context manager for the file; mistakes
    are told before the work (InputError)."""

    def __init__(self, network: LoadedNetwork, prop: Property, output: Path | None, plot: Path | None,
                 axes: tuple[int, int]) -> None:
        self._network, self._property, self._axes, self._plot, self._output = network, prop, axes, plot, output
        self.interrupted = False
        self._stack = contextlib.ExitStack()
        _require_drawable(plot, axes, network.network.inputs)

    def __enter__(self) -> AllCounterexamples:
        from verifier.files import NewFile  # noqa: PLC0415

        self._file = None if self._output is None else self._stack.enter_context(NewFile(self._output))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def compute(self, verdict: Verdict, timeout: float | None, executor: MapExecutor | None,
                as_json: bool) -> dict[str, Any]:
        """Find the set of a decided property, within a time limit in seconds, and write the files; what to tell."""
        from verifier.formats.witness import counted  # noqa: PLC0415
        from verifier.plot import Marks  # noqa: PLC0415
        from verifier.preimages import counterexamples  # noqa: PLC0415
        from verifier.report import share_facts  # noqa: PLC0415

        started = time.monotonic()
        queries = self._property if verdict.witness is not None else ()  # a property that holds has none
        with Bar() as bar:
            found, self.interrupted = kept(lambda: counterexamples(
                self._network, queries, timeout=timeout, executor=executor,
                progress=lambda count: bar.update(0.0, f"{count:,} cells")))
        names = self._property.input_names
        files = {"output": self._output, "plot": self._plot}
        missing = {} if found.finished else dict.fromkeys(files, UNFINISHED)
        deadline = None if timeout is None else time.time() + (time_left(timeout, started) or 0.0)
        if found.finished and self._file is not None and not _write(found, self._file, None, deadline):
            missing["output"] = OUT_OF_TIME
        if found.finished and self._plot is not None:
            point = None if verdict.witness is None else verdict.witness.x
            marks = Marks(counterexample=point, label="all counterexamples", names=dict(enumerate(names)))
            if not _draw_inputs_of(found, self._plot, self._axes, marks, deadline):
                missing["plot"] = OUT_OF_TIME
        paths = written(files, missing, as_json)
        share = {} if verdict.witness is None else share_facts(found, time_left(timeout, started), as_json)
        if as_json:
            return {"counterexamples": {"finished": found.finished, "parts": len(found.union.parts),
                                        "cells": found.cells, **share, **paths}}
        parts = f"{counted(len(found.union.parts), 'part')}, in {counted(found.cells, 'cell')}"
        why = "interrupted" if self.interrupted else "the time limit was reached"
        late = "" if found.finished else f"unfinished, {why}: "
        return {"all counterexamples": late + parts, **share, **paths}


@click.command("range")
@click.argument("net", type=FILE)
@_domain
@click.option("--objective", metavar="EXPRESSION", multiple=True,
              help='Linear expression such as "2*Y_0 - Y_1"; may be repeated. Without it: each output.')
@click.option("--engine", type=click.Choice(["auto", "branch", "propagate", "milp"]), default="auto",
              show_default=True, help="How to find optima; no answer depends on it.")
@solver_option
@_certificate
@timeout_option
@exact_option
@seed_option
@jobs_option
@common_options
def range_command(net: Path, *, spec: Path | None, box: str | None, objective: tuple[str, ...], engine: str,
                  solver: str, certificate: Path | None, timeout: float | None, exact: bool, seed: int, jobs: int,
                  as_json: bool) -> int:
    """Compute the exact minimum and maximum of each output of NET.onnx, or of linear expressions, with proof."""
    from verifier.files import NewFile, distinct_outputs  # noqa: PLC0415
    from verifier.formats.onnx import read_network  # noqa: PLC0415
    from verifier.report import range_json, range_text  # noqa: PLC0415
    from verifier.sets import output_range  # noqa: PLC0415

    started = time.monotonic()
    distinct_outputs([net] if spec is None else [net, spec], [certificate])
    network = read_network(net)
    domain = _read_domain(network, spec, box)
    with contextlib.ExitStack() as stack:
        proof = None if certificate is None else stack.enter_context(NewFile(certificate))
        executor = stack.enter_context(processes(jobs))
        bar = stack.enter_context(Bar())
        ranges, interrupted = kept(lambda: output_range(
            network, domain, objective or None, engine=engine, solver=solver, timeout=time_left(timeout, started),
            seed=seed, exact=exact, executor=executor, progress=bar.update,
            certificate=None if proof is None else proof.file))
        decided = all(found.is_decided for found in ranges)
        if proof is not None and decided:
            proof.commit()
    facts: dict[str, Any] = {"seed": seed, **({"certificate": str(certificate)} if certificate and decided else {})}
    seconds = time.monotonic() - started
    if as_json:
        say_json(range_json(ranges, {**facts, "digest": network.network.digest, "seconds": seconds}))
    else:
        say(range_text(ranges, {**{name: str(fact) for name, fact in facts.items()}, "time": f"{seconds:.2f} s"}))
    return INTERRUPTED if interrupted else HOLDS if decided else UNKNOWN


def tell_sets(proved: ProvedCells | ProvedRanges, facts: dict[str, Any], network: LoadedNetwork, spec: Path | None,
              seconds: float, as_json: bool) -> None:
    """Say what a certificate of cells or ranges proves, and over which domain: that of a property's file, or its own.
    """
    from verifier.properties.cells import ProvedCells  # noqa: PLC0415
    from verifier.report import cells_json, cells_text, range_json, range_text  # noqa: PLC0415
    from verifier.report_scope import scope_facts, scope_json  # noqa: PLC0415

    measured = {**scope_json(proved, network.network), **facts, "digest": network.network.digest, "seconds": seconds}
    shown = {**scope_facts(proved, network.network, spec), **facts, "time": f"{seconds:.2f} s"}
    if isinstance(proved, ProvedCells):
        say_json(cells_json(proved, measured)) if as_json else say(cells_text(proved, shown))
    else:
        say_json(range_json(proved.ranges, measured)) if as_json else say(range_text(proved.ranges, shown))
