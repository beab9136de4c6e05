"""The two forms of the walks over cells: the same bits, whenever a walk changes from one to the other."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from verifier.engines import lp_walk
from verifier.engines.lp_walk import LpWalk
from verifier.engines.propagate import Propagation, Region
from verifier.engines.region_walk import RegionWalk
from verifier.geometry import traversal
from verifier.geometry.ball import Ball
from verifier.geometry.just_in_time import Forms
from verifier.geometry.traversal import Walk
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import FloatArray, Matrix

ROOT = Path(__file__).parents[2]
NEVER = 10**15


def gaussian(*sizes: int) -> Network:
    rng = np.random.default_rng(sum(sizes))
    weights: list[FloatArray] = [rng.standard_normal((b, a)) for a, b in itertools.pairwise(sizes)]
    return Network.from_arrays(weights, [rng.standard_normal(b) / 2 for b in sizes[1:]])


def integer(*sizes: int) -> Network:
    """In degenerate position: units through common points, repeated ones, zero ones."""
    rng = np.random.default_rng(sum(sizes))
    weights = [rng.integers(-1, 2, (b, a)).astype(np.float64) for a, b in itertools.pairwise(sizes)]
    return Network.from_arrays(weights, [rng.integers(-1, 2, b).astype(np.float64) for b in sizes[1:]])


def enormous() -> Network:
    """Rows that are infinite and NaN in floats, and slopes of every kind."""
    layers = []
    for scale, slopes in ((2**300, (0, 1, -1)), (Fraction(1, 2**400), (Fraction(1, 3), 0, 2)), (2**600, (0, 0, 0))):
        weight = Matrix.from_rationals([[Fraction(scale * (i + 2 * j - 2)) for j in range(3)] for i in range(3)])
        layers.append(Layer(weight, Matrix.column([Fraction(i) for i in range(3)]),
                            Matrix.column([Fraction(s) for s in slopes])))
    return Network(tuple(layers))


NETWORKS = {"1 input": gaussian(1, 10, 10, 5), "wide": gaussian(2, 40, 20, 1), "deep": gaussian(3, 7, 7, 7, 7, 2),
            "4 inputs": gaussian(4, 9, 9, 1), "ties": integer(3, 9, 8, 2), "more ties": integer(4, 7, 6, 1),
            "huge": enormous()}


def programs_over(network: Network, region: Region, domain: str) -> LpWalk:
    """A walk by programs over the region's box, all of space or a Euclidean ball."""
    if domain == "box":
        return LpWalk(Propagation(region, "lp").space, collect=True)
    ball = Ball((Fraction(1, 5),) * network.inputs, Fraction(1), "2")
    given = RegionWalk(network, ball if domain == "ball" else Polytope(Box.whole_space(network.inputs)))
    return LpWalk(given.propagation.space, collect=True, ball=given.euclidean)


def found(network: Network, method: str, patience: int) -> tuple[list[object], list[bytes]]:
    """All that a walk gives, and all arrays that it leaves behind; some exact answers are among the former."""
    n = network.inputs
    region = Region(network, Box.from_bounds([Fraction(-1)] * n, [Fraction(3, 4)] * n))
    given: list[object] = []
    if method != "vertices":
        lp_walk.FORMS.patience = patience
        programs = programs_over(network, region, method)
        while not programs.finished:
            given += [(cell.signs, cell.facets, cell.points) for cell in programs.step()]
        return [*given, programs.work, programs.statistics], [a.tobytes() for a in programs._work]
    traversal.FORMS.patience = patience
    space = Propagation(region, "vertices").space
    walk = Walk(space, collect=True)
    walk.push([space.root()])
    while not walk.finished:
        cells = walk.step()
        if cells is not None:
            given += [a.tobytes() for a in (cells.signs, cells.table, cells.start, cells.x, cells.radius,
                                            cells.incidence)]
    return [*given, walk.work, walk.statistics], [a.tobytes() for a in walk._work]


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """What the tests do to the forms is undone."""
    before = traversal.FORMS.patience, lp_walk.FORMS.patience
    yield
    traversal.FORMS.patience, lp_walk.FORMS.patience = before


@pytest.mark.parametrize("method", ["vertices", "box", "space", "ball"])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_forms_compute_the_same_bits(name: str, method: str) -> None:
    compiled = found(NETWORKS[name], method, 0)
    assert len(compiled[0]) > 2
    assert found(NETWORKS[name], method, NEVER) == compiled
    for patience in (1, 3_000):
        assert found(NETWORKS[name], method, patience) == compiled


def test_small_questions_do_not_load_numba() -> None:
    code = ("import sys\n"
            "from verifier.geometry import just_in_time\n"
            "just_in_time._is_cached = lambda module: False\n"
            "from verifier import Box, reach, read_network\n"
            "network = read_network('models/random_7x7.onnx').network\n"
            "assert reach(network, Box.from_bounds([-1] * 3, [1] * 3)).cells == 483\n"
            "assert 'numba' not in sys.modules")
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True, timeout=60)


def test_what_is_compiled_already_is_loaded_sooner(tmp_path: Path) -> None:
    module = ModuleType("walk")
    module.__file__ = str(tmp_path / "walk.py")
    assert Forms(module, 800).patience == 800
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "walk.run-1.py311.nbi").touch()
    assert Forms(module, 800).patience == 100


TOY = """
from verifier.geometry.just_in_time import entry, inlined

@inlined
def twice(n):
    return 2 * n

@entry
def run(counters, steps, limit):
    while counters[0] < steps:
        if counters[0] > limit:
            return 1
        counters[0] += twice(1)
    return 0
"""


def toy(folder: Path, number: int) -> ModuleType:
    """A walk of its own that counts to ``steps``."""
    (folder / "toy.py").write_text(TOY)
    spec = importlib.util.spec_from_file_location(f"toy_{number}", folder / "toy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_work_is_interpreted_until_patience_is_at_an_end(tmp_path: Path) -> None:
    module = toy(tmp_path, 1)
    forms = Forms(module, patience=100)

    def run(steps: int, limit: int) -> tuple[int, int, int, bool]:
        counters = np.zeros(1, dtype=np.int64)
        stop = forms.run(module.run, counters, 1, limit, counters, steps)
        return stop, int(counters[0]), forms.patience, "_compiled" in vars(forms)

    assert run(40, 1000) == (0, 40, 60, False)   # done, with patience left
    assert run(1000, 20) == (1, 22, 38, False)   # the limit was reached first
    assert run(1000, 500) == (1, 502, -2, True)  # interpreted to 40, then compiled
    assert run(60, 1000) == (0, 60, -2, True)


def test_compiling_is_announced_once_and_reading_the_cache_is_not(tmp_path: Path,
                                                                  caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "verifier.geometry.just_in_time")
    counters = np.zeros(1, dtype=np.int64)
    module = toy(tmp_path, 2)
    forms = Forms(module, patience=0)
    assert forms.run(module.run, counters, 1, 100, counters, 10) == 0
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("compiling the walk over cells")
    caplog.clear()
    assert counters[0] == 10
    again = Forms(module, patience=0)
    assert again.run(module.run, counters, 1, 100, counters, 20) == 0
    assert (counters[0], caplog.messages) == (20, [])
