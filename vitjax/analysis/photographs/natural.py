"""What is known of a tap's units from natural images, read from a finished tally, and how it is kept on disk."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from vitjax.analysis.photographs.outliers import OUTLIER
from vitjax.analysis.photographs.tally import NOWHERE, Tally, counted, merge
from vitjax.errors import InputError
from vitjax.files import open_regular, write_whole
from vitjax.units.units import Unit

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Natural:
    """What the units of one tap do on natural images; units in the flattened index space of the tap.

    The score of an image is a unit's activation, averaged over the tokens that count.

    Attributes:
        tap, shape: the tap and its index space, e.g. ("blocks.3.attn.z", (3, 64)).
        tokens: the tokens that count, 0 being the first patch and -1 the token before it; empty without a token axis.
        tally: what was counted, see `Tally`.
        sample_place: places of the images in `tally.sample`; all images where they are no more than it holds.
        grid: (rows, columns) that patches are counted on; None for a tap without places on the image.
    """

    tap: str
    shape: tuple[int, ...]
    tokens: range
    tally: Tally
    sample_place: Int[np.ndarray, " image"]
    grid: tuple[int, int] | None = None

    @property
    def score(self) -> Float[np.ndarray, "unit k"]:
        """The highest scores, best first; -inf where there are fewer images than k."""
        return self.tally.score

    @property
    def place(self) -> Int[np.ndarray, "unit k"]:
        """The places of those images in the data set; -1 where there is none."""
        return np.where(self.tally.place == NOWHERE, -1, self.tally.place)

    @property
    def patch(self) -> Int[np.ndarray, "unit k"]:
        """The patch of each of those images that fired most; -1 where it was no patch."""
        return self._patch(self.tally.patch)

    @property
    def outlier(self) -> Bool[np.ndarray, "unit k"]:
        """Whether that patch is a token of huge norm (see `vitjax.analysis.photographs.outliers`): it says little."""
        return self.tally.norm > OUTLIER

    @property
    def mean(self) -> Float[np.ndarray, " unit"]:
        """The mean score."""
        return self.tally.mean

    @property
    def std(self) -> Float[np.ndarray, " unit"]:
        """The standard deviation of the scores."""
        return np.sqrt(self.tally.squares / max(int(self.tally.images), 1))

    @property
    def active(self) -> Int[np.ndarray, " unit"]:
        """The number of tokens above 0, of all images."""
        return counted(self.tally.active)

    @property
    def sparseness(self) -> Float[np.ndarray, " unit"]:
        """Lifetime sparseness of the scores above 0: 0 the same on all images, 1 on one image alone.

        S = (1 - (sum r / n)^2 / (sum r^2 / n)) / (1 - 1 / n) with r = max(score, 0) (Rolls and Tovee 1995; Vinje and
        Gallant 2000); NaN for a unit that never is above 0.
        """
        count, tally = max(int(self.tally.images), 2), self.tally
        with np.errstate(invalid="ignore"):
            return (1 - tally.positive**2 / (count * tally.positive_squares)) / (1 - 1 / count)

    @cached_property
    def sample(self) -> Float[np.ndarray, "image unit"]:
        """The scores of the images at `sample_place`, without those that could not be read."""
        return self.tally.sample[self._seen]

    @cached_property
    def seen_place(self) -> Int[np.ndarray, " image"]:
        """The places of the rows of `sample`."""
        return self.sample_place[self._seen]

    def quantiles(self) -> tuple[Int[np.ndarray, "quantile unit"], Float[np.ndarray, "quantile unit"], np.ndarray]:
        """Images that stand for the units' ordinary behaviour: (place, score, patch) at `QUANTILES` of the sample."""
        order = np.argsort(self.sample, axis=0, kind="stable")
        rows = order[np.round(np.array(QUANTILES) * (len(order) - 1)).astype(int)]
        pick = lambda values: np.take_along_axis(values, rows, axis=0)
        return self.seen_place[rows], pick(self.sample), pick(self._patch(self.tally.sample_patch[self._seen]))

    def _patch(self, token: np.ndarray) -> np.ndarray:
        return (
            np.maximum(np.where(token >= 0, token + self.tokens.start, -1), -1) if len(self.tokens) else token * 0 - 1
        )

    @property
    def _seen(self) -> np.ndarray:
        return ~np.isnan(self.tally.sample[:, 0])

    def unit(self, number: int) -> Unit:
        """The unit with this place in the flattened index space."""
        return Unit(self.tap, tuple(map(int, np.unravel_index(number, self.shape))))


@dataclass(frozen=True)
class Part:
    """One host's share of a pass, as far as it has come: what the file of a part holds.

    Attributes:
        number: which share, from 0.
        settings: what must be the same for parts to belong together, and to go on with one.
        tallies: {tap: Tally}.
        done: batches that are in the tallies.
        complete: whether that is all of them.
        unreadable: {name: reason}.
        heads, sums: of all images, see `vitjax.data.files.prints`; empty in what an earlier version wrote.
    """

    number: int
    settings: Mapping[str, object]
    tallies: Mapping[str, Tally]
    done: int
    complete: bool
    unreadable: Mapping[str, str]
    heads: UInt32[np.ndarray, " image"]
    sums: Int[np.ndarray, " image"]

    def write(self, path: Path) -> None:
        """Writes the part as one .npz, so that a kill leaves the old one or the new one."""
        head = {name: getattr(self, name) for name in ("number", "settings", "done", "complete", "unreadable")}
        arrays = {f"{tap}/{name}": x for tap, tally in self.tallies.items() for name, x in tally._asdict().items()}
        data = io.BytesIO()
        head = np.frombuffer(json.dumps(head).encode(), np.uint8)
        np.savez(data, head=head, heads=self.heads, sums=self.sums, **arrays)
        write_whole(path, data.getvalue())


def read_part(path: Path) -> Part:
    """Reads what `Part.write` wrote.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with open_regular(path) as file:
            return part_of(file.read())
    except Exception as error:  # in as many ways as arrays, JSON and zips can be damaged
        raise InputError(f"{path} is damaged ({error}); remove it to begin that part again") from None


def part_of(data: bytes) -> Part:
    """The part that the bytes of a file hold; raises as NumPy and zipfile do where they are damaged."""
    with np.load(io.BytesIO(data)) as file:
        head = json.loads(file["head"].tobytes())
        taps = dict.fromkeys(tap for name in file.files if (tap := name.rpartition("/")[0]))
        tallies = {tap: Tally(*(file[f"{tap}/{name}"] for name in Tally._fields)) for tap in taps}
        heads, sums = (file[name] if name in file.files else np.zeros(0, np.int64) for name in ("heads", "sums"))
    return Part(
        head["number"], head["settings"], tallies, head["done"], head["complete"], head["unreadable"], heads, sums
    )


def same(part: Part, settings: Mapping[str, object], path: Path, number: int) -> None:
    """Raises InputError where the part in a file has another number, or was made with other settings."""
    if part.number != number:
        raise InputError(f"{path} holds part {part.number}, not part {number}; remove it to begin that part again")
    for key, value in settings.items():
        if _anywhere(key, part.settings.get(key)) != _anywhere(key, value):
            raise InputError(
                f"{path} was made with another {key} ({part.settings.get(key)}, not {value}); choose another folder,"
                " or remove it"
            )


def _anywhere(key: str, value: object) -> object:
    """A setting without what only says where the model and the images lie, and what `compare` says better."""
    if key in ("data", "content"):
        return None
    return {name: part for name, part in value.items() if name != "source"} if isinstance(value, dict) else value


def merged(parts: list[Part]) -> dict[str, Tally]:
    """The tallies of all parts together, {tap: Tally}; the parts must have the same settings."""
    return {tap: merge([part.tallies[tap] for part in parts]) for tap in parts[0].tallies}
