"""The layers of the house, as the import statements have them.

``kernel`` <- ``formats``, ``properties``; ``kernel`` <- ``solvers`` <- ``geometry`` <- ``engines``; all of these <-
``certificates`` <- ``api``, ``sets``, ``preimages`` and ``counting``; everything <- the front (command line, suites,
reports).  One third-party solver a file.  The kernel is what must be trusted, so it is small, and it opens no files,
starts no processes and knows no solver.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "verifier").rglob("*.py"))
KERNEL = [path for path in SOURCES if path.parent.name == "kernel"]

CORE = {"kernel", "properties", "formats", "solvers", "geometry", "engines"}
MAY_IMPORT = {
    "kernel": {"kernel"},
    "properties": {"kernel", "properties"},
    "formats": {"kernel", "formats"},
    "solvers": {"kernel", "solvers"},
    "geometry": {"kernel", "solvers", "geometry"},
    "engines": {"kernel", "solvers", "geometry", "engines"},
    "headers": {"kernel", "formats", "verifier"},
    "certificates": CORE | {"headers", "time_limits"},
    "radius_certificates": CORE | {"headers"},
    "time_limits": set[str](),
    "api": CORE | {"certificates", "headers", "radius_certificates", "time_limits", "verifier"},
    "sets": CORE | {"certificates", "time_limits", "verifier"},
    "preimages": CORE | {"time_limits", "verifier", "sets"},
    "counting": CORE | {"certificates", "time_limits", "verifier"},
    "radius": CORE | {"radius_certificates", "time_limits"},
}
"""Layers by what they may import of ours; ``verifier`` is the package itself, that is its version.  All that is not
listed is the front, which may import everything."""

THIRD_PARTY = {
    "kernel": {"numpy", "flint"},
    "properties": set[str](),
    "formats": {"numpy", "onnx", "google"},  # onnx is written in Google's protocol buffers
    "solvers": {"numpy", "flint"},
    "geometry": {"numpy", "flint"},
    "engines": {"numpy", "flint"},
    "headers": set[str](),
    "certificates": set[str](),
    "radius_certificates": set[str](),
    "time_limits": set[str](),
    "api": set[str](),
    "sets": set[str](),
    "preimages": set[str](),
    "counting": set[str](),
    "radius": set[str](),
    "verifier": set[str](),
    "front": set[str](),
}
HOME = {
    "numba": ("kernel/compiled.py", "geometry/just_in_time.py"),
    "onnxruntime": "formats/replay.py",
    "highspy": "solvers/highs.py",
    "cdd": "solvers/cdd.py",
    "pulp": "solvers/pulp.py",
    "matplotlib": "plot.py",
    "click": ("cli.py", "cli_model.py", "cli_radius.py", "cli_regions.py", "cli_sets.py", "console.py"),
    "rich": "progress.py",
}
"""The only file that may import a library."""

KERNEL_STANDARD = {"__future__", "collections", "dataclasses", "fractions", "functools", "hashlib", "itertools", "json",
                   "math", "operator", "struct", "sys", "typing", "zlib"}
"""What the kernel uses of the standard library: nothing here reaches a file, a process or the network."""

KERNEL_BUILTINS_REFUSED = {"open", "exec", "eval", "compile", "__import__", "input", "breakpoint", "print"}


@dataclass(frozen=True)
class Import:
    """One imported module, and whether the statement runs when the importing module is loaded."""

    module: str
    at_load: bool


def imports(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text())
    inside = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
              for inner in ast.walk(node)}
    for node in ast.walk(tree):
        at_load = id(node) not in inside
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(name.name, at_load)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            assert node.module is not None
            for name in node.names:
                yield Import(f"{node.module}.{name.name}" if is_module(f"{node.module}.{name.name}") else node.module,
                             at_load)


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def layer(module: str) -> str:
    parts = module.split(".")
    if len(parts) == 1:
        return "verifier"
    return parts[1] if parts[1] in MAY_IMPORT else "front"


def layer_of(path: Path) -> str:
    relative = path.relative_to(ROOT / "verifier")
    if relative == Path("__init__.py"):
        return "front"  # it re-exports, which its users see as the package itself
    return layer(".".join(("verifier", *relative.with_suffix("").parts)))


def short(path: Path) -> str:
    return path.relative_to(ROOT / "verifier").as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_a_layer_imports_only_those_below(path: Path) -> None:
    allowed = MAY_IMPORT.get(layer_of(path))
    wrong = [i.module for i in imports(path) if i.module.split(".")[0] == "verifier"
             and allowed is not None and layer(i.module) not in allowed]
    assert wrong == [], f"{layer_of(path)} may import {sorted(allowed or ())}"


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_a_library_has_one_home(path: Path) -> None:
    for item in imports(path):
        name = item.module.split(".")[0]
        if name == "verifier" or name in sys.stdlib_module_names:
            continue
        if name in HOME:
            homes = HOME[name] if isinstance(HOME[name], tuple) else (HOME[name],)
            assert short(path) in homes, f"{name} belongs in {' or '.join(homes)}"
        else:
            assert name in THIRD_PARTY[layer_of(path)], f"{name} is not for {layer_of(path)}"


@pytest.mark.parametrize("path", KERNEL, ids=short)
def test_the_kernel_reaches_nothing_outside(path: Path) -> None:
    used = {i.module.split(".")[0] for i in imports(path)}
    assert used & set(sys.stdlib_module_names) <= KERNEL_STANDARD
    called = {node.func.id for node in ast.walk(ast.parse(path.read_text()))
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called & KERNEL_BUILTINS_REFUSED == set()
    numpy_files = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
                   and node.attr in {"load", "save", "savez", "fromfile", "tofile", "memmap", "loadtxt", "genfromtxt"}}
    assert numpy_files == set()


def test_the_compiled_loop_is_loaded_late() -> None:
    loads = {short(path): i.at_load for path in SOURCES for i in imports(path)
             if i.module == "verifier.kernel.compiled"}
    assert "kernel/bounds.py" in loads
    assert not any(loads.values())


def code_lines(path: Path) -> int:
    """Lines that hold code: no blank ones, comments or docstrings."""
    source = path.read_text()
    text = {token.start[0] + k for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type not in {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
                                  tokenize.ENDMARKER}
            for k in range(token.end[0] - token.start[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):  # a docstring, or one after an assignment
                assert node.end_lineno is not None
                text -= set(range(node.lineno, node.end_lineno + 1))
    return len(text)


PARTITION = {"cell_maps.py", "domain.py", "partition.py"}
"""The kernel's files that no safety verdict rests on."""


def test_the_kernel_is_small() -> None:
    """A safety verdict rests on fewer than 1,500 lines, a count or a set on fewer than 400 more."""
    sizes = {path.name: code_lines(path) for path in KERNEL}
    safety = {name: size for name, size in sizes.items() if name not in PARTITION}
    assert sum(safety.values()) < 1500, sizes
    assert sum(sizes.values()) - sum(safety.values()) < 400, sizes
    for path in KERNEL:
        if path.name not in PARTITION:
            assert not {i.module.split(".")[-1] + ".py" for i in imports(path)} & PARTITION


def test_code_lines(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text('"""Head\n\nmore"""\n\n# why\nx = 1  # how\n"""About x."""\ndef f():\n    """Doc."""\n'
                    '    return """two\nlines"""\n')
    assert code_lines(path) == 4


def test_files_hold_one_idea() -> None:
    lengths = {short(path): len(path.read_text().splitlines()) for path in SOURCES}
    # numba's cache sees changes of the entry point's file only, so the compiled walk stays in one
    one_idea = {"geometry/cells_compiled.py", "geometry/programs_compiled.py"}
    assert {name: length for name, length in lengths.items() if length > 400 and name not in one_idea} == {}


@pytest.mark.parametrize(("module", "absent"), [
    ("verifier", ["numpy", "onnx", "numba", "onnxruntime", "click"]),
    ("verifier.cli", ["numpy", "onnx", "numba", "onnxruntime", "pulp", "highspy", "cdd", "flint"]),
    ("verifier.api", ["numba", "onnxruntime", "pulp", "matplotlib", "click", "rich"]),
    ("verifier.preimages", ["numba", "onnxruntime", "pulp", "matplotlib", "click", "rich"]),
    ("verifier.counting", ["numba", "onnxruntime", "pulp", "matplotlib", "click", "rich"]),
    ("verifier.sets", ["numba", "onnxruntime", "pulp", "matplotlib", "click", "rich"]),
    ("verifier.engines.region_walk", ["numba", "onnx", "onnxruntime", "pulp", "matplotlib", "click", "rich"]),
])
def test_what_costs_much_is_loaded_late(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print(*sorted(set({absent!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                          timeout=60)
    assert done.stdout.split() == []
