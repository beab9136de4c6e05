"""Affine maps of generators and of constraints, as integer matrices.

A map ``x -> W x + b`` is the matrix ``((1, 0), (b, W))`` on vectors ``(t, v)``, up to a positive factor.  It carries
generators forward, ``g -> M g``, and constraints back, ``c -> c M``; neither direction needs the other description.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from verifier.geometry.homogeneous import Constraints, Generators, Vector, distinct, primitive, side, unsigned
from verifier.kernel.rational import Matrix


def affine(weight: Matrix, bias: Matrix, inputs: int, outputs: int) -> list[Vector]:
    """The rows of an integer multiple of ``((1, 0), (b, W))``.  Raises ValueError when a shape does not fit."""
    if weight.shape != (outputs, inputs) or bias.shape != (outputs, 1):
        raise ValueError(f"a map from R^{inputs} to R^{outputs} needs a weight of shape {(outputs, inputs)} and a bias "
                         f"of shape {(outputs, 1)}, received {weight.shape} and {bias.shape}")
    linear, d = weight.integers()
    constant, e = bias.integers()
    return [(d * e, *(0,) * inputs),
            *((int(c) * d, *(int(v) * e for v in row))
              for (c,), row in zip(constant.tolist(), linear.tolist(), strict=True))]


def selection(coordinates: Sequence[int], dimension: int) -> list[Vector]:
    """The rows of ``x -> (x_j for j in coordinates)``.  Raises ValueError for a coordinate that does not exist."""
    if any(not 0 <= j < dimension for j in coordinates):
        raise ValueError(f"coordinates run from 0 to {dimension - 1}, received {list(coordinates)}")
    return [tuple(int(i == k) for i in range(dimension + 1)) for k in (0, *(j + 1 for j in coordinates))]


def forward(rows: Sequence[Vector], generators: Generators) -> Generators:
    """The generators (not minimal) of the image."""
    def image(vectors: Iterable[Vector]) -> Iterator[Vector]:
        return (primitive([side(row, v) for row in rows]) for v in vectors)

    return Generators(distinct(image(generators.vertices)), distinct(r for r in image(generators.rays) if any(r)),
                      distinct(unsigned(r) for r in image(generators.lines) if any(r)))


def pulled_back(rows: Sequence[Vector], form: Sequence[int]) -> Vector:
    """The form before the map: its value at a vector is that of ``form`` at the vector's image."""
    return tuple(side(form, column) for column in zip(*rows, strict=True))


def backward(rows: Sequence[Vector], constraints: Constraints) -> Constraints:
    """The constraints (not minimal) of the preimage."""
    def pulled(forms: Iterable[Vector]) -> tuple[Vector, ...]:
        return tuple(primitive(pulled_back(rows, form)) for form in forms)

    return Constraints(pulled(constraints.inequalities), pulled(constraints.equations))
