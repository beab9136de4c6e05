"""What ``verifier radius`` says, as text and as JSON; nothing is printed here."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.formats.witness import counted, format_rational, format_root
from verifier.headers import box_json
from verifier.kernel.domain import Polytope
from verifier.kernel.rational import to_text
from verifier.properties.radius import Norm, Radius
from verifier.report import Json, quotient
from verifier.report_scope import LONGEST, digest_of, domain_text

if TYPE_CHECKING:
    from verifier.radius_certificates import ProvedRadius

LIMIT = "a strict constraint excludes the nearest input itself, but not those on the way to it"


def length(norm: Norm, value: Fraction) -> str:
    """A distance; in the L2 norm ``value`` is its square."""
    return format_root(value) if norm is Norm.L2 else format_rational(value)


def radius_text(found: Radius, facts: Mapping[str, str]) -> str:
    """The distance on the first line, then the input that attains it and how it is proved."""
    norm = found.norm
    if found.infinite:
        lines = ["inf", "why: there is no such input, however far"]
    elif found.lower == found.upper:
        lines = [length(norm, found.lower), *([] if found.attained else [f"why: {LIMIT}"])]
    else:
        upper = "inf)" if found.upper is None else f"{length(norm, found.upper)}]"
        lines = [f"[{length(norm, found.lower)}, {upper}", f"why: {found.reason}"]
    if found.upper == 0 and found.attained:
        lines.append("why: the centre itself is such an input")
    lines.append(f"norm: {norm.value}")
    if found.x is not None and found.y is not None:
        lines.append("nearest input:" if found.is_exact else "nearest input known:")
        lines += [f"  X_{i} = {format_rational(v)}" for i, v in enumerate(found.x)]
        lines += ["exact outputs:", *(f"  Y_{i} = {format_rational(v)}" for i, v in enumerate(found.y))]
    if found.arithmetic:
        lines.append(f"proof: checked in {found.arithmetic}, {counted(found.boxes, 'box', 'boxes')}")
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in facts.items())]) + "\n"


def radius_json(found: Radius, facts: Mapping[str, Any]) -> Json:
    """The same as one JSON object; in the L2 norm the bounds are squares."""
    vectors = {name: None if vector is None else [quotient(v) for v in vector]
               for name, vector in (("x", found.x), ("y", found.y), ("inside", found.inside))}
    return {"norm": found.norm.value, "squared": found.norm is Norm.L2, "exact": found.is_exact,
            "infinite": found.infinite, "attained": found.attained, "lower": quotient(found.lower),
            "upper": None if found.upper is None else quotient(found.upper), **vectors, "reason": found.reason,
            "arithmetic": found.arithmetic, "boxes": found.boxes, **facts}


def radius_scope(proved: ProvedRadius, spec: Path | None) -> dict[str, str]:
    """What a certificate's radius speaks of: its centre and what happens at the inputs in question."""
    center, change = proved.radius.center, proved.change
    text = f"({', '.join(map(quotient, center))})"
    if len(text) > LONGEST:
        text = f"{counted(len(center), 'coordinate')}, SHA-256 {digest_of(list(map(to_text, center)))}"
    if change is None:
        return {"centre": text, "question": "a counterexample" if spec is None else f"a counterexample of {spec}"}
    extreme = "smallest" if change.smallest else "largest"
    return {"centre": text, "question": f"output {change.label} is not strictly the {extreme} one",
            "domain": domain_text([Polytope(change.domain)])}


def radius_scope_json(proved: ProvedRadius) -> dict[str, Any]:
    """The same for JSON, as in a certificate's header."""
    change = proved.change
    return {"centre": list(map(to_text, proved.radius.center)),
            "change": None if change is None else {"label": change.label, "smallest": change.smallest,
                                                   "box": box_json(change.domain)}}
