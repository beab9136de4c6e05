"""Mutants of proofs: every field of every block changed, blocks moved about, bytes flipped; checksums always right.

A mutant is a list of *encoded* blocks, so that a mutant may also be malformed.  Each mutator draws from a
``random.Random`` and returns None where it has nothing to change.  ``MUTATORS`` names them all; ``mutant`` applies
one, or several in turn.  ``false_claims`` makes claims that are similar to a true one and false.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from tests.reference import decide
from verifier.kernel.certificate import Block, ExactLeaf, Refutations, StatedBounds
from verifier.kernel.query import Query

Mutator = Callable[[random.Random, list[Block]], list[Block] | None]
MUTATORS: dict[str, Mutator] = {}


def _mutator(function: Mutator) -> Mutator:
    MUTATORS[function.__name__.strip("_")] = function
    return function


def _in_block(change: Callable[[random.Random, Block], Block | None]) -> Mutator:
    """A mutator of a list of blocks from one of a single block: the first block, in random order, that it changes."""

    def mutate(rng: random.Random, blocks: list[Block]) -> list[Block] | None:
        for at in rng.sample(range(len(blocks)), len(blocks)):
            changed = change(rng, blocks[at])
            if changed is not None:
                return [*blocks[:at], changed, *blocks[at + 1:]]
        return None

    mutate.__name__ = change.__name__
    return _mutator(mutate)


# --- the list of blocks ----------------------------------------------------------------------------------------------


@_mutator
def _drop_block(rng: random.Random, blocks: list[Block]) -> list[Block] | None:
    at = rng.randrange(len(blocks))
    return [*blocks[:at], *blocks[at + 1:]]


@_mutator
def _drop_tail(rng: random.Random, blocks: list[Block]) -> list[Block] | None:
    return blocks[:rng.randrange(len(blocks))]


@_mutator
def _double_block(rng: random.Random, blocks: list[Block]) -> list[Block] | None:
    at = rng.randrange(len(blocks))
    return [*blocks[:at], blocks[at], *blocks[at:]]


@_mutator
def _swap_blocks(rng: random.Random, blocks: list[Block]) -> list[Block] | None:
    if len(blocks) < 2:
        return None
    first, second = rng.sample(range(len(blocks)), 2)
    result = list(blocks)
    result[first], result[second] = result[second], result[first]
    return result


@_mutator
def _stray_block(rng: random.Random, blocks: list[Block]) -> list[Block] | None:
    """A block that closes one branch without a reason, at the end or anywhere."""
    empty = np.zeros(0)
    none = empty.astype(bool)
    layers = tuple(StatedBounds(none, none, empty.astype(np.float32), empty.astype(np.float32))
                   for _ in blocks[0].stated)
    stray = Block(1, layers, Refutations(empty.astype(np.int64), empty.astype(np.int64), empty.astype(np.uint8)), (),
                  none, empty.astype(np.int64), empty)
    at = rng.choice((len(blocks), rng.randrange(len(blocks) + 1)))
    return [*blocks[:at], stray, *blocks[at:]]


# --- one field of one block ------------------------------------------------------------------------------------------


@_in_block
def _count(rng: random.Random, block: Block) -> Block | None:
    return replace(block, count=rng.choice((block.count + 1, max(0, block.count - 1), 0, 2**32 - 1)))


@_in_block
def _layers(rng: random.Random, block: Block) -> Block | None:
    return replace(block, stated=rng.choice((block.stated[1:], block.stated[:-1], block.stated + block.stated[:1],
                                             block.stated[::-1], ())))


@_in_block
def _stated_value(rng: random.Random, block: Block) -> Block | None:
    """A stated bound moved by one step, a little, far, or to no number at all; mostly to the tighter side."""
    return _change_layer(rng, block, lambda s: len(s.lower) + len(s.upper) > 0, lambda s: _move(rng, s))


def _move(rng: random.Random, stated: StatedBounds) -> StatedBounds:
    values, tighter = (stated.lower.copy(), 1) if rng.random() < len(stated.lower) / (
        len(stated.lower) + len(stated.upper)) else (stated.upper.copy(), -1)
    at = rng.randrange(len(values))
    old = values[at]
    with np.errstate(all="ignore"):
        values[at] = rng.choice((np.nextafter(old, np.float32(tighter * np.inf)),
                                 np.nextafter(old, np.float32(-tighter * np.inf)),
                                 old + tighter * np.float32(2.0**-12), old + tighter * np.float32(1), -old,
                                 np.float32(0), old * np.float32(1e30),
                                 *np.array([np.nan, np.inf, -np.inf], dtype=np.float32)))
    return replace(stated, lower=values) if tighter == 1 else replace(stated, upper=values)


@_in_block
def _stated_mask(rng: random.Random, block: Block) -> Block | None:
    def change(stated: StatedBounds) -> StatedBounds:
        name = rng.choice(("lower_stated", "upper_stated"))
        mask = getattr(stated, name).copy()
        match rng.randrange(4):
            case 0:
                mask = mask[:-1]
            case 1:
                mask = np.concatenate([mask, [True]])
            case 2 if len(mask) > 1:
                mask = np.roll(mask, 1)
            case _:
                mask[rng.randrange(len(mask))] ^= True
        return replace(stated, **{name: mask})

    return _change_layer(rng, block, lambda s: len(s.lower_stated) > 0, change)


@_in_block
def _drop_stated(rng: random.Random, block: Block) -> Block | None:
    """One bound fewer, mask and value together: weaker, but consistent."""
    def change(stated: StatedBounds) -> StatedBounds:
        mask = stated.lower_stated.copy()
        gone = rng.randrange(len(stated.lower))
        mask[np.nonzero(mask)[0][gone]] = False
        return replace(stated, lower_stated=mask, lower=np.delete(stated.lower, gone))

    return _change_layer(rng, block, lambda s: len(s.lower) > 0, change)


@_in_block
def _wrong_side(rng: random.Random, block: Block) -> Block | None:
    """Lower bounds become upper ones."""
    return _change_layer(rng, block, lambda s: len(s.lower) + len(s.upper) > 0, lambda s: StatedBounds(
        s.upper_stated, s.lower_stated, s.upper, s.lower))


def _change_layer(rng: random.Random, block: Block, fits: Callable[[StatedBounds], bool],
                  change: Callable[[StatedBounds], StatedBounds]) -> Block | None:
    places = [k for k, s in enumerate(block.stated) if fits(s)]
    if not places:
        return None
    k = rng.choice(places)
    return replace(block, stated=(*block.stated[:k], change(block.stated[k]), *block.stated[k + 1:]))


@_in_block
def _refuted_row(rng: random.Random, block: Block) -> Block | None:
    r = block.refutations
    if not len(r.row):
        return None
    row = r.row.copy()
    row[rng.randrange(len(row))] = rng.choice((0, 1, 2, 2**32 - 1))
    return replace(block, refutations=replace(r, row=row))


@_in_block
def _refuted_branch(rng: random.Random, block: Block) -> Block | None:
    r = block.refutations
    if not len(r.branch):
        return None
    branch = r.branch.copy()
    branch[rng.randrange(len(branch))] = rng.choice((0, rng.randrange(block.count + 1), 2**32 - 1))
    return replace(block, refutations=replace(r, branch=branch))


@_in_block
def _drop_refutation(rng: random.Random, block: Block) -> Block | None:
    r = block.refutations
    if not len(r.branch):
        return None
    at = rng.randrange(len(r.branch))
    each = len(r.slopes) // len(r.branch)
    slopes = rng.choice((r.slopes, np.delete(r.slopes, np.arange(at * each, (at + 1) * each))))
    return replace(block, refutations=Refutations(np.delete(r.branch, at), np.delete(r.row, at), slopes))


@_in_block
def _slope(rng: random.Random, block: Block) -> Block | None:
    slopes = block.refutations.slopes.copy()
    if not len(slopes):
        return None
    match rng.randrange(4):
        case 0:
            slopes = slopes[:-1]
        case 1:
            slopes = np.concatenate([slopes, slopes[:1]])
        case 2:
            slopes[:] = rng.randrange(256)
        case _:
            slopes[rng.randrange(len(slopes))] = rng.choice((0, 64, 128, 129, 255))
    return replace(block, refutations=replace(block.refutations, slopes=slopes))


@_in_block
def _refute_instead_of_split(rng: random.Random, block: Block) -> Block | None:
    """Every branch is claimed to be refuted by some row; nothing is split."""
    undecided = rng.choice((0, 1, 2, 3, len(block.refutations.slopes) // max(1, len(block.refutations.branch))))
    none = np.zeros(0, dtype=np.int64)
    count = min(block.count, 64)
    return replace(block, refutations=Refutations(np.arange(count), np.full(count, rng.choice((0, 0, 1, 2))),
                                                  np.full(undecided * count, 128, dtype=np.uint8)),
                   on_input=none.astype(bool), index=none, point=none.astype(np.float64))


@_in_block
def _leaf(rng: random.Random, block: Block) -> Block | None:
    if not block.exact_leaves:
        return None
    at = rng.randrange(len(block.exact_leaves))
    leaf = block.exact_leaves[at]
    new: tuple[ExactLeaf, ...] = ()
    match rng.randrange(7):
        case 0:
            new = ()
        case 1:
            new = (leaf, leaf)
        case 2:
            new = (replace(leaf, branch=rng.choice((0, leaf.branch + 1, 10**17))),)
        case 3:
            new = (replace(leaf, disjunct=rng.choice((0, leaf.disjunct + 1, 10**17))),)
        case 4:
            new = (replace(leaf, rows=_other_numbers(rng, leaf.rows)),)
        case 5:
            values = _other_numbers(rng, tuple(v for _, v in leaf.units))
            new = (replace(leaf, units=tuple((u, v) for (u, _), v in zip(leaf.units, values, strict=False))),)
        case 6 if leaf.units:
            k = rng.randrange(len(leaf.units))
            unit = rng.choice((0, leaf.units[k][0] + 1, leaf.units[0][0], 10**17))
            new = (replace(leaf, units=(*leaf.units[:k], (unit, leaf.units[k][1]), *leaf.units[k + 1:])),)
    return replace(block, exact_leaves=(*block.exact_leaves[:at], *new, *block.exact_leaves[at + 1:]))


def _other_numbers(rng: random.Random, values: Sequence[Fraction]) -> tuple[Fraction, ...]:
    result = list(values)
    if not result:
        return (Fraction(1),)
    k = rng.randrange(len(result))
    old = result[k]
    change = rng.choice((Fraction(0), -old, old * 2, old / 3, old + Fraction(1, 2**40), old - Fraction(1, 2**40), None,
                         old * 10**30, Fraction(1)))
    if change is None:
        return (*result[:k], *result[k + 1:])
    result[k] = change
    return tuple(result)


@_in_block
def _leaf_instead_of_split(rng: random.Random, block: Block) -> Block | None:
    """Every branch is claimed to be refuted by simple multipliers."""
    none = np.zeros(0, dtype=np.int64)
    width = rng.choice((0, 1, 2, 3))
    rows = tuple(Fraction(rng.choice((0, 1, 1, 5))) for _ in range(width))
    units = rng.choice(((), ((0, Fraction(1)),), ((0, Fraction(1)), (1, Fraction(2)))))
    leaves = tuple(ExactLeaf(b, d, rows, units) for b in range(min(block.count, 8)) for d in range(rng.choice((1, 2))))
    return replace(block, exact_leaves=leaves, on_input=none.astype(bool), index=none, point=none.astype(np.float64))


@_in_block
def _split_index(rng: random.Random, block: Block) -> Block | None:
    if not len(block.index):
        return None
    index = block.index.copy()
    at = rng.randrange(len(index))
    index[at] = rng.choice((0, 1, index[at] + 1, 50, 2**32 - 1))
    return replace(block, index=index)


@_in_block
def _split_kind(rng: random.Random, block: Block) -> Block | None:
    if not len(block.index):
        return None
    on_input = block.on_input.copy()
    on_input[rng.randrange(len(on_input))] ^= True
    return replace(block, on_input=on_input)


@_in_block
def _split_point(rng: random.Random, block: Block) -> Block | None:
    places = np.nonzero(block.on_input)[0]
    if not len(places):
        return None
    point = block.point.copy()
    at = rng.choice(places.tolist())
    old = point[at]
    point[at] = rng.choice((np.nextafter(old, np.inf), old + 1e-3, -old, old + 1e6, -1e300, np.inf, -np.inf, np.nan,
                            0.0))
    return replace(block, point=point)


@_in_block
def _drop_split(rng: random.Random, block: Block) -> Block | None:
    """A branch that is neither refuted nor split."""
    if not len(block.index):
        return None
    at = rng.randrange(len(block.index))
    return replace(block, on_input=np.delete(block.on_input, at), index=np.delete(block.index, at),
                   point=np.delete(block.point, at))


# --- bytes -----------------------------------------------------------------------------------------------------------


def flip(rng: random.Random, data: bytes) -> bytes:
    """A few bytes changed, inserted or removed, or a length field overwritten."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(result)) if result else 0
        match rng.randrange(5):
            case 0 if result:
                result[at] = rng.randrange(256)
            case 1 if result:
                result[at] ^= 1 << rng.randrange(8)
            case 2 if result:
                del result[at]
            case 3:
                result.insert(at, rng.randrange(256))
            case 4 if len(result) >= 4:
                at = rng.randrange(len(result) - 3)
                result[at:at + 4] = struct.pack("<I", rng.choice((0, 1, 2**16, 2**31, 2**32 - 1)))
    return bytes(result)


def mutant(rng: random.Random, blocks: list[Block]) -> tuple[str, list[bytes]]:
    """``(kind, encoded blocks)`` of a random mutant of a proof of at least one block."""
    if rng.random() < 0.1:
        encoded = [block.encode() for block in blocks]
        at = rng.randrange(len(encoded))
        encoded[at] = flip(rng, encoded[at])
        return "bytes", encoded
    while True:
        kinds, changed = [], blocks
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            kind = rng.choice(sorted(MUTATORS))
            new = MUTATORS[kind](rng, changed) if changed else None
            if new is not None:
                kinds.append(kind)
                changed = new
        if kinds:
            return (kinds[0] if len(kinds) == 1 else "several"), [block.encode() for block in changed]


# --- claims ----------------------------------------------------------------------------------------------------------

SHIFTS = (Fraction(1, 2**30), Fraction(1, 2**10), Fraction(1))


def false_claims(query: Query) -> Iterator[Query]:
    """Queries like this one, with thresholds moved outwards or strictness dropped, that do have points."""
    for shift in (Fraction(0), *SHIFTS):
        disjuncts = tuple(tuple(replace(h, offset=h.offset + shift, strict=h.strict and shift > 0) for h in disjunct)
                          for disjunct in query.disjuncts)
        similar = replace(query, disjuncts=disjuncts)
        if similar != query and decide(similar) is not None:
            yield similar
