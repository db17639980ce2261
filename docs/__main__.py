"""`python -m docs`: examples and notebooks run, and the site is built of the pages, with warnings as errors."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from docs.site.outside import check_site
from docs.site.run_notebooks import run_notebooks
from tests.support.examples import EXAMPLES

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "out" / "site"
STEPS = "examples", "notebooks", "site"


def main() -> None:
    """Runs all steps, or those that are named."""
    wanted = sys.argv[1:] or STEPS
    if unknown := set(wanted) - set(STEPS):
        sys.exit(f"python -m docs: no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    with tempfile.TemporaryDirectory() as folder:
        if "examples" in wanted:
            step("examples", examples)
        if "notebooks" in wanted:
            step("notebooks", run_notebooks, Path(folder))
        if "site" in wanted:
            step("site", build, Path(folder))
            step("no outside", check_site, SITE)
            print(f"{SITE.relative_to(ROOT)}/index.html: python -m http.server -d {SITE.relative_to(ROOT)}")


def step(name: str, function, *arguments) -> None:
    """Runs one step and says what it took; what it raises ends the whole."""
    start = time.perf_counter()
    function(*arguments)
    print(f"{name:<12} ok {time.perf_counter() - start:5.1f} s", flush=True)


def examples() -> None:
    """Runs every example of the README and the pages, pages beside each other, and says which are skipped and why."""
    left = [f"{one}: {one.skipped}" for one in EXAMPLES if one.skipped]
    print(f"{len(EXAMPLES)} examples, {len(left)} skipped", *left, sep="\n  ", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
    called([*command, "tests/house/test_examples.py"], VITJAX_EXAMPLES="all")


def build(notebooks: Path) -> None:
    """Builds the site into `SITE`, with what the notebooks showed."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(SITE)]
    called(command, VITJAX_NOTEBOOKS=str(notebooks), PYTHONPATH=str(ROOT), NO_MKDOCS_2_WARNING="1")


def called(command: list[str], **settings: str) -> None:
    """Runs a program in the repository; where it fails, so does this."""
    if code := subprocess.run(command, cwd=ROOT, env=os.environ | settings).returncode:
        sys.exit(code)


if __name__ == "__main__":
    main()
