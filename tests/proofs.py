"""Proofs to play with: what the search says of a query, and certificates as bytes and back."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.strategies import random_query, random_touching
from verifier.engines.branch_and_bound import BranchAndBound, Effort, SearchBatch
from verifier.kernel.branches import Stack
from verifier.kernel.certificate import Block, CertificateReader, CertificateWriter, InvalidCertificate
from verifier.kernel.checker import NoPoint, Theorem, check_no_point
from verifier.kernel.query import Query
from verifier.kernel.rational import Point


class SearchTooLong(Exception):
    """The search took more branches than a small query can need."""


@dataclass(frozen=True)
class Answer:
    """What the search found: a point, or the blocks of a proof that there is none."""

    blocks: list[Block]
    point: Point | None
    effort: Effort


def search(query: Query, batch: int = 8, most: int = 20_000, bisect: bool = False) -> Answer:
    """Run the search to its end; ``bisect`` makes it cut inputs also where it would split units at once.

    Raises SearchTooLong after ``most`` branches.
    """
    engine = BranchAndBound(query)
    if bisect:
        engine.few_units = 1
    engine.bounds.compiled = True
    stack = Stack([SearchBatch.root(query)] if query.disjuncts else [])
    blocks: list[Block] = []
    while len(stack):
        step = engine.expand(stack.pop(batch))
        if step.point is not None:
            return Answer(blocks, step.point, engine.effort)
        assert step.block is not None
        assert step.children is not None
        blocks.append(step.block)
        stack.push(step.children)
        if engine.effort.boxes > most:
            raise SearchTooLong(f"{engine.effort.boxes} branches taken, {len(stack)} open")
    return Answer(blocks, None, engine.effort)


def to_bytes(proofs: Sequence[Iterable[bytes]], header: dict[str, Any] | None = None) -> bytes:
    """A certificate with these proofs, each a list of encoded blocks, and a right checksum."""
    stream = io.BytesIO()
    writer = CertificateWriter(stream, header or {})
    for proof in proofs:
        for block in proof:
            writer.block(zlib.compress(block, 6))
        writer.end_proof()
    writer.close()
    return stream.getvalue()


def check_bytes(query: Query, data: bytes, exact: bool = False) -> Theorem:
    """Read a certificate of one proof and check it.  Raises InvalidCertificate, and nothing else."""
    reader = CertificateReader(io.BytesIO(data))
    theorem = check_no_point(NoPoint(query), reader.proof(), exact)
    reader.end()
    return theorem


def proved_queries(seed: int, count: int) -> Iterator[tuple[Query, list[Block]]]:
    """Small queries without points, degenerate and touching ones among them, and proofs of at least one block."""
    while count:
        rng = random.Random(seed)
        seed += 1
        query = random_touching(rng, rng.random() < 0.5).query if rng.random() < 0.5 else random_query(rng, True)
        try:
            answer = search(query, rng.choice((1, 3, 8)), most=60, bisect=rng.random() < 0.7)
        except SearchTooLong:
            continue
        if answer.point is None and answer.blocks:
            count -= 1
            yield query, answer.blocks


def accepted(query: Query, data: bytes, exact: bool = False) -> bool:
    """Whether the certificate proves that the query has no point."""
    try:
        theorem = check_bytes(query, data, exact)
    except InvalidCertificate:
        return False
    assert theorem.claim == NoPoint(query)
    return True
