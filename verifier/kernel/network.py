"""The one network form: a chain of layers ``y = act(W x + b)``.

Theory.  Each unit has a negative-side slope ``s``: ``act(z) = z`` for ``z >= 0`` and ``s z`` for ``z < 0``.
``s = 0`` is the ReLU, ``s = 1`` a linear unit (it has no phase), ``s = 1/100`` a leaky ReLU, ``s = -1`` the
absolute value.  Every feedforward piecewise-linear graph can be lowered to such a chain; the function meant is the
one over the real numbers, with the stored weights taken exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt
from flint import fmpz_mat

from verifier.kernel.rational import (
    FloatArray,
    Matrix,
    Point,
    block_diagonal,
    from_integers,
    to_fraction,
    to_integers,
)


@dataclass(frozen=True)
class Layer:
    """``y = act(W x + b)`` with exact ``weight`` (units x inputs), ``bias`` (units x 1) and negative-side ``slope``
    (units x 1).  Raises ValueError when the shapes disagree."""

    weight: Matrix
    bias: Matrix
    slope: Matrix

    def __post_init__(self) -> None:
        units = self.weight.shape[0]
        for name, matrix in (("bias", self.bias), ("slope", self.slope)):
            if matrix.shape != (units, 1):
                raise ValueError(f"a layer of {units} units needs a {name} of shape {(units, 1)}, "
                                 f"received {matrix.shape}")

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.weight.shape[1]

    @property
    def units(self) -> int:
        """Number of units (outputs)."""
        return self.weight.shape[0]

    @cached_property
    def slopes(self) -> FloatArray:
        """The slopes rounded to binary64, shape ``(units,)``."""
        return self.slope.approximate()[:, 0]

    @cached_property
    def has_phase(self) -> npt.NDArray[np.bool_]:
        """Mask of the units whose slope is not exactly 1, shape ``(units,)``."""
        return np.array([row[0] != 1 for row in self.slope.rows()], dtype=bool)

    @classmethod
    def affine(cls, weight: Matrix, bias: Matrix) -> Layer:
        """A layer of linear units."""
        return cls(weight, bias, Matrix.column([1] * weight.shape[0]))

    @classmethod
    def relu(cls, weight: Matrix, bias: Matrix) -> Layer:
        """A layer of ReLU units."""
        return cls(weight, bias, Matrix.zeros(weight.shape[0], 1))

    @classmethod
    def identity(cls, size: int) -> Layer:
        """The identity map as a layer."""
        return cls.affine(Matrix.identity(size), Matrix.zeros(size, 1))


@dataclass(frozen=True)
class Network:
    """A chain of at least one layer.  Raises ValueError when neighbouring layers do not fit."""

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("a network needs at least one layer, received none")
        for index, (first, second) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if first.units != second.inputs:
                raise ValueError(f"layer {index + 1} has {first.units} units "
                                 f"but layer {index + 2} reads {second.inputs}")

    @classmethod
    def from_arrays(cls, weights: Sequence[npt.ArrayLike], biases: Sequence[npt.ArrayLike],
                    slope: Fraction | int = 0) -> Network:
        """A multilayer perceptron: each weight array has shape (units, inputs); all layers but the last have negative
        slope ``slope`` (0: ReLU), the last is affine.  Entries are taken exactly as the floats they are."""
        layers = []
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            matrix = Matrix.from_floats(weight)
            column = Matrix.from_floats(np.asarray(bias).reshape(-1, 1))
            last = index == len(weights) - 1
            layers.append(Layer(matrix, column, Matrix.column([1 if last else slope] * matrix.shape[0])))
        return cls(tuple(layers))

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.layers[-1].units

    @cached_property
    def phases(self) -> int:
        """Number of units that have a phase (slope not 1)."""
        return int(sum(layer.has_phase.sum() for layer in self.layers))

    def pre_activations(self, x: Sequence[Fraction]) -> tuple[Point, ...]:
        """Exact ``W y + b`` of every layer at the input ``x``."""
        if len(x) != self.inputs:
            raise ValueError(f"the network has {self.inputs} inputs, received a point with {len(x)} coordinates")
        result = []
        vector, denominator = to_integers([to_fraction(v) for v in x])
        for layer in self.layers:
            vector, denominator = layer.weight.apply(vector, denominator)
            bias, own = layer.bias.integers()
            vector, denominator = vector * own + bias * denominator, denominator * own
            result.append(from_integers(vector, denominator))
            slopes, own = layer.slope.integers()
            activated = [int(z) * own if z >= 0 else int(z) * int(s)
                         for z, s in zip(vector.entries(), slopes.entries(), strict=True)]
            vector, denominator = fmpz_mat(layer.units, 1, activated), denominator * own
        return tuple(result)

    def evaluate(self, x: Sequence[Fraction]) -> Point:
        """Exact output at the input ``x``."""
        last = self.layers[-1]
        return tuple(z if z >= 0 else s * z for z, (s,) in
                     zip(self.pre_activations(x)[-1], last.slope.rows(), strict=True))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the canonical network: equal exactly when all layers are equal as numbers."""
        state = hashlib.sha256(b"relu network 1\n")
        for layer in self.layers:
            for matrix in (layer.weight, layer.bias, layer.slope):
                state.update(matrix.encode())
        return state.hexdigest()

    def padded(self, depth: int) -> Network:
        """The same function with identity layers appended up to ``depth`` layers."""
        return Network(self.layers + (Layer.identity(self.outputs),) * (depth - len(self.layers)))


def pair(first: Network, second: Network) -> Network:
    """The network ``(x, x') -> (first(x), second(x'))``."""
    depth = max(len(first.layers), len(second.layers))
    return Network(tuple(Layer(*(block_diagonal(a, b) if name == "weight" else _stack(a, b)
                                 for name, a, b in (("weight", p.weight, q.weight), ("bias", p.bias, q.bias),
                                                    ("slope", p.slope, q.slope))))
                         for p, q in zip(first.padded(depth).layers, second.padded(depth).layers, strict=True)))


def compose(outer: Network, inner: Network) -> Network:
    """The network ``x -> outer(inner(x))``, as one longer chain."""
    if inner.outputs != outer.inputs:
        raise ValueError(f"the inner network has {inner.outputs} outputs but the outer one reads {outer.inputs}")
    return Network(inner.layers + outer.layers)


def _stack(first: Matrix, second: Matrix) -> Matrix:
    return Matrix.from_rationals(first.rows() + second.rows(), first.shape[1])
