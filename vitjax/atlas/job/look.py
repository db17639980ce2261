"""Looks at the photographs for an atlas's taps: this host's part of the pass, or all when every part is there."""

import tempfile
from dataclasses import replace
from pathlib import Path

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.atlas.job.job import Run
from vitjax.atlas.records.photographs import PREFIX
from vitjax.atlas.store.store import Store
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError


def look(run: Run) -> Exemplars | None:
    """Finds what photographs say of the job's taps, see `exemplars`; goes on where it was stopped.

    Returns:
        None without photographs, or while other hosts' parts are missing.

    Raises:
        Stopped: that was asked for; what was seen is kept.
    """
    job, store = run.job, run.store
    if job.data is None:
        return None
    data, taps = replace(job.data, shard=job.shard), list(dict.fromkeys(unit.tap for unit in job.units))
    how = {"k": job.manifest.k, "tokens": job.recipe.tokens, "enough": run.stop.asked}
    if store.folder:
        return exemplars(job.model, data, taps, folder=store.folder / PREFIX, **how)
    with tempfile.TemporaryDirectory() as name:
        _fetch(store, folder := Path(name), f"-of-{job.shard[1]}.npz")
        put = lambda path: store.write(f"{PREFIX}{path.name}", path.read_bytes())
        return exemplars(job.model, data, taps, folder=folder, kept=put, **how)


def apart(store: Store, data: Dataset | None) -> None:
    """Says that an atlas among its own photographs would be taken for some of them at the next run."""
    if data and store.folder and Path(data.images.source).resolve() in (out := store.folder.resolve(), *out.parents):
        raise InputError(f"{store.address} lies within the photographs {data.images.source}: choose another --out")


def _fetch(store: Store, folder: Path, ending: str) -> None:
    """Copies the parts that a store elsewhere has into a local folder."""
    for key in store.keys(PREFIX):
        if key.endswith(ending):
            (folder / key.removeprefix(PREFIX)).write_bytes(store.read(key))
