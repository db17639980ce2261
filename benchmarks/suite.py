"""Prints the seconds that every file of tests takes, of one run or of several beside each other, the longest first.

    PYTEST_ADDOPTS=--junitxml=after.xml python -m tests
    python benchmarks/suite.py before.xml after.xml

A file is known by its name, wherever it lies. With several processes the sum is that of all: the clock shows less. On
processors that are shared with other work only ratios within one run mean something.
"""

import argparse
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN.xml", help="what pytest wrote with --junitxml")
    args = parser.parse_args()
    seconds, tests = zip(*map(read, args.runs), strict=True)
    names = [run.stem for run in args.runs]
    print("|".join(["", " file ", *(f" {name}, s | tests " for name in names), ""]))
    print("|---" * (1 + 2 * len(names)) + "|")
    rows = sorted(set().union(*seconds), key=lambda file: (-max(run[file] for run in seconds), file))
    for file in rows:
        print(row(file, [run[file] for run in seconds], [run[file] for run in tests]))
    print(row("**all**", [run.total() for run in seconds], [run.total() for run in tests]))


def read(run: Path) -> tuple[Counter, Counter]:
    """Reads {file: seconds of its tests, with what was set up for them} and {file: number of tests} of a run."""
    seconds, tests = Counter(), Counter()
    for case in ElementTree.parse(run).iter("testcase"):
        file = case.attrib["classname"].rpartition(".")[2]
        seconds[file] += float(case.attrib["time"])
        tests[file] += 1
    return seconds, tests


def row(name: str, seconds: list[float], tests: list[int]) -> str:
    """A row of the table."""
    cells = (f" {spent:.1f} | {count} " for spent, count in zip(seconds, tests, strict=True))
    return "|".join(["", f" {name} ", *cells, ""])


if __name__ == "__main__":
    main()
