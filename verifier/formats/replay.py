"""Replaying a counterexample in floating point.

Theory.  The verdict speaks of the network as a function over the reals.  What is deployed computes in float32, which is
a different function: a rational counterexample may have no float32 neighbour that violates the property, and rounding
inside the network may move the output across a thin margin.  So each reported counterexample is also run as float32 by
onnxruntime, from the float32 point nearest to it (of those inside the input box, if there are any), and the result is
reported beside the verdict, never instead of it.
A replay that cannot be made says why, and takes nothing away from the proof.

This is the only file that imports onnxruntime, and it does so when the first replay is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import Point

_PRECISIONS: dict[str, type[np.floating[Any]]] = {
    "tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64,
}
WIDELY_READ_IR = 10
_FATAL = 4  # the severity below which onnxruntime is to be silent: its failures arrive as exceptions


@dataclass(frozen=True)
class Replay:
    """A run of the network in its own floating point.

    ``x`` is the input that was actually used and ``y`` the outputs, both as the exact values of their floats; None when
    there was no run or no finite output.  ``precision`` names the type of the input, and ``note`` says in one sentence
    what kept the replay from being made (empty when nothing did).
    """

    x: Point | None
    y: Point | None
    precision: str = ""
    note: str = ""

    def satisfies(self, query: Query, *, outputs_only: bool = False) -> bool:
        """Whether the input used lies in the query's domain and, with the outputs of the run, in one of its disjuncts,
        all taken exactly; with ``outputs_only`` whether the half-spaces of a disjunct that speak of outputs are true.
        False when there is no run."""
        if self.x is None or self.y is None or len(self.y) != query.network.outputs:
            return False
        vector, inputs = self.x + self.y, len(self.x)
        return (outputs_only or query.domain.contains(self.x)) and any(
            all(h.contains(vector) for h in d if not outputs_only or any(h.normal[inputs:])) for d in query.disjuncts)


def replay(model_bytes: bytes, input_name: str, input_shape: Sequence[int | str | None], x: Point,
           box: Box | None = None) -> Replay:
    """Run the model on the floating-point input nearest to ``x``, of those inside ``box`` where it has any.

    ``input_shape`` is the model's; dynamic dimensions (None, a name, or not positive) are taken as 1.  The input has
    the model's own type: float32, for most.  Nothing is raised for a model that cannot be run: the note tells.
    """
    shape = [d if isinstance(d, int) and d > 0 else 1 for d in input_shape]
    if prod(shape) != len(x):
        return Replay(None, None, note=f"not replayed: the model's input of shape {shape} takes {prod(shape)} numbers, "
                                       f"the counterexample has {len(x)}")
    try:
        import onnxruntime  # noqa: PLC0415  loaded only when a counterexample is replayed
    except ImportError as error:
        return Replay(None, None, note=f"not replayed: onnxruntime cannot be imported ({error})")
    try:
        session = _session(onnxruntime, model_bytes)
        types = {i.name: i.type for i in session.get_inputs()}
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        return _failure(error)
    precision = _PRECISIONS.get(types.get(input_name, ""))
    if precision is None:
        found = ", ".join(f"{name} of type {kind}" for name, kind in types.items()) or "none"
        return Replay(None, None, note=f"not replayed: a floating-point input {input_name!r} was required, the model's "
                                       f"inputs are {found}")
    name = precision.__name__
    sides = [(None, None)] * len(x) if box is None else zip(box.lower, box.upper, strict=True)
    used = np.array([float_within(v, precision, *ends) for v, ends in zip(x, sides, strict=True)], dtype=precision)
    if not np.isfinite(used).all():
        return Replay(None, None, name, f"not replayed: an input of the counterexample is too large for {name}")
    point = tuple(Fraction(v.item()) for v in used)
    try:
        outputs = session.run(None, {input_name: used.reshape(shape)})
        if len(outputs) != 1:
            return Replay(point, None, name, f"not replayed: one output was required, the model has {len(outputs)}")
        flat = np.asarray(outputs[0], dtype=np.float64).reshape(-1)
    except Exception as error:
        return Replay(point, None, name, _failure(error).note)
    if not np.isfinite(flat).all():
        return Replay(point, None, name, f"the {name} run gives outputs that are not finite")
    return Replay(point, tuple(Fraction(v.item()) for v in flat), name)


def nearest_float(value: Fraction, precision: type[np.floating[Any]]) -> np.floating[Any]:
    """The number of the given type nearest to ``value``, ties to even; infinite when ``value`` overflows the type.

    Rounding to binary64 first and then to the type would round twice, so the neighbours are compared exactly.
    """
    infinity = precision(np.inf)
    try:
        with np.errstate(all="ignore"):
            guess = precision(float(value))
            neighbours = (guess, np.nextafter(guess, infinity), np.nextafter(guess, -infinity))
    except OverflowError:
        return infinity if value > 0 else -infinity
    if not np.isfinite(guess):
        return guess
    finite = [v for v in neighbours if np.isfinite(v)]
    return min(finite, key=lambda v: (abs(Fraction(v.item()) - value), _is_odd(v)))


def float_within(value: Fraction, precision: type[np.floating[Any]], lower: Fraction | None,
                 upper: Fraction | None) -> np.floating[Any]:
    """The number of the given type in ``[lower, upper]`` nearest to ``value``, which lies there; when there is none
    between these ends (None: no end), the nearest number of all."""
    nearest = nearest_float(value, precision)
    if not np.isfinite(nearest):
        return nearest
    with np.errstate(all="ignore"):
        neighbours = [np.nextafter(nearest, precision(side)) for side in (-np.inf, np.inf)]
    inside = [v for v in (nearest, *neighbours) if np.isfinite(v) and (lower is None or Fraction(v.item()) >= lower)
              and (upper is None or Fraction(v.item()) <= upper)]
    return min(inside, key=lambda v: abs(Fraction(v.item()) - value), default=nearest)


def _is_odd(value: np.floating[Any]) -> bool:
    return bool(int.from_bytes(value.tobytes(), sys.byteorder) & 1)


def _session(onnxruntime: Any, model_bytes: bytes) -> Any:
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    except Exception:
        older = _older(model_bytes)
        if older is None:
            raise
        return onnxruntime.InferenceSession(older, options, providers=["CPUExecutionProvider"])


def _older(model_bytes: bytes) -> bytes | None:
    """The model marked with an IR version that every onnxruntime of our time reads, or None when it has one already.

    The onnx package may be newer than onnxruntime.  What later IR versions add (types, functions' overloads, device
    annotations) is nothing that a network which this tool reads can use, so only the mark changes.
    """
    import onnx  # noqa: PLC0415  replaying is rare

    model = onnx.load_from_string(model_bytes)
    if model.ir_version <= WIDELY_READ_IR:
        return None
    model.ir_version = WIDELY_READ_IR
    return bytes(model.SerializeToString())


def _failure(error: Exception) -> Replay:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return Replay(None, None, note=f"not replayed: onnxruntime failed ({first_line[-300:]})")
