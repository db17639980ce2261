"""A store, a model and photographs in, the exemplars of an atlas's taps out: this host's part of the pass, or what all
hosts found when every part is there."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.photographs.natural import part_of
from vitjax.atlas.store import manifest
from vitjax.atlas.store.store import Store
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import Images, checksum
from vitjax.data.files.prints import compare, digest, heads
from vitjax.errors import InputError, Stopped
from vitjax.models.core.network import Network

PREFIX = "natural/"


def look(
    store: Store, model: Network, data: Dataset, taps: Sequence[str], k: int, tokens: str, enough: Event
) -> Exemplars | None:
    """See `exemplars`: goes on where it was stopped, and gives None while other hosts' parts are missing.

    Raises:
        Stopped: `enough` was set; what was seen is kept.
    """

    def until_enough(batches, total):
        for batch in data.progress(batches, total):
            yield batch
            keep()
            if enough.is_set():
                raise Stopped

    keep = lambda: None
    seen = replace(data, progress=until_enough)
    if store.folder:
        return exemplars(model, seen, taps, k=k, tokens=tokens, folder=store.folder / PREFIX)
    with tempfile.TemporaryDirectory() as name:
        mirror = _Mirror(store, Path(name), f"-of-{data.shard[1]}.npz")
        keep = mirror.keep
        try:
            return exemplars(model, seen, taps, k=k, tokens=tokens, folder=mirror.folder)
        finally:
            keep()


def begun_with(store: Store) -> Mapping[str, Any] | None:
    """What a store's manifest says of its photographs, as `vitjax.data.files.prints.describe`; None without any."""
    try:
        return manifest.whole(store).data
    except InputError:  # a new store, or `manifest.compare` will say what is wrong
        return None


def same_photographs(store: Store, images: Images) -> None:
    """Raises Changed, which names the first, where photographs are others than those that a store was begun with.

    What cannot be named, as long as the store knows no single photograph, is left for the manifests to say.
    """
    known = begun_with(store)
    if known and known.get("content", digest(heads(images))) != digest(heads(images)):
        part = next((part_of(store.read(key)) for key in store.keys(PREFIX) if key.endswith(".npz")), None)
        if part and part.settings.get("names") == checksum(images.names) and len(part.heads) == len(images):
            compare(images, part.heads, part.sums, store.address)


class _Mirror:
    """A local folder of the parts in a store that is elsewhere; `keep` puts what is new there into the store."""

    def __init__(self, store: Store, folder: Path, ending: str):
        self.store, self.folder = store, folder
        for key in store.keys(PREFIX):
            if key.endswith(ending):
                (folder / key.removeprefix(PREFIX)).write_bytes(store.read(key))
        self.kept = self._times()

    def keep(self) -> None:
        for name, time in self._times().items():
            if self.kept.get(name) != time:
                self.store.write(f"{PREFIX}{name}", (self.folder / name).read_bytes())
                self.kept[name] = time

    def _times(self) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in self.folder.glob("part-*.npz")}
