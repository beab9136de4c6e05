"""The one leaf that needs no bounds on units: what an expression can never be because of its last activations alone.

Requirement
    A query, on any domain.
Return
    The one block of a proof, or nothing.
Method
    A sum of ReLUs is never negative, whatever their arguments are.  So each half-space of a disjunct is tried as a leaf
    of the whole domain, with no multiplier on any unit.
Property
    Sound, because the kernel's test decides; the margin may be zero, the domain unbounded and the network of any size.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from verifier.engines.row_bounds import NO_REFUTATIONS
from verifier.kernel.branches import Branches
from verifier.kernel.certificate import Block, ExactLeaf, StatedBounds
from verifier.kernel.checker import refutes_exactly
from verifier.kernel.query import Query


def prove_at_once(query: Query) -> Block | None:
    """A block whose leaves, one for each disjunct, have one multiplier each; None when there is none."""
    root = Branches.root(query)
    leaves: list[ExactLeaf] = []
    for d, disjunct in enumerate(query.disjuncts):
        units = (tuple(Fraction(i == r) for i in range(len(disjunct))) for r in range(len(disjunct)))
        tried = (ExactLeaf(0, d, rows, ()) for rows in units)
        leaf = next((leaf for leaf in tried if refutes_exactly(query, root, leaf)), None)
        if leaf is None:
            return None
        leaves.append(leaf)
    nothing, empty = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    stated = [np.zeros(len(root.undecided(layer)[0]), dtype=bool) for layer in range(len(root.lower))]
    return Block(1, tuple(StatedBounds(none, none, empty, empty) for none in stated), NO_REFUTATIONS, tuple(leaves),
                 nothing.astype(bool), nothing, nothing.astype(float))
