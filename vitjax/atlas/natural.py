"""A store, a model and photographs in, the exemplars of an atlas's taps out: this host's part of the pass, or what all
hosts found when every part is there."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

from vitjax.analysis.exemplars import Exemplars, exemplars
from vitjax.atlas.store import Store
from vitjax.data.dataset import Dataset
from vitjax.errors import Stopped
from vitjax.models.vit import ViT

PREFIX = "natural/"


def look(
    store: Store, model: ViT, data: Dataset, taps: Sequence[str], k: int, tokens: str, enough: Event
) -> Exemplars | None:
    """See `exemplars`: goes on where it was stopped, and gives None while other hosts' parts are missing.

    Raises:
        Stopped: `enough` was set; what was seen is kept.
    """

    def until_enough(batches, total):
        for batch in data.progress(batches, total):
            yield batch
            if enough.is_set():
                raise Stopped

    seen = replace(data, progress=until_enough)
    if store.folder:
        return exemplars(model, seen, taps, k=k, tokens=tokens, folder=store.folder / PREFIX)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for key in store.keys(PREFIX):
            (folder / key.removeprefix(PREFIX)).write_bytes(store.read(key))
        before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        try:
            return exemplars(model, seen, taps, k=k, tokens=tokens, folder=folder)
        finally:
            for path in folder.iterdir():
                if path.suffix == ".npz" and before.get(path.name) != path.stat().st_mtime_ns:
                    store.write(f"{PREFIX}{path.name}", path.read_bytes())
