"""The files in ``models/`` are the ones its README speaks of, and their expected verdicts are right."""

import csv
import hashlib
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import read_property
from verifier.kernel.network import Network
from verifier.kernel.query import Query

MODELS = Path(__file__).parents[2] / "models"
FILES = sorted(p.name for p in MODELS.iterdir() if p.suffix in {".onnx", ".vnnlib"})
EXPECTED = {(row["network"], row["property"]): row["expected"]
            for row in csv.DictReader((MODELS / "expected.csv").read_text().splitlines())}

E = Fraction(1, 2**30)
FORMULAS = {
    "absolute.onnx": abs,
    "absolute_above.onnx": lambda x: abs(x) + E,
    "zero.onnx": lambda x: 0,
    "float_trap.onnx": lambda x: min(max(2**24 * x + 1, 0), 1),
    "sliver.onnx": lambda x: min(max(x, 0), E),
}
COUNTEREXAMPLES = {
    "advisory_departing_is_clear": "0.25 0.15 -0.15 0 0",
    "advisory_head_on_any_speed_is_strong": "-0.2 0.02 0.48 -0.5 0.5",
    "advisory_boundary_outside": "-0.3 0.069947 0.48 0 0",
    "controller_force_never_exceeds_limit": "1 1 1 0",
    "controller_falling_is_caught_fully": "-1 -0.5 0.5 0.75",
    "controller_reaches_peak": "0.1 0.1 0.1 0.1",
    "absolute_positive": "0",
    "absolute_above_exceeds_e": "0",
    "zero_negative": "1/3",
    "float_trap_below_one": "19/20",
    "sliver_small": "1/2",
    "random_7x7_tip": "249/256 -249/256 -15/512",
}


def network(name: str) -> Network:
    return read_network(MODELS / name).network


def queries(name: str, property_name: str) -> tuple[Query, ...]:
    return read_property(MODELS / property_name).queries(network(name))


def is_counterexample(name: str, property_name: str, x: tuple[Fraction, ...]) -> bool:
    return any(query.satisfied_disjunct(x) is not None for query in queries(name, property_name))


def breakpoints(net: Network) -> set[Fraction]:
    """Where the units of a network with one input and one hidden layer change phase."""
    hidden = net.layers[0]
    return {-bias / weight for (weight,), (bias,) in zip(hidden.weight.rows(), hidden.bias.rows(), strict=True)}


def test_digests_are_those_of_the_readme():
    stated = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", (MODELS / "README.md").read_text(), re.MULTILINE))
    actual = {hashlib.sha256((MODELS / name).read_bytes()).hexdigest(): name for name in FILES}
    assert stated == actual


def test_instances_name_every_file_and_have_an_expected_verdict():
    rows = list(csv.reader((MODELS / "instances.csv").read_text().splitlines()))
    assert [(row[0], row[1]) for row in rows] == list(EXPECTED)
    assert all(float(row[2]) > 0 for row in rows)
    assert {name for row in rows for name in row[:2]} == set(FILES)
    assert set(EXPECTED.values()) == {"sat", "unsat"}


@pytest.mark.parametrize("name", sorted({net for net, _ in EXPECTED}))
def test_every_network_has_both_verdicts(name):
    assert {verdict for (net, _), verdict in EXPECTED.items() if net == name} == {"sat", "unsat"}


@pytest.mark.parametrize("name", FORMULAS)
def test_hand_made_networks_are_their_formulas(name):
    """Continuous functions that are linear between the same points are equal where they agree at those points."""
    net, formula = network(name), FORMULAS[name]
    for x in breakpoints(net) | {Fraction(v) for v in ("-1", "-1/3", "0", "19/20", "97/101", "1")} | {E}:
        assert net.evaluate((x,)) == (formula(x),)


@pytest.mark.parametrize(("name", "property_name"), [key for key in EXPECTED if key[0] in FORMULAS])
def test_verdicts_of_hand_made_networks(name, property_name):
    """A piecewise-linear function of one input takes its extremes at breakpoints and ends, so these points decide."""
    (query,) = queries(name, property_name)
    lower, upper = query.domain.lower[0], query.domain.upper[0]
    points = {lower, upper} | {p for p in breakpoints(query.network) if lower < p < upper}
    violated = any(query.satisfied_disjunct((p,)) is not None for p in points)
    assert EXPECTED[name, property_name] == ("sat" if violated else "unsat")


@pytest.mark.parametrize(("name", "property_name"), [key for key, verdict in EXPECTED.items() if verdict == "sat"])
def test_violated_properties_have_a_counterexample(name, property_name):
    x = tuple(map(Fraction, COUNTEREXAMPLES[property_name.removesuffix(".vnnlib")].split()))
    assert is_counterexample(name, property_name, x)


@pytest.mark.parametrize(("name", "property_name"), [("absolute.onnx", "absolute_positive.vnnlib"),
                                                     ("absolute_above.onnx", "absolute_above_exceeds_e.vnnlib")])
def test_single_counterexample_is_the_only_one_nearby(name, property_name):
    for x in (Fraction(1, 10**30), Fraction(-1, 10**30)):
        assert not is_counterexample(name, property_name, (x,))


@pytest.mark.parametrize(("script", "others"), [("make_exact.py", ("advisory", "controller", "random")),
                                                ("make_random.py", ("a", "c", "f", "s", "z"))])
def test_hand_made_files_are_regenerated_byte_for_byte(tmp_path, script, others):
    script = subprocess.run([sys.executable, MODELS / script, tmp_path], check=True, capture_output=True, text=True)
    made = sorted(p.name for p in tmp_path.iterdir())
    assert made == [name for name in FILES if not name.startswith(others)]
    for name in made:
        data = (tmp_path / name).read_bytes()
        assert data == (MODELS / name).read_bytes()
        assert f"{hashlib.sha256(data).hexdigest()}  {name}" in script.stdout.splitlines()
