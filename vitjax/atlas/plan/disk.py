"""Reckons how large an atlas gets on a disk, from what atlases that were made took for each pixel and each unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from vitjax.models.core.network import Network
from vitjax.units.units import Unit

# Bytes. The store keeps three of a pixel, of which zstd takes off a twentieth to a fifth. The page with all its sheets
# and data is that of 40,000 pictures of 224 pixels, 1,972 MB (benchmarks/results/atlas_export_cpu.json).
PICTURE, PAGE, PHOTO = 3, 1972e6 / (40_000 * 224 * 224), 0.3  # of a pixel
UNIT, RESPONSES, VIEWER = 3000, 600, 500_000  # of a unit's records and tables, of one's responses, of the page itself


@dataclass(frozen=True)
class Disk:
    """Bytes of an atlas: in its store, and of the page within it."""

    store: float
    page: float

    def said(self) -> str:
        """In words."""
        return (
            f"on disk: about {self.store / 1e6:.4g} MB in the store and {self.page / 1e6:.4g} MB for the page, by the"
            " bytes a pixel of atlases that were made"
        )


def on_disk(model: Network, units: Sequence[Unit], seeds: int, photographs: int) -> Disk:
    """Estimates the size of an atlas.

    Args:
        model: whose units.
        units: of the atlas.
        seeds: pictures of each.
        photographs: how many stand beside the pictures, about.
    """
    height, width = model.config.image_size
    sites = model.taps()
    beside = sum(prod(sites[tap].units) for tap in {unit.tap for unit in units}) if photographs else 0
    shown = photographs * height * width * PHOTO
    store = len(units) * (seeds * height * width * PICTURE + UNIT) + beside * RESPONSES + shown
    page = len(units) * seeds * height * width * PAGE + shown + VIEWER
    return Disk(store, page)
