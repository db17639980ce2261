"""Tiny ImageNet as arrays: a folder of its zips (or its extracted folders) becomes uint8 images and labels, once."""

import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64


def classes(folder: Path) -> tuple[list[str], list[str]]:
    """Reads `classes.tsv` (WordNet id, names): the ids, whose order is the label, and the names of each."""
    rows = [line.split("\t") for line in (folder / "classes.tsv").read_text().splitlines()]
    return [row[0] for row in rows], [row[1] for row in rows]


def load(folder: Path, split: str, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Gives (images uint8 [n, 64, 64, 3], labels int32 [n]) of "train" or "val", decoded once into `cache`."""
    images, labels = cache / f"{split}_images.npy", cache / f"{split}_labels.npy"
    if not labels.exists():
        cache.mkdir(parents=True, exist_ok=True)
        label = {wnid: i for i, wnid in enumerate(classes(folder)[0])}
        found = [(label[wnid], data) for wnid, data in _files(folder, split)]
        if not found:
            raise SystemExit(f"no {split} images in {folder}: expected {split}*.zip or {split}*/ with JPEG files")
        with ThreadPoolExecutor() as pool:
            decoded = np.stack(list(pool.map(_decode, (data for _, data in found))))
        np.save(images, decoded)
        np.save(labels, np.array([label for label, _ in found], np.int32))
    return np.load(images), np.load(labels)


def _decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _files(folder: Path, split: str) -> Iterator[tuple[str, bytes]]:
    """Yields (WordNet id, JPEG bytes): training images stand in a folder named by their class, validation in a list."""
    for part in sorted(folder.glob(f"{split}*")):
        read, names = _opened(part)
        listed = next((name for name in names if name.endswith("val_annotations.txt")), None)
        annotated = dict(line.split("\t")[:2] for line in read(listed).decode().splitlines()) if listed else {}
        for name in names:
            if name.endswith(".JPEG"):
                file = name.rsplit("/", 1)[-1]
                yield annotated.get(file) or file.split("_")[0], read(name)


def _opened(part: Path):
    if part.suffix == ".zip":
        archive = zipfile.ZipFile(part)
        return archive.read, sorted(archive.namelist())
    return (lambda name: (part / name).read_bytes()), sorted(
        str(p.relative_to(part)) for p in part.rglob("*") if p.is_file()
    )
