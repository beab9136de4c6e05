"""What a certificate of cells or ranges speaks of: its domain and the layers.

Without a property's file the certificate is the only place where its domain is stated, so a check says which one was
proved.  Short pieces are written out; of long ones the size is said, and the SHA-256 of their text in the header (JSON
without spaces, its keys sorted), by which they can be compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.certificates import ProvedRanges, piece_json
from verifier.formats.witness import counted
from verifier.kernel.domain import Ball, Domain, Polytope
from verifier.kernel.network import Network
from verifier.report import quotient

if TYPE_CHECKING:
    from verifier.properties.cells import ProvedCells

LONGEST = 400  # characters of a piece, or of all pieces, that are written out


def scope_facts(proved: ProvedCells | ProvedRanges, network: Network, spec: Path | None) -> dict[str, str]:
    """``domain`` (that of the property's file if there was one) and, if they are not all, ``layers``."""
    facts = {"domain": domain_text(proved.pieces) if spec is None else f"that of {spec}"}
    if not isinstance(proved, ProvedRanges) and proved.layers != len(network.layers):
        facts["layers"] = f"{proved.layers} of {len(network.layers)}"
    return facts


def scope_json(proved: ProvedCells | ProvedRanges, network: Network) -> dict[str, Any]:
    """``pieces`` as in a certificate's header, and ``layers`` (of a range: all)."""
    layers = len(network.layers) if isinstance(proved, ProvedRanges) else proved.layers
    return {"pieces": [piece_json(piece) for piece in proved.pieces], "layers": layers}


def domain_text(pieces: Sequence[Domain]) -> str:
    """The union of the pieces, on one line."""
    text = " or ".join(map(_piece, pieces))
    if len(text) <= LONGEST:
        return text
    return f"{len(pieces):,} pieces, SHA-256 {digest_of(list(map(piece_json, pieces)))}"


def _piece(piece: Domain) -> str:
    if isinstance(piece, Ball):
        short = f"centre ({', '.join(map(quotient, piece.centre))}), radius {quotient(piece.radius)}"
        long = f"{counted(piece.dimension, 'input')}"
        kind = f"ball of norm {piece.norm}: "
    else:
        short = ", ".join([*_bounds(piece), *(_row(row.normal, row.offset) for row in piece.rows)]) or "all inputs"
        long = f"box of {counted(piece.dimension, 'input')} and {counted(len(piece.rows), 'row')}"
        kind = ""
    if len(short) <= LONGEST:
        return kind + short
    return f"{kind}{long}, SHA-256 {digest_of(piece_json(piece))}"


def _bounds(piece: Polytope) -> list[str]:
    found = []
    for i, (low, high) in enumerate(zip(piece.box.lower, piece.box.upper, strict=True)):
        if low is not None and low == high:
            found.append(f"X_{i} = {quotient(low)}")
        elif low is not None or high is not None:
            found.append(("" if low is None else f"{quotient(low)} <= ") + f"X_{i}"
                         + ("" if high is None else f" <= {quotient(high)}"))
    return found


def _row(normal: Sequence[Fraction], offset: Fraction) -> str:
    terms = " + ".join(f"{quotient(a)}*X_{i}" for i, a in enumerate(normal) if a)
    return f"{terms or '0'} <= {quotient(offset)}"


def digest_of(data: Any) -> str:
    """The SHA-256 of the text of a part of a header."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
