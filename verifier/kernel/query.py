"""The one question the kernel understands.

*Is there an ``x`` in the domain, and a disjunct, such that every half-space of that disjunct is true of the
concatenated vector ``(x, N(x))``?*

An empty disjunct asks for any point of the domain; a query without disjuncts has no points.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace

Disjunct = tuple[HalfSpace, ...]


@dataclass(frozen=True)
class Query:
    """``exists x in domain, exists d in disjuncts, for all h in d: (x, network(x)) in h``.

    The normals of the half-spaces have ``network.inputs + network.outputs`` entries.  Raises ValueError otherwise.
    """

    network: Network
    domain: Box
    disjuncts: tuple[Disjunct, ...]

    def __post_init__(self) -> None:
        if self.domain.dimension != self.network.inputs:
            raise ValueError(f"the network has {self.network.inputs} inputs, "
                             f"the domain {self.domain.dimension} coordinates")
        width = self.network.inputs + self.network.outputs
        for disjunct in self.disjuncts:
            for half_space in disjunct:
                if len(half_space.normal) != width:
                    raise ValueError(f"a half-space over inputs and outputs needs {width} coefficients, "
                                     f"received {len(half_space.normal)}")

    def satisfied_disjunct(self, x: Sequence[Fraction]) -> int | None:
        """Index of the first disjunct that is true at ``x`` (exactly), or None."""
        if not self.domain.contains(x):
            return None
        vector = tuple(x) + self.network.evaluate(x)
        for index, disjunct in enumerate(self.disjuncts):
            if all(h.contains(vector) for h in disjunct):
                return index
        return None

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the canonical query, the network's digest included."""
        parts = ["relu query 1", self.network.digest, self.domain.encode()]
        for disjunct in self.disjuncts:
            parts.append(f"or {len(disjunct)}")
            parts.extend(h.encode() for h in disjunct)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
