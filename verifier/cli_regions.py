"""The command ``verifier regions``.

The first line is the number asked for, or ``LOWER..UPPER`` when time ran out or only a bound was asked for.
"""

from __future__ import annotations

import contextlib
import csv
import json
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verifier.console import (
    FILE,
    HOLDS,
    INTERRUPTED,
    OUT_OF_TIME,
    UNKNOWN,
    axes_option,
    color_option,
    common_options,
    complain,
    fix_option,
    fixed_inputs,
    jobs_option,
    kept,
    processes,
    say,
    say_json,
    time_left,
    timeout_option,
    two_axes,
    written,
)
from verifier.formats.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifier.counting import RegionDomain, Surroundings
    from verifier.formats.onnx import LoadedNetwork
    from verifier.geometry.ball import Ball, Norm
    from verifier.kernel.network import Network
    from verifier.kernel.rational import Point
    from verifier.properties.regions import RegionCounts, RegionKind

INTERRUPTION = "interrupted"
CHEAP = 20_000
"""Cells up to which linear regions and affine pieces are counted without being asked for."""


@click.command("regions")
@click.argument("net", type=FILE)
@click.option("--spec", type=FILE, help="Inputs: those that satisfy the input constraints of this VNN-LIB file.")
@click.option("--box", metavar="LO:HI[,LO:HI...]", help="Inputs: a box, as for reach.")
@click.option("--center", metavar="X,...", help="Inputs: a ball around this point (decimals or p/q).")
@click.option("--radius", metavar="R", help="The ball's radius.")
@click.option("--norm", type=click.Choice(["1", "2", "inf"]), help="The ball's norm.")
@click.option("--kind", type=click.Choice(["activation", "linear", "affine"]),
              help="What is counted on the first line.  Without it: activation regions, and the others when cheap.")
@click.option("--bounds-only", is_flag=True, help="Only bounds, from the units that can change sign; in milliseconds.")
@click.option("--around", type=FILE, metavar="CSV", help="Count in the ball around each point of this file.")
@click.option("--output", type=FILE, help="Write every region to this file of JSON lines; with --around, a CSV file.")
@click.option("--graph", type=FILE, help="Write the pairs of neighbouring regions to this file, one pair a line.")
@click.option("--plot", type=FILE, help="Draw the regions over two inputs, into a PNG, SVG or PDF file.")
@axes_option
@fix_option
@color_option("map", "pattern", "gradient")
@click.option("--certificate", type=FILE, help="Write the proof of the count to this file.")
@timeout_option
@jobs_option
@common_options
def regions_command(net: Path, *, spec: Path | None, box: str | None, center: str | None, radius: str | None,
                    norm: Norm | None, kind: str | None, bounds_only: bool, around: Path | None, output: Path | None,
                    graph: Path | None, plot: Path | None, axes: str, fix: str, color: str,
                    certificate: Path | None, timeout: float | None, jobs: int, as_json: bool) -> int:
    """Count the regions of NET.onnx exactly: in a polytope, a box, a ball, or in all of space when none is given."""
    from verifier.counting import region_bound, region_kind  # noqa: PLC0415
    from verifier.files import distinct_outputs  # noqa: PLC0415
    from verifier.formats.onnx import read_network  # noqa: PLC0415

    started = time.monotonic()
    distinct_outputs([path for path in (net, spec, around) if path is not None], [output, graph, plot, certificate])
    loaded = read_network(net)
    network = loaded.network
    facts: dict[str, Any] = {"digest": network.digest}
    if around is not None:
        if center is not None or spec is not None or box is not None or radius is None or norm is None:
            raise InputError("--around needs --radius and --norm, and goes with no other domain")
        if graph is not None or plot is not None or certificate is not None or bounds_only:
            raise InputError("--around goes without --graph, --plot, --certificate and --bounds-only")
        return _around(network, around, _radius(radius), norm, output, timeout, jobs, as_json)
    domain = _domain(network, spec, box, center, radius, norm)
    if bounds_only:
        from verifier.report_regions import bound_json, bound_text  # noqa: PLC0415

        if output is not None or graph is not None or plot is not None or certificate is not None:
            raise InputError("--bounds-only writes no files: it looks at no region")
        bound = region_bound(network, domain)
        seconds = time.monotonic() - started
        if as_json:
            say_json(bound_json(bound, {**facts, "seconds": seconds}))
        else:
            say(bound_text(bound, {"time": f"{seconds:.3f} s"}))
        return HOLDS
    wanted = region_kind(kind or "activation")
    drawn, fixed = _drawing(network, domain, plot, axes, fix)
    counts, interrupted = kept(lambda: _count(network, domain, wanted, kind is None, timeout, jobs))
    asked = counts.of(wanted)
    assert asked is not None
    files = {"output": output, "graph": graph, "plot": plot, "certificate": certificate}
    missing = dict.fromkeys(files, INTERRUPTION if interrupted else "the count is not exact")
    if asked.is_exact and not interrupted:
        try:
            _write(network, domain, wanted, output, graph)
            del missing["output"], missing["graph"]
            if plot is not None:
                from verifier.counting import convex_domain  # noqa: PLC0415
                from verifier.region_picture import draw_regions  # noqa: PLC0415

                draw_regions(network, convex_domain(network, domain), plot, drawn, fixed, color)
            del missing["plot"]
            if certificate is None or _certify(loaded, domain, wanted, certificate, time_left(timeout, started)):
                del missing["certificate"]
            else:
                missing["certificate"] = OUT_OF_TIME
        except KeyboardInterrupt:
            complain(INTERRUPTION)
            interrupted, missing = True, dict.fromkeys(missing, INTERRUPTION)
    facts |= written(files, missing, as_json)
    _tell(counts, wanted, facts, time.monotonic() - started, as_json)
    return INTERRUPTED if interrupted else HOLDS if asked.is_exact and not missing else UNKNOWN


def _tell(counts: RegionCounts, kind: RegionKind, facts: dict[str, Any], seconds: float, as_json: bool) -> None:
    from verifier.report_regions import counts_json, counts_text  # noqa: PLC0415

    if as_json:
        say_json(counts_json(counts, kind, {**facts, "seconds": seconds}))
    else:
        shown = {name: value for name, value in facts.items() if name != "digest"}
        say(counts_text(counts, kind, {**shown, "time": f"{seconds:.2f} s"}))


def _count(network: Network, domain: RegionDomain, kind: RegionKind, all_kinds: bool, timeout: float | None,
           jobs: int) -> RegionCounts:
    from verifier.counting import count_all_regions  # noqa: PLC0415
    from verifier.properties.regions import RegionKind  # noqa: PLC0415

    def show(counts: RegionCounts) -> None:
        found = counts.of(kind) or counts.activation
        complain(f"{found.kind.value} regions: {found.text}" if found.kind is not RegionKind.AFFINE else
                 f"affine pieces: {found.text}")

    most = None if kind is not RegionKind.ACTIVATION else CHEAP if all_kinds and jobs == 1 else 0
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(processes(jobs))
        return count_all_regions(network, domain, most=most, timeout=timeout, executor=executor, progress=show)


def _write(network: Network, domain: RegionDomain, kind: RegionKind, output: Path | None, graph: Path | None) -> None:
    from verifier.counting import regions  # noqa: PLC0415
    from verifier.engines.region_parts import edges  # noqa: PLC0415
    from verifier.files import NewFile  # noqa: PLC0415
    from verifier.report_regions import part_json  # noqa: PLC0415

    if output is None and graph is None:
        return
    with contextlib.ExitStack() as stack:
        lines, pairs = (None if path is None else stack.enter_context(NewFile(path)) for path in (output, graph))
        for part in regions(network, domain, kind=kind):
            if lines is not None:
                lines.file.write((json.dumps(part_json(part, kind)) + "\n").encode())
            if pairs is not None:
                pairs.file.writelines(f"{a} {b}\n".encode() for a, b in edges([part]))
        for file in (lines, pairs):
            if file is not None:
                file.commit()


def _certify(network: LoadedNetwork, domain: RegionDomain, kind: RegionKind, certificate: Path,
             timeout: float | None) -> bool:
    """Write the certificate, if there is time."""
    from verifier.counting import certify_regions  # noqa: PLC0415
    from verifier.files import NewFile  # noqa: PLC0415

    with NewFile(certificate) as file:
        done = certify_regions(network, domain, kind, file.file, timeout=timeout) is not None
        if done:
            file.commit()
    return done


def _around(network: Network, data: Path, radius: Fraction, norm: Norm, output: Path | None, timeout: float | None,
            jobs: int, as_json: bool) -> int:
    from verifier.counting import around  # noqa: PLC0415
    from verifier.files import NewFile  # noqa: PLC0415
    from verifier.report_regions import counts_json, surroundings_csv  # noqa: PLC0415

    started = time.monotonic()
    points = _points(data, network.inputs)
    for point in points[:1]:
        _ball(point, radius, norm)
    with contextlib.ExitStack() as stack:
        file = None if output is None else stack.enter_context(NewFile(output))
        executor = stack.enter_context(processes(jobs))
        found: list[Surroundings] = []
        interrupted = False
        try:
            found.extend(around(network, points, radius, norm, timeout=timeout, executor=executor))
        except KeyboardInterrupt:
            complain(f"interrupted after {len(found)} of {len(points)} points")
            interrupted = True
        table = surroundings_csv(found, network.inputs, norm)
        if file is not None:
            file.file.write(table.encode())
            file.commit()
    finished = not interrupted and all(one.counts.activation.is_exact for one in found)
    if as_json:
        from verifier.properties.regions import RegionKind  # noqa: PLC0415
        from verifier.report import quotient  # noqa: PLC0415

        say_json({"points": [counts_json(one.counts, RegionKind.ACTIVATION, {
            "x": list(map(quotient, one.x)), "upper_bound": str(one.bound), "distances": {
                name: None if value is None else quotient(value)
                for name, value in (("activation", one.margins.activation), ("linear", one.margins.linear))},
            "squared": norm == "2"}) for one in found], "finished": finished, "digest": network.digest})
    else:
        shown = table if output is None else f"output: {output}\ntime: {time.monotonic() - started:.2f} s\n"
        say(f"{len(found)}\n{shown}")
    return INTERRUPTED if interrupted else HOLDS if finished else UNKNOWN


def _domain(network: Network, spec: Path | None, box: str | None, center: str | None, radius: str | None,
            norm: Norm | None) -> RegionDomain:
    from verifier.formats.domains import parse_box  # noqa: PLC0415
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415

    if sum(value is not None for value in (spec, box, center)) > 1:
        raise InputError("at most one of --spec, --box and --center was required")
    if center is None and (radius is not None or norm is not None):
        raise InputError("--radius and --norm go with --center")
    if spec is not None:
        return read_property(spec)
    if box is not None:
        return parse_box(box, network.inputs)
    if center is None:
        return None
    if radius is None or norm is None:
        missing = [name for name, value in (("--radius", radius), ("--norm", norm)) if value is None]
        raise InputError(f"--center needs {' and '.join(missing)}, too")
    point = _numbers("--center", center.split(","), network.inputs)
    return _ball(point, _radius(radius), norm)


def _ball(centre: Point, radius: Fraction, norm: Norm) -> Ball:
    from verifier.geometry.ball import Ball  # noqa: PLC0415

    try:
        return Ball(centre, radius, norm)
    except ValueError as error:
        raise InputError(str(error)) from None


def _numbers(where: str, texts: Sequence[str], inputs: int) -> Point:
    from verifier.formats.numbers import parse_number  # noqa: PLC0415

    if len(texts) != inputs:
        raise InputError(f"{where}: {inputs} numbers, one for each input, were required, received {len(texts)}")
    try:
        return tuple(parse_number(text) for text in texts)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _radius(text: str) -> Fraction:
    (radius,) = _numbers("--radius", [text], 1)
    if radius <= 0:
        raise InputError(f"--radius: a number greater than 0 was required, received {text!r}")
    return radius


def _points(path: Path, inputs: int) -> list[Point]:
    """The points of a CSV file, one a line; a first line of words names the columns."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: a readable CSV file was required: {error}") from None
    if rows and all(_is_name(cell) for cell in rows[0][1]):
        del rows[0]
    return [_numbers(f"{path}, line {number}", row, inputs) for number, row in rows]


def _is_name(cell: str) -> bool:
    """Whether a cell names a column: what begins like a word and is no number, as ``inf`` would be."""
    try:
        float(cell)
    except ValueError:
        return cell.strip(' "')[:1].isalpha()
    return False


def _drawing(network: Network, domain: RegionDomain, plot: Path | None, axes: str, fix: str
             ) -> tuple[tuple[int, int], dict[int, Fraction]]:
    """What is drawn; a mistake is told before the work."""
    if plot is None:
        return (0, 1), {}
    from verifier.counting import convex_domain  # noqa: PLC0415
    from verifier.plot import require_drawable  # noqa: PLC0415
    from verifier.region_picture import sliced  # noqa: PLC0415

    drawn = two_axes(axes)
    require_drawable(plot, drawn, network.inputs)
    fixed = fixed_inputs(fix)
    sliced(network, convex_domain(network, domain), drawn, fixed)
    return drawn, fixed
