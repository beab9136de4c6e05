"""A bound of the first layer carries the error of its corner product, in the first block too."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from verifier.kernel.certificate import Block, ExactLeaf, InvalidCertificate, Refutations, StatedBounds
from verifier.kernel.checker import NoPoint, check_no_point
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query


@pytest.mark.parametrize("exact", [False, True])
def test_a_corner_that_rounds_to_zero_proves_nothing(exact: bool) -> None:
    """relu(-(x0 + x1 + x2)) reaches 2^-60 at (-1, -2^-60, 1), where the float sum of the corner is 0."""
    tiny = 2.0**-60
    network = Network.from_arrays([[[1, 1, 1], [-1, -1, -1]], [[0, 1]]], [[0, 0], [0]])
    box = Box.from_bounds([-1, -tiny, 1], [-1, 0, 1])
    zero = Fraction(0)
    query = Query(network, box, ((HalfSpace((zero, zero, zero, Fraction(-1)), Fraction(-1, 2**61)),),))
    assert query.satisfied_disjunct((Fraction(-1), Fraction(-1, 2**60), Fraction(1))) == 0
    nothing, none = np.zeros(0, dtype=bool), np.zeros(0, dtype=np.float32)
    stated = (StatedBounds(np.array([False, False]), np.array([False, True]), none,
                           np.array([2.0**-100], dtype=np.float32)),
              StatedBounds(nothing, nothing, none, none))
    index = np.zeros(0, dtype=np.int64)
    block = Block(1, stated, Refutations(index, index, np.zeros(0, dtype=np.uint8)),
                  (ExactLeaf(0, 0, (Fraction(1),), ()),), nothing, index, np.zeros(0))
    with pytest.raises(InvalidCertificate, match="not provable"):
        check_no_point(NoPoint(query), [block], exact)
