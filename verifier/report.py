"""What the command line says, as text and as JSON; nothing is printed here.

Numbers are exact: a decimal where there is a short one, else ``p/q`` with an approximation marked as such; in JSON
always ``p/q`` (or an integer) as a string.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.formats.onnx import LoadedNetwork
from verifier.formats.replay import Replay
from verifier.formats.witness import counted, format_rational
from verifier.kernel.network import Layer
from verifier.kernel.rational import ceil_float
from verifier.properties.cells import Counted, ProvedCells
from verifier.properties.output_range import Extremum, Kind, Range
from verifier.properties.safety import Verdict
from verifier.results import Row, Summary

if TYPE_CHECKING:
    from verifier.preimages import InputSet
    from verifier.sets import Reach

Json = dict[str, Any]

MANY = 10  # numbers of a replay that are shown one by one


def quotient(value: Fraction) -> str:
    """``p/q``, or ``p`` when ``q`` is 1; unlike ``str`` for any number of digits."""
    numerator = format(Decimal(value.numerator), "f")
    return numerator if value.denominator == 1 else f"{numerator}/{Decimal(value.denominator):f}"


@dataclass(frozen=True)
class Answer:
    """A verdict with what is needed to tell it: the names of the variables, the run in floating point of its witness if
    there was one, whether that run violates the property too, and whether it fails to only because the floating-point
    input is outside the property's input constraints."""

    verdict: Verdict
    input_names: Sequence[str]
    output_names: Sequence[str]
    replayed: Replay | None = None
    violates: bool = False
    rounded_out: bool = False


def answer_text(answer: Answer, facts: Mapping[str, str]) -> str:
    """The verdict's word alone on the first line, then why, the witness, how it was proved, and ``facts``."""
    verdict = answer.verdict
    lines = [verdict.outcome.value, f"why: {verdict.reason}"]
    if verdict.witness is not None:
        lines += ["counterexample:", *_assignments(answer.input_names, verdict.witness.x)]
        lines += ["exact outputs:", *_assignments(answer.output_names, verdict.witness.y)]
        if answer.replayed is not None:
            lines += _replay_lines(answer, answer.replayed, verdict.witness.x, verdict.witness.y)
    if verdict.arithmetic:
        costs = verdict.statistics
        parts = [f"checked in {verdict.arithmetic}"]
        parts += [counted(count, *words) for count, *words in
                  ((costs.boxes, "box", "boxes"), (costs.exact_leaves, "exact leaf", "exact leaves"),
                   (costs.linear_programs, "linear program"), (costs.certificate_bytes, "certificate byte")) if count]
        lines.append(f"proof: {', '.join(parts)}")
    lines += [f"{name}: {value}" for name, value in facts.items()]
    return "\n".join(lines) + "\n"


def _assignments(names: Sequence[str], values: Sequence[Fraction]) -> list[str]:
    return [f"  {name} = {format_rational(value)}" for name, value in zip(names, values, strict=True)]


def _replay_lines(answer: Answer, replayed: Replay, x: Sequence[Fraction], y: Sequence[Fraction]) -> list[str]:
    if replayed.x is None or replayed.y is None:
        return [f"onnxruntime: {replayed.note}"]
    word = "violates the property too" if answer.violates else "does not violate the property"
    why = ", only because the rounded input is outside the input constraints" if answer.rounded_out else ""
    lines = [f"onnxruntime in {replayed.precision}: {word}{why}"]
    rounded = [(name, used, exact) for name, used, exact in zip(answer.input_names, replayed.x, x, strict=True)
               if used != exact]
    if len(rounded) > MANY:
        lines.append(f"  at the nearest {replayed.precision} input: {len(rounded):,} inputs rounded, by at most "
                     f"{_size(max(abs(used - exact) for _, used, exact in rounded))}")
    elif rounded:
        shown = ", ".join(f"{name} = {format_rational(used)}" for name, used, _ in rounded)
        lines.append(f"  at the nearest {replayed.precision} input: {shown}")
    if len(replayed.y) > MANY and len(replayed.y) == len(y):
        gap = max(abs(used - exact) for used, exact in zip(replayed.y, y, strict=True))
        return [*lines, f"  {len(y):,} outputs, which differ from the exact ones by at most {_size(gap)} (all: --json)"]
    return lines + _assignments(_replay_names(answer, replayed.y), replayed.y)


def _size(value: Fraction) -> str:
    return f"about {ceil_float(value):.1e}" if value else "0"


def _replay_names(answer: Answer, y: Sequence[Fraction]) -> Sequence[str]:
    # What a foreign program returns need not have the shape it should have.
    fits = len(y) == len(answer.output_names)
    return answer.output_names if fits else [f"output {index}" for index in range(len(y))]


def answer_json(answer: Answer, facts: Json) -> Json:
    """The same as one JSON object."""
    verdict, replayed = answer.verdict, answer.replayed
    result: Json = {"verdict": verdict.outcome.value, "reason": verdict.reason, "vacuous": verdict.vacuous,
                    "arithmetic": verdict.arithmetic, "statistics": asdict(verdict.statistics),
                    "witness": None, "replay": None}
    if verdict.witness is not None:
        result["witness"] = {"inputs": _named(answer.input_names, verdict.witness.x),
                             "outputs": _named(answer.output_names, verdict.witness.y),
                             "query": verdict.witness.query, "disjunct": verdict.witness.disjunct}
    if replayed is not None:
        y = replayed.y
        result["replay"] = {"violates": answer.violates, "rounded_out": answer.rounded_out,
                            "precision": replayed.precision, "note": replayed.note,
                            "inputs": None if replayed.x is None else _named(answer.input_names, replayed.x),
                            "outputs": None if y is None else _named(_replay_names(answer, y), y)}
    return {**result, **facts}


def _named(names: Sequence[str], values: Sequence[Fraction]) -> dict[str, str]:
    return {name: quotient(value) for name, value in zip(names, values, strict=True)}


def unit_kinds(layer: Layer) -> Counter[str]:
    """How many units of a layer are of which kind, by their negative-side slope."""
    names = {Fraction(0): "ReLU", Fraction(1): "linear", Fraction(-1): "absolute value"}
    return Counter(names.get(slope, f"leaky ({format_rational(slope)})") for (slope,) in layer.slope.rows())


def info_json(loaded: LoadedNetwork) -> Json:
    """What a network is, as one JSON object."""
    network = loaded.network
    layers = [{"inputs": layer.inputs, "units": dict(unit_kinds(layer))} for layer in network.layers]
    kinds: Counter[str] = sum((unit_kinds(layer) for layer in network.layers), Counter())
    return {"network": loaded.path, "input": {"name": loaded.input_name, "shape": list(loaded.input_shape)},
            "output": {"name": loaded.output_name, "shape": list(loaded.output_shape)}, "layers": layers,
            "units": dict(kinds), "parameters": sum(layer.units * (layer.inputs + 1) for layer in network.layers),
            "digest": network.digest, "files": dict(loaded.files), "lowered": list(loaded.lowered)}


def info_text(loaded: LoadedNetwork) -> str:
    """What a network is, one thing a line; the first line is its file name."""
    data = info_json(loaded)
    lines = [Path(loaded.path).name]
    lines += [f"{end}: {data[end]['name']}, shape {' x '.join(map(str, data[end]['shape'])) or 'scalar'}"
              for end in ("input", "output")]
    lines += [f"layer {number}: {layer['inputs']} -> {_kinds(layer['units'])}"
              for number, layer in enumerate(data["layers"], start=1)]
    lines += [f"units: {_kinds(data['units'])}", f"parameters: {data['parameters']:,}",
              f"digest of the canonical network: {data['digest']}"]
    lines += [f"SHA-256 of {name}: {digest}" for name, digest in loaded.files]
    lines += ["lowered:", *(f"  {line}" for line in loaded.lowered)]
    return "\n".join(lines) + "\n"


def _kinds(units: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in units.items())


def range_text(ranges: Sequence[Range], facts: Mapping[str, str]) -> str:
    """The intervals on the first line, then for each objective where its ends are attained and how that is proved."""
    lines = [" x ".join(map(_interval, ranges))]
    for found in ranges:
        for name, end in (("minimum", found.minimum), ("maximum", found.maximum)):
            lines.append(f"{name} of {found.objective}: {_end(end)}")
            lines += [] if end.x is None else _assignments([f"X_{i}" for i in range(len(end.x))], end.x)
            lines += [] if end.ray is None else [f"  along ({', '.join(map(format_rational, end.ray))})"]
    ends = [end for found in ranges for end in (found.minimum, found.maximum)]
    arithmetics = sorted({end.arithmetic for end in ends if end.arithmetic})
    if arithmetics:
        boxes = counted(sum(end.boxes for end in ends), "box", "boxes")
        lines.append(f"proof: checked in {' and '.join(arithmetics)}, {boxes}")
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in facts.items())]) + "\n"


def _interval(found: Range) -> str:
    low, high = found.minimum, found.maximum
    if not found.is_decided:
        return Kind.UNKNOWN.value
    if Kind.EMPTY in (low.kind, high.kind):
        return Kind.EMPTY.value
    left = "(-inf" if low.value is None else f"[{format_rational(low.value)}"
    right = "inf)" if high.value is None else f"{format_rational(high.value)}]"
    return f"{left}, {right}"


def _end(end: Extremum) -> str:
    match end.kind:
        case Kind.ATTAINED if end.value is not None:
            return f"{format_rational(end.value)}, attained at"
        case Kind.UNBOUNDED:
            return "unbounded, from"
        case Kind.EMPTY:
            return "none, the domain is empty"
        case _:
            best = "" if end.value is None else f"; the best found is {format_rational(end.value)}, at"
            return f"unknown, {end.reason}{best}"


def range_json(ranges: Sequence[Range], facts: Mapping[str, Any]) -> Json:
    """The same as one JSON object."""
    return {"finished": all(found.is_decided for found in ranges),
            "ranges": [{"objective": found.objective, "minimum": _end_json(found.minimum),
                        "maximum": _end_json(found.maximum)} for found in ranges], **facts}


def _end_json(end: Extremum) -> Json:
    vectors = {name: None if vector is None else [quotient(v) for v in vector]
               for name, vector in (("x", end.x), ("y", end.y), ("ray", end.ray))}
    return {"kind": end.kind.value, "value": None if end.value is None else quotient(end.value), **vectors,
            "reason": end.reason, "arithmetic": end.arithmetic, "boxes": end.boxes}


def share_facts(found: InputSet, timeout: float | None, as_json: bool) -> Json:
    """The exact share of the domain's volume that a finished set of inputs has, within a time in seconds."""
    name = "share" if as_json else "share of the domain"
    if not found.finished:
        return {name: None} if as_json else {}
    try:
        share = found.share(timeout)
    except ValueError as error:
        return {name: None} if as_json else {name: f"none: {error}"}
    if share is None:
        return {name: None} if as_json else {name: "unknown, the time limit was reached"}
    return {name: quotient(share) if as_json else format_rational(share)}


def reach_text(found: Reach | InputSet, letter: str, facts: Mapping[str, str], interrupted: bool = False) -> str:
    """The number of parts (or ``unknown``) on the first line, then the extent of the set."""
    why = "the work was interrupted" if interrupted else "the time limit was reached"
    count, box = sum(found.dimensions.values()), found.bounding_box
    lines = [str(count) if found.finished else Kind.UNKNOWN.value]
    lines += [] if found.finished else [f"why: {why}; what follows is of a part of the set"]
    lines += [f"cells: {found.cells:,}", f"parts: {count:,}"]
    if box is None:
        lines.append("dimension: none, the set is empty")
    else:
        dimensions = sorted(found.dimensions.items(), reverse=True)
        parts = ", ".join(f"{number:,} of dimension {dimension}" for dimension, number in dimensions)
        lines.append(f"dimension: {dimensions[0][0]} in a space of {found.ambient_dimension} ({parts})")
        for index, (low, high) in enumerate(zip(box.lower, box.upper, strict=True)):
            left = "(-inf" if low is None else f"[{format_rational(low)}"
            lines.append(f"{letter}_{index}: {left}, {'inf)' if high is None else f'{format_rational(high)}]'}")
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in facts.items())]) + "\n"


def reach_json(found: Reach | InputSet, facts: Mapping[str, Any]) -> Json:
    """The same as one JSON object; a side of the bounding box without a bound is null."""
    box = found.bounding_box
    sides = [] if box is None else [[None if v is None else quotient(v) for v in pair]
                                    for pair in zip(box.lower, box.upper, strict=True)]
    return {"finished": found.finished, "cells": found.cells, "parts": sum(found.dimensions.values()),
            "dimension": max(found.dimensions, default=-1), "ambient_dimension": found.ambient_dimension,
            "bounding_box": sides, **facts}


_COUNTED = {
    Counted.REACH: "cells, whose images are the reachable set",
    Counted.ACTIVATION: "activation regions (cells)",
    Counted.LINEAR: "linear regions",
    Counted.AFFINE: "affine pieces (distinct affine maps)",
}


def cells_text(proved: ProvedCells, facts: Mapping[str, str]) -> str:
    """The number (or ``LOWER..UPPER``) on the first line, then what is counted and what is proved of it."""
    upper = "" if proved.upper is None else str(proved.upper)
    why = ("every one is there, and there are no others" if proved.is_exact else
           "there are at least and at most so many" if upper else "there are at least so many")
    cells = sum(len(claim.patterns) for claim in proved.claims)
    number = str(proved.lower) if proved.is_exact else f"{proved.lower}..{upper}"
    lines = [number, f"counted: {_COUNTED[proved.counted]}", f"why: {why}",
             f"proof: checked in {proved.arithmetic}, {cells:,} cells"]
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in facts.items())]) + "\n"


def cells_json(proved: ProvedCells, facts: Mapping[str, Any]) -> Json:
    """The same as one JSON object; without an upper bound it is null."""
    return {"counted": proved.counted.value, "lower": proved.lower, "upper": proved.upper,
            "cells": sum(len(claim.patterns) for claim in proved.claims), "arithmetic": proved.arithmetic, **facts}


def summary_text(summary: Summary, wrong: Sequence[tuple[Row, str]], undecided: Sequence[Row]) -> str:
    """The end of a suite: decided and all instances on the first line, then the table, then what deserves a look."""
    s = summary
    table = {
        "decided": f"{s.decided} of {s.instances}: {counted(s.holds, 'holds', 'hold')}, {s.violated} violated",
        "undecided": f"{s.instances - s.decided}: {counted(s.timeouts, 'timeout')}, {counted(s.errors, 'error')}",
        "wrong": f"{s.wrong} of {s.compared} compared with expected.csv",
        "CPU seconds": f"{s.cpu_seconds:.2f} in total, {s.median_cpu_seconds:.3f} median",
        "check seconds": f"{s.check_seconds:.2f}",
        "wall seconds": f"{s.wall_seconds:.2f}",
        "worst instance": f"{s.worst_cpu_seconds:.2f} CPU seconds, {s.worst}",
        "boxes": f"{s.boxes:,}",
        "certificates": f"{counted(s.certificate_bytes, 'byte')}",
        "peak memory": f"{s.peak_mib:.0f} MiB in one worker",
    }
    lines = [f"{s.decided}/{s.instances}"]
    lines += [f"{name:15} {value}" for name, value in table.items()]
    lines += [f"contradiction: {row.network} {row.property}: expected {word}, decided {row.result}"
              for row, word in wrong]
    lines += [f"undecided: {row.network} {row.property}: {row.result}, {row.reason}" for row in undecided]
    return "\n".join(lines) + "\n"


def summary_json(summary: Summary, wrong: Sequence[tuple[Row, str]], undecided: Sequence[Row]) -> Json:
    """The same as one JSON object."""
    return {**asdict(summary), "contradictions": [{**asdict(row), "expected": word} for row, word in wrong],
            "undecided_instances": [asdict(row) for row in undecided]}
