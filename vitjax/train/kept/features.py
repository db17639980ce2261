"""Keeps the features of images on disk as they are computed, so that a pass that was stopped goes on."""

import io
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Array, Float, Int

from vitjax.analysis.study.passes import gather
from vitjax.data.files.images import Images, checksum
from vitjax.data.pipeline import Batches
from vitjax.files import make_folder, write_whole
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import Input
from vitjax.weights import parameters

PART = 4096  # images whose features are one file


def pooled(
    model: Network, images: Images, batch: int, kept: Path | None = None
) -> tuple[Int[np.ndarray, " image"], Float[np.ndarray, "image channel"]]:
    """Gives the places of all readable images, in order, and what a head reads of each.

    Args:
        model: that sees them.
        images: of the data set.
        batch: images that are seen together.
        kept: a folder for the parts that are done; none without.
    """
    count = -(-len(images) // PART) if kept else 1
    whose = f"{parameters.digest(model)[:16]}-{checksum(images.names)}-{len(images)}" if kept else ""
    parts = []
    for number in range(count):
        path = kept and make_folder(kept) / f"{whose}-{number}.npz"
        found = path and _read(path)
        if not found:
            found = gather(model, Batches(images, Input.of(model), batch, shard=(number, count)), _pooled)
            if path:
                np.savez(data := io.BytesIO(), place=found[0], features=found[1])
                write_whole(path, data.getvalue())
        parts.append(found)
    place, features = (np.concatenate(kind) for kind in zip(*parts, strict=True))
    order = np.argsort(place)
    return place[order], features[order]


def _read(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """A part that is done; None where it is not, or is damaged."""
    try:
        with np.load(path) as held:
            return held["place"], held["features"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _pooled(model: Network, images: Float[Array, "image h w color"]) -> Float[Array, "image channel"]:
    return model(images, "pooled")["pooled"]
