"""Where compiled code is kept when neither the package nor the home can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "verifier"
SCRIPT = """
import numba
import numpy as np
from verifier.geometry import cells_compiled
from verifier.geometry.just_in_time import Forms
from verifier.kernel.bounds import _relax_compiled
one, square = np.ones(1), np.ones((1, 1))
zero, d = np.zeros(1, dtype=np.int64), np.zeros((1, 1))
_relax_compiled()(square, zero, square, square, one, square, zero, square, zero, one, one, d, one, one)
run = Forms(cells_compiled, patience=0).compiled(cells_compiled.run)
print(d[0, 0], run.stats.cache_path, numba.config.CACHE_DIR or "unchanged", sep="\\n")
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy in which no cache can be written, not even by root: where its folders would be are files."""
    copy = tmp_path / "installed"
    shutil.copytree(PACKAGE, copy / "verifier", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("kernel", "geometry"):
        (copy / "verifier" / folder / "__pycache__").touch()
    return copy


def said(package: Path, temporary: Path) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/dev/null",
                    "XDG_CACHE_HOME": "/dev/null/cache", "TMPDIR": str(temporary)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=package, env=environment, capture_output=True, text=True,
                          check=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_cache_is_in_a_temporary_folder_of_ones_own(package: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    slope, cache, config = said(package, temporary)
    assert (float(slope), config) == (1, "unchanged")
    folder = temporary / f"relu-verifier-{os.getuid()}"
    assert Path(cache).parent == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_is_not_used(package: Path, tmp_path: Path) -> None:
    """What a cache holds is executed."""
    temporary = tmp_path / "temporary"
    folder = temporary / f"relu-verifier-{os.getuid()}"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert said(package, temporary) == ["1.0", "None", "unchanged"]
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    assert said(package, temporary) == ["1.0", "None", "unchanged"]
    assert list(elsewhere.iterdir()) == []
