"""`python -m tests`: every check of the repository, one after another, up to the first that fails.

`python -m tests --exhaustive` runs what is left out then: the same shown of one more family, script or size.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable


def check_wheel(folder: Path) -> None:
    """Exits with a message unless the wheel in `folder` holds every file of `vitjax` and nothing else."""
    (wheel,) = folder.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = (path for path in (ROOT / "vitjax").rglob("*") if path.is_file() and path.suffix != ".pyc")
    wanted = {path.relative_to(ROOT).as_posix() for path in files}
    if packed != wanted:
        sys.exit(f"{wheel.name}: missing {sorted(wanted - packed)}, unasked {sorted(packed - wanted)}")


def run(name: str, command: Sequence, quiet: bool = True) -> None:
    """Runs one check; a quiet one prints a line, and its output only where it fails. A failure ends the whole."""
    print(f"{name:<12}", end=" " if quiet else "\n", flush=True)
    start = time.perf_counter()
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} if quiet else {}
    done = subprocess.run(list(map(str, command)), cwd=ROOT, **output)
    if done.returncode:
        print(f"failed\n{done.stdout}" if quiet else "", f"{name} failed: {' '.join(map(str, command))}", sep="\n")
        sys.exit(done.returncode)
    if quiet:
        print(f"ok {time.perf_counter() - start:5.1f} s", flush=True)


# A file stays in one process, where what it compiles is compiled once; files of few long tests are not left to the end.
PYTEST = PYTHON, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"


def main() -> None:
    """Style first, then the imports, then what would be published, then the behaviour."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exhaustive", action="store_true", help="run the tests that are left out without this")
    if parser.parse_args().exhaustive:
        run("exhaustive", [*PYTEST, "-m", "exhaustive"], quiet=False)
        return
    run("ruff check", [PYTHON, "-m", "ruff", "check", "."])
    run("ruff format", [PYTHON, "-m", "ruff", "format", "--check", "."])
    run("imports", [PYTHON, "-c", "import sys; from importlinter.cli import lint_imports_command as f; sys.exit(f())"])
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder)
        run("build", [PYTHON, "-m", "build", "--no-isolation", "--outdir", dist, ROOT])
        run("twine", [PYTHON, "-m", "twine", "check", "--strict", *dist.glob("*")])
        check_wheel(dist)
    run("pytest", PYTEST, quiet=False)


if __name__ == "__main__":
    main()
