"""Runs the notebooks on the embedded model, each in a folder of its own, and keeps what they show."""

import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PATIENCE = 600  # seconds for one cell


def run_notebooks(out: Path) -> None:
    """Runs all of them into `out`; the first error of a cell ends it."""
    import nbformat
    from nbclient import NotebookClient

    for path in sorted(FOLDER.glob("*.ipynb")):
        start, notebook = time.perf_counter(), nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as place:
            client = NotebookClient(
                notebook, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": place}}
            )
            client.execute()
        nbformat.write(notebook, out / path.name)
        print(f"  {path.stem:<24} {time.perf_counter() - start:5.1f} s", flush=True)
