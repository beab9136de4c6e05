"""Do the engines agree?  ``python -m benchmarks.engines FOLDER [--properties NAME ...] [--seconds S] [--brute N]``

Every instance of a family is decided by cells (engine *propagate*) and by branch and bound; where there are at most N
cells and ``--brute`` is given, also by ``tests.reference.decide``, which shares nothing with either.  An instance on
which the cells take more than S CPU seconds is left out; the operating system counts them, in a process of its own, so
that other work on the machine changes nothing.  Certificates are checked by the kernel in both cases.  Prints
disagreements, each undecided instance, and totals; the exit code is 1 when there was a disagreement, with
``expected.csv`` too if there is one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections import Counter
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

from tests.reference import decide
from verifier.api import verify
from verifier.engines import lp_walk
from verifier.engines.propagate import count_cells
from verifier.formats.onnx import LoadedNetwork, read_network
from verifier.formats.vnnlib import Property, read_property
from verifier.geometry import traversal
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.properties.safety import Outcome
from verifier.results import WORD_OF, read_expected
from verifier.suite import Instance, read_instances

WORDS = {word: verdict for verdict, word in WORD_OF.items()}


@cache
def load_walks() -> None:
    """Load the compiled walks, which may have to be compiled first: that is no instance's time."""
    before = [forms.patience for forms in (traversal.FORMS, lp_walk.FORMS)]
    traversal.FORMS.patience = lp_walk.FORMS.patience = 0
    absolute = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])
    for representation in ("vertices", "lp"):
        count_cells(absolute, Box.from_bounds([-1], [1]), representation=representation)
    traversal.FORMS.patience, lp_walk.FORMS.patience = before


def by_cells(instance: Instance, seconds: int, answer: Connection) -> None:
    """Send what propagation says, and its CPU seconds; the process ends without an answer after that many."""
    network, prop = read(instance)
    start = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(start + seconds), resource.RLIM_INFINITY))
    answer.send((verify(network, prop, engine="propagate").outcome.value, time.process_time() - start))


def read(instance: Instance) -> tuple[LoadedNetwork, Property]:
    """The files of an instance."""
    return read_network(instance.folder / instance.network), read_property(instance.folder / instance.property)


def verdicts(instance: Instance, seconds: int, brute: int) -> tuple[dict[str, str], dict[str, float]]:
    """What each engine says of an instance, and its CPU seconds; propagation alone when it did not finish."""
    load_walks()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=by_cells, args=(instance, seconds, sender))
    child.start()
    sender.close()
    try:
        word, used = receiver.recv()
    except EOFError:
        word, used = Outcome.UNKNOWN.value, float(seconds)
    child.join()
    said, spent = {"propagate": word}, {"propagate": used}
    if word == Outcome.UNKNOWN.value:
        return said, spent
    network, prop = read(instance)
    start = time.process_time()
    said["branch"] = verify(network, prop, engine="branch").outcome.value
    spent["branch"] = time.process_time() - start
    queries = prop.queries(network.network)
    if brute and sum(count_cells(query.network, query.domain) for query in queries) <= brute:
        start = time.process_time()
        said["brute force"] = "holds" if all(decide(query) is None for query in queries) else "violated"
        spent["brute force"] = time.process_time() - start
    return said, spent


def main() -> int:
    """Compare and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("--properties", nargs="*", default=[], help="only instances whose property file is so named")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--brute", type=int, default=0)
    parser.add_argument("--skip", type=int, default=0, help="leave out the first instances")
    parser.add_argument("--every", type=int, default=1, help="take every n-th instance only")
    options = parser.parse_args()
    instances = [i for i in read_instances(options.family, None)
                 if not options.properties or Path(i.property).name.split(".")[0] in options.properties]
    instances = instances[options.skip::options.every]
    table = options.family / "expected.csv"
    expected = read_expected(table) if table.exists() else {}
    totals: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for instance in instances:
        said, spent = verdicts(instance, options.seconds, options.brute)
        name = f"{Path(instance.network).name} {Path(instance.property).name}"
        seconds.update(spent)
        if Outcome.UNKNOWN.value in said.values():
            print(f"undecided: {name}: {said}", flush=True)
            totals["undecided"] += 1
            continue
        totals.update(dict.fromkeys(said, 1))
        totals["violated"] += said["branch"] == "violated"
        known = expected.get((Path(instance.network).name, Path(instance.property).name))
        words = {*said.values(), *([WORDS[known]] if known in WORDS else [])}
        if len(words) > 1:
            print(f"DISAGREEMENT: {name}: {said}, expected {known}", flush=True)
            totals["disagreements"] += 1
    print(f"{len(instances)} instances, {totals['undecided']} left out, "
          f"{totals['violated']} violated; "
          + "; ".join(f"{engine}: {totals[engine]} in {seconds[engine]:.1f} CPU s" for engine in
                      ("propagate", "branch", "brute force") if totals[engine])
          + f"; {totals['disagreements']} disagreements")
    return int(totals["disagreements"] > 0)


if __name__ == "__main__":
    sys.exit(main())
