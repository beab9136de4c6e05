"""From symbolic tensors to the chain of layers.

Theory.  The blocks that the output reads, directly or not, have depths 1 to L.  Layer d computes every block of depth
d, all its units, and carries each earlier value that something deeper still reads as a linear unit.  One affine layer
for the output follows, unless the output is layer L itself, unit for unit.  A block nobody reads is no part of the
network; a unit that is computed but not read stays, since it has a phase and so takes part in counts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from verifier.formats import exact_arrays as exact
from verifier.formats.affine import Affine, Block, Monomial, Term, columns_read, require_elements
from verifier.formats.exact_arrays import Array, IntArray, is_rational
from verifier.kernel.network import Layer, Network
from verifier.kernel.rational import Matrix

State = dict[Block, IntArray]  # where a layer keeps each unit of a block; -1 where it does not


def chain(source: Block, output: Affine) -> Network:
    """The canonical network of ``output`` as a function of the graph's input ``source``.

    Raises InputError when a layer's matrix is larger than supported.
    """
    output = output.narrowed()
    blocks = _blocks(source, output)
    depth = max(block.depth for block in blocks)
    levels: list[list[Block]] = [[] for _ in range(depth + 1)]
    for block in blocks:
        levels[block.depth].append(block)
    last = _last_reads(blocks, output, depth + 1)
    layers: list[Layer] = []
    state: State = {source: np.arange(source.size)}
    for level in range(1, depth + 1):
        own = levels[level]
        carried = [(block, np.flatnonzero((last[block] > level) & (state[block] >= 0))) for block in state]
        width = sum(int((kept >= 0).sum()) for kept in state.values())
        parts: list[tuple[Mapping[Block, Term], Array, Array]] = [
            (block.pre.terms, block.pre.constant, block.slope) for block in own if block.pre is not None]
        parts += [({block: Monomial(kept, np.ones(len(kept)))}, np.zeros(len(kept)), np.ones(len(kept)))
                  for block, kept in carried if len(kept)]
        layers.append(_layer([(terms, constant) for terms, constant, _ in parts], state, width,
                             np.concatenate([slope for _, _, slope in parts])))
        state, offset = {}, 0
        for block in own:
            state[block] = offset + np.arange(block.size)
            offset += block.size
        for block, kept in carried:
            if len(kept):
                state[block] = np.full(block.size, -1)
                state[block][kept] = offset + np.arange(len(kept))
                offset += len(kept)
    width = sum(int((kept >= 0).sum()) for kept in state.values())
    if not layers or not _is_state(output, state, width):
        layers.append(_layer([(output.terms, output.constant)], state, width, np.ones(output.size)))
    return Network(tuple(layers))


def _blocks(source: Block, output: Affine) -> list[Block]:
    """The input and all blocks the output rests on, each after those it reads, in an order the graph determines."""
    order: dict[Block, None] = {source: None}
    stack = list(output.terms)[::-1]
    while stack:
        block = stack[-1]
        unseen = [] if block.pre is None else [read for read in block.pre.terms if read not in order]
        if unseen:
            stack += unseen[::-1]
        else:
            order.setdefault(stack.pop())
    return list(order)


def _last_reads(blocks: list[Block], output: Affine, end: int) -> dict[Block, IntArray]:
    """For each unit of each block the greatest layer number that reads it (its own when none does)."""
    last = {block: np.full(block.size, block.depth) for block in blocks}
    readers = [(block.depth, block.pre) for block in blocks if block.pre is not None] + [(end, output)]
    for level, tensor in readers:
        for block, term in tensor.terms.items():
            columns = columns_read(term)
            last[block][columns] = np.maximum(last[block][columns], level)
    return last


def _layer(parts: list[tuple[Mapping[Block, Term], Array]], state: State, width: int, slope: Array) -> Layer:
    """The layer whose rows are the parts in turn, each an affine map of blocks of which ``state`` has what is read."""
    rows = len(slope)
    require_elements(rows * width, f"a layer with a {rows} x {width} matrix")
    scales = [term.scale if isinstance(term, Monomial) else term for terms, _ in parts for term in terms.values()]
    weight = np.zeros((rows, width), dtype=object if any(is_rational(scale) for scale in scales) else np.float64)
    start = 0
    for terms, constant in parts:
        view = weight[start:start + len(constant)]
        start += len(constant)
        for block, term in terms.items():
            position = state.get(block, np.full(block.size, -1))
            if isinstance(term, Monomial):
                row = np.flatnonzero(term.scale != 0)
                view[row, position[term.index[row]]] = term.scale[row]
            else:
                view[:, position[position >= 0]] = term[:, position >= 0]
    bias = np.concatenate([constant for _, constant in parts])
    return Layer(exact.matrix(weight), _column(bias), _column(slope))


def _column(values: Array) -> Matrix:
    return exact.matrix(values.reshape(-1, 1))


def _is_state(output: Affine, state: State, width: int) -> bool:
    """Whether the output is the last layer, unit for unit (weights that happen to be 0 and 1 do not count)."""
    if output.constant.any() or output.size != width:
        return False
    expected = np.arange(width)
    found = np.zeros(width, dtype=bool)
    for block, term in output.terms.items():
        if not isinstance(term, Monomial):
            return False
        read = term.scale != 0
        if (found & read).any() or (term.scale[read] != 1).any():
            return False
        if not np.array_equal(state[block][term.index[read]], expected[read]):
            return False
        found |= read
    return bool(found.all())
