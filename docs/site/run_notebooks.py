"""Runs the notebooks on the embedded model, each in a folder of its own, and keeps what they show."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PATIENCE = 600  # seconds for one cell
BESIDE = 2  # notebooks at once: most of their time is one core's, in the compiler


def run_notebooks(out: Path) -> None:
    """Runs all of them into `out`; the first error of a cell ends it."""
    with ThreadPoolExecutor(BESIDE) as pool:
        for said in pool.map(partial(run_notebook, out=out), sorted(FOLDER.glob("*.ipynb"))):
            print(said, flush=True)


def run_notebook(path: Path, out: Path) -> str:
    """Runs one of them into `out`; says what it took."""
    import nbformat
    from nbclient import NotebookClient

    start, notebook = time.perf_counter(), nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as place:
        resources = {"metadata": {"path": place}}
        NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=resources).execute()
    nbformat.write(notebook, out / path.name)
    return f"  {path.stem:<24} {time.perf_counter() - start:5.1f} s"
