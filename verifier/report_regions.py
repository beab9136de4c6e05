"""What ``verifier regions`` says, as text, JSON and CSV; nothing is printed here.

In files and in JSON numbers are integers or ``p/q`` as strings, exactly.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from verifier.properties.regions import RegionCount, RegionCounts, RegionKind
from verifier.report import quotient

if TYPE_CHECKING:
    from verifier.counting import Surroundings
    from verifier.engines.region_parts import RegionPart
    from verifier.engines.unit_signs import LocalBound

Json = dict[str, Any]
NAMES = {RegionKind.ACTIVATION: "activation regions", RegionKind.LINEAR: "linear regions",
         RegionKind.AFFINE: "affine pieces"}


def counts_text(counts: RegionCounts, kind: RegionKind, facts: Mapping[str, str]) -> str:
    """The number of the kind asked for, or LOWER..UPPER, alone on the first line; then every kind that is known."""
    asked = counts.of(kind)
    assert asked is not None
    lines = [asked.text]
    lines += [f"{NAMES[k]}: {found.text}" for k in RegionKind if (found := counts.of(k)) is not None]
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in facts.items())]) + "\n"


def counts_json(counts: RegionCounts, kind: RegionKind, facts: Json) -> Json:
    """The same as one JSON object."""
    asked = counts.of(kind)
    assert asked is not None
    return {"kind": kind.value, "finished": asked.is_exact, **_pair(asked),
            "counts": {k.value: _pair(found) for k in RegionKind if (found := counts.of(k)) is not None}, **facts}


def _pair(count: RegionCount) -> Json:
    return {"lower": str(count.lower), "upper": str(count.upper)}


def bound_text(bound: LocalBound, facts: Mapping[str, str]) -> str:
    """An upper bound on the first line, then where it comes from."""
    lines = [f"{int(bound.refined > 0)}..{bound.refined}", f"product of binomial sums: {bound.product}"]
    lines += [f"layer {number}: {layer.cutting} of {layer.width} live units can change their sign"
              for number, layer in enumerate(bound.layers, start=1)]
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in facts.items())]) + "\n"


def bound_json(bound: LocalBound, facts: Json) -> Json:
    """The same as one JSON object."""
    return {"lower": "1", "upper": str(bound.refined), "product": str(bound.product), "rank": bound.rank,
            "changing_units": [layer.cutting for layer in bound.layers], **facts}


def part_json(part: RegionPart, kind: RegionKind) -> Json:
    """One region as one line of a JSON lines file.

    An activation region has ``pattern``, ``inequalities`` (rows ``[a_1, ..., a_n, b]`` of ``a . x <= b``) and
    ``interior`` itself, other regions a list of ``cells`` that have them.
    """
    cells = [{"pattern": ["".join("01"[active] for active in layer) for layer in cell.pattern],
              "inequalities": [[*map(quotient, row.normal), quotient(row.offset)] for row in cell.inequalities],
              "interior": list(map(quotient, cell.interior))} for cell in part.cells]
    own = cells[0] if kind is RegionKind.ACTIVATION else {"cells": cells}
    return {"number": part.number, "kind": kind.value, **own,
            "map": {"weight": [list(map(quotient, row)) for row in part.weight],
                    "constant": list(map(quotient, part.constant))},
            "volume": None if part.volume is None else quotient(part.volume), "neighbours": list(part.neighbours)}


def surroundings_csv(found: Iterable[Surroundings], inputs: int, norm: str) -> str:
    """One line a point: the counts in the ball, a bound, and the distances to the boundaries of the point's regions
    (``none`` when there are none)."""
    square = "_squared" if norm == "2" else ""
    head = [*(f"x{i}" for i in range(inputs)), *(f"{k.value}_{end}" for k in RegionKind for end in ("lower", "upper")),
            "upper_bound", f"activation_distance{square}", f"linear_distance{square}"]
    return _csv([head, *([*map(quotient, one.x), *_ends(one.counts), one.bound, _distance(one.margins.activation),
                          _distance(one.margins.linear)] for one in found)])


def _ends(counts: RegionCounts) -> list[int]:
    found = [counts.of(kind) for kind in RegionKind]
    return [end for count in found if count is not None for end in (count.lower, count.upper)]


def _distance(value: Fraction | None) -> str:
    return "none" if value is None else quotient(value)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
