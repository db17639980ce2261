"""Says which photographs an atlas was begun with, and makes sure that it goes on with the same ones."""

from collections.abc import Mapping
from typing import Any

from vitjax.analysis.photographs.natural import Part, part_of
from vitjax.atlas.records import manifest
from vitjax.atlas.store.store import Store
from vitjax.data.files.images import Images, checksum
from vitjax.data.files.prints import compare, digest, heads
from vitjax.errors import InputError

PREFIX = "natural/"  # under which the store keeps what photographs say, a part for each host


def part_at(store: Store, key: str) -> Part | None:
    """Reads what one host found; None where it is damaged."""
    try:
        return part_of(store.read(key))
    except Exception:  # in as many ways as arrays, JSON and zips can be damaged
        return None


def begun_with(store: Store) -> Mapping[str, Any] | None:
    """Reads what a store's manifest says of its photographs (`vitjax.data.files.prints.describe`); None without any."""
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
        parts = (part_at(store, key) for key in store.keys(PREFIX) if key.endswith(".npz"))
        part = next((part for part in parts if part), None)
        if part and part.settings.get("names") == checksum(images.names) and len(part.heads) == len(images):
            compare(images, part.heads, part.sums, store.address)
