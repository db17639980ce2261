"""`python -m docs`: the notebooks run, and the site is built from the pages and them, with warnings as errors."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from docs.site.outside import check_site
from docs.site.run_notebooks import run_notebooks

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "out" / "site"
STEPS = "notebooks", "site"


def main() -> None:
    """Runs all steps, or those that are named."""
    wanted = sys.argv[1:] or STEPS
    if unknown := set(wanted) - set(STEPS):
        sys.exit(f"python -m docs: no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    with tempfile.TemporaryDirectory() as folder:
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


def build(notebooks: Path) -> None:
    """Builds the site into `SITE`, with what the notebooks showed."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(SITE)]
    settings = {"VITJAX_NOTEBOOKS": str(notebooks), "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    if code := subprocess.run(command, cwd=ROOT, env=os.environ | settings).returncode:
        sys.exit(code)


if __name__ == "__main__":
    main()
