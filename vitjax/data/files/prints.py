"""Fingerprints photographs, to tell them from others of the same names: a few bytes of all, all bytes of each read."""

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt32

from vitjax.data.files.images import Images, checksum
from vitjax.errors import InputError

UNREAD = -1  # stands for the sum of a photograph that nobody has read
_THREADS = 16  # files that are looked at together: on a network's disk each takes its time


class Changed(InputError):
    """A photograph is no longer the one that it was."""


@lru_cache(2)  # a job asks more than once
def heads(images: Images) -> UInt32[np.ndarray, " image"]:
    """Gives for each image the CRC-32 of what `Images.peek` gives, its size among it; 0 where it cannot be read."""
    peek = images.peek or images.read

    def one(place: int) -> int:
        try:
            return zlib.crc32(peek(place))
        except (InputError, OSError):
            return 0

    with ThreadPoolExecutor(_THREADS) as threads:
        return np.fromiter(threads.map(one, range(len(images)), chunksize=64), np.uint32, len(images))


def digest(heads: UInt32[np.ndarray, " image"]) -> str:
    """Gives eight hexadecimal digits that tell the heads of one data set from those of another."""
    return f"{zlib.crc32(heads.astype('<u4').tobytes()):08x}"


def describe(images: Images) -> dict[str, object]:
    """Gives what a record says of the images, to know them again: source, number, checksums of names and of heads."""
    about = {"source": images.source, "images": len(images), "names": checksum(images.names)}
    return about | {"content": digest(heads(images))}


def compare(
    images: Images, before: UInt32[np.ndarray, " image"], sums: Int[np.ndarray, " image"], where: str | Path
) -> None:
    """Holds images against what is known of them from before.

    Args:
        images: as they are now.
        before: their heads as they were.
        sums: of all bytes, as `watched` keeps them; they are compared where a zip states them.
        where: what was begun with the images, for the message.

    Raises:
        Changed: some are others now; the first is named.
    """
    other = heads(images) != before
    if images.crc is not None:
        stated = np.array([images.crc(place) for place in range(len(images))], np.int64)
        other |= (sums != UNREAD) & (sums != stated)
    if other.any():
        more = f" (and {other.sum() - 1} more)" if other.sum() > 1 else ""
        raise Changed(
            f"{images.names[int(other.argmax())]}{more} in {images.source} is not the photograph that {where} was begun"
            " with; put it back, or begin anew elsewhere"
        )


def watched(images: Images, sums: Int[np.ndarray, " image"]) -> Images:
    """Gives the same images, each held against the bytes that it had when it was read before.

    Args:
        images: the images.
        sums: the CRC-32 of each one's bytes, `UNREAD` where nobody has read it: filled while reading.

    Reading raises:
        Changed: for an image with other bytes.
    """
    return replace(images, read=_Watched(images.read, images.names, sums))


@dataclass(frozen=True, eq=False)
class _Watched:
    read: Callable[[int], bytes]
    names: tuple[str, ...]
    sums: np.ndarray

    def __call__(self, place: int) -> bytes:
        data = self.read(place)
        found, known = zlib.crc32(data), self.sums[place]
        if known not in (UNREAD, found):
            raise Changed(
                f"{self.names[place]} has changed since it was read first; put it back, or begin anew elsewhere"
            )
        self.sums[place] = found
        return data
