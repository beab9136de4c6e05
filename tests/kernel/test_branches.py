import numpy as np
import pytest

from tests.proofs import proved_queries
from verifier.kernel.branches import Branches, Stack, split
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix


def root():
    """Two inputs; a linear unit (number 0) and two ReLUs (1, 2); one output (3)."""
    weight = Matrix.from_rationals([[1, 0], [0, 1], [1, 1]])
    first = Layer(weight, Matrix.column([0, 0, 0]), Matrix.column([1, 0, 0]))
    network = Network((first, Layer.affine(Matrix.from_rationals([[1, 1, 1]]), Matrix.column([0]))))
    return Branches.root(Query(network, Box.from_bounds([-1, 0], [1, 2]), ((), ())))


def cut(branches, on_input, index, point):
    return split(branches, np.array(on_input), np.array(index), np.array(point, dtype=float))


def test_the_root_knows_nothing_of_the_units():
    branches = root()
    assert branches.lo.tolist() == [[-1, 0]]
    assert branches.hi.tolist() == [[1, 2]]
    assert branches.lower[0].tolist() == [[0, -np.inf, -np.inf]]
    assert branches.upper[0].tolist() == [[0, np.inf, np.inf]]
    assert branches.open.tolist() == [[True, True]]
    assert [a.tolist() for a in branches.undecided(0)] == [[0, 0], [1, 2]]
    assert [a.tolist() for a in branches.undecided(1)] == [[], []]


def test_split_of_an_input_and_of_a_unit():
    both = Branches.concatenate([root(), root()])
    children = cut(both, [True, False], [1, 2], [0.5, 99])
    assert len(children) == 4
    assert children.lo.tolist() == [[-1, 0], [-1, 0], [-1, 0.5], [-1, 0]]
    assert children.hi.tolist() == [[1, 0.5], [1, 2], [1, 2], [1, 2]]
    assert children.upper[0][:, 2].tolist() == [np.inf, 0, np.inf, np.inf]
    assert children.lower[0][:, 2].tolist() == [-np.inf, -np.inf, -np.inf, 0]


def test_split_keeps_what_is_tighter():
    branches = root()
    branches.lower[0][0, 1], branches.upper[0][0, 1] = 3.0, 4.0
    children = cut(branches, [False], [1], [0])
    assert children.lower[0][:, 1].tolist() == [3, 3]
    assert children.upper[0][:, 1].tolist() == [0, 4]


@pytest.mark.parametrize(("on_input", "index", "point"), [
    (True, 2, 0.5), (True, -1, 0.5), (True, 2**32, 0.5), (False, 4, 0), (False, -1, 0), (False, 2**32, 0),
    (True, 0, 1.5), (True, 0, -1.5), (True, 0, np.nan), (True, 0, np.inf), (True, 0, -np.inf)])
def test_what_does_not_fit_is_refused(on_input, index, point):
    with pytest.raises(ValueError, match="split"):
        cut(root(), [on_input], [index], [point])


def test_children_cover_their_parent():
    """Both ends and the cut itself are in a child; a unit without a phase may be cut without effect."""
    for index, point in ((0, -1), (0, 1), (1, 0.3)):
        children = cut(root(), [True], [index], [point])
        assert children.lo[0].tolist() == root().lo[0].tolist()
        assert children.hi[1].tolist() == root().hi[0].tolist()
        assert children.hi[0, index] == children.lo[1, index] == point
    children = cut(root(), [False], [0], [0])
    assert children.lower[0][:, 0].tolist() == children.upper[0][:, 0].tolist() == [0, 0]


def test_children_share_no_memory_with_their_parent():
    branches = root()
    children = cut(branches, [True], [0], [0])
    for array in (children.lo, children.hi, *children.lower, *children.upper, children.open):
        array[:] = 7
    assert branches.lo.tolist() == [[-1, 0]]
    assert branches.open.all()


def numbered(*numbers):
    parts = []
    for number in numbers:
        branches = root()
        branches.lo[0, 0] = number
        parts.append(branches)
    return Branches.concatenate(parts)


def numbers(branches):
    return branches.lo[:, 0].tolist()


@pytest.mark.parametrize("cuts", [[(1, 2, 3, 4, 5)], [(1,), (2,), (3,), (4,), (5,)], [(1, 2), (3, 4, 5)]])
def test_a_stack_does_not_see_how_it_was_filled(cuts):
    stack = Stack()
    for part in cuts:
        stack.push(numbered(*part))
    assert len(stack) == 5
    assert numbers(stack.pop(2)) == [4, 5]
    stack.push(numbered(6))
    assert numbers(stack.pop(3)) == [2, 3, 6]
    assert numbers(stack.pop(9)) == [1]
    assert len(stack) == 0
    with pytest.raises(IndexError):
        stack.pop(1)


def test_empty_parts_are_no_parts():
    stack = Stack([numbered(1).take(slice(0, 0))])
    stack.push(numbered(1).take(slice(0, 0)))
    assert len(stack) == 0
    assert stack.parts == []


def test_proofs_split_both_inputs_and_units():
    """What the mutation tests rely on."""
    kinds = {bool(v) for _, blocks in proved_queries(0, 12) for block in blocks for v in block.on_input}
    assert kinds == {True, False}
