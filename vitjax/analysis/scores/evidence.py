"""What is known of some units by one encoder, and all the scores that are made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.analysis.photographs.natural import Natural
from vitjax.analysis.scores import mis, monosemanticity
from vitjax.analysis.scores.crops import Crops, crops
from vitjax.analysis.scores.encoders import Encoder
from vitjax.analysis.scores.monosemanticity import Sums
from vitjax.analysis.scores.semantic_lens import clarity, polysemanticity, redundancy
from vitjax.analysis.study.findings import Value
from vitjax.analysis.study.passes import gather
from vitjax.data.dataset import Dataset
from vitjax.models.core.preprocess import Input
from vitjax.units.units import Unit

Scores = dict[str, Float[np.ndarray, " unit"]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of some units of a tap, by one encoder.

    Attributes:
        natural: of the tap.
        units: their numbers in it.
        sums: of the tap's units over all images.
        crops: of the units' best images.
        rows: of `natural.sample`, those whose embeddings are known.
        embeddings: theirs, at length 1.
    """

    natural: Natural
    units: Int[np.ndarray, " unit"]
    sums: Sums
    crops: Crops
    rows: Int[np.ndarray, " image"]
    embeddings: Float[np.ndarray, "image channel"]

    @property
    def sample(self) -> Float[np.ndarray, "image unit"]:
        """The units' scores on images whose embeddings are known."""
        return self.natural.sample[np.ix_(self.rows, self.units)]

    def only(self, some: Sequence[int]) -> "Evidence":
        """What is known of some of the units, by their places among them."""
        return replace(self, units=self.units[some], crops=replace(self.crops, row=self.crops.row[some]))

    def shuffled(self, seed: int) -> "Evidence":
        """The same with another image's embedding for each image, and other units' crops for each unit: a control.

        Its sums are over the images whose embeddings are known.
        """
        rng = np.random.default_rng(seed)
        embeddings = self.embeddings[rng.permutation(len(self.embeddings))]
        sums = monosemanticity.sums(self.natural.sample[self.rows], embeddings)
        return replace(self, sums=sums, embeddings=embeddings, crops=self.crops.shuffled(rng))


def score(known: Evidence, temperature: float = mis.TEMPERATURE, seed: int = 0) -> tuple[Scores, np.ndarray]:
    """All scores of some units by name, NaN where one has no meaning; and which of them each is most like, or -1."""
    chance = monosemanticity.mean_cosine(known.sums)
    alike = monosemanticity.monosemanticity(known.sums)[known.units]
    found, sample = known.crops(), known.sample
    twin, nearest = redundancy(found.mean(axis=1))
    accuracy = temperate = np.full(len(known.units), np.nan)
    if mis.enough(len(sample)):
        asked = mis.tasks(sample, seed=seed)
        apart = mis.differences(known.embeddings @ known.embeddings.T, asked)
        moved = np.where(np.ptp(sample, axis=0) > 0, 1.0, np.nan)
        accuracy, temperate = moved * mis.accuracy(apart), moved * mis.temperate(apart, temperature)
    return {
        "monosemanticity": alike,
        "above_chance": monosemanticity.above_chance(alike, chance),
        "clarity": clarity(found),
        "redundancy": twin,
        "polysemanticity": polysemanticity(found),
        "task_accuracy": accuracy,
        "task_score": temperate,
    }, nearest


def told_by_pictures(
    known: Evidence,
    plus: Float[np.ndarray, "unit channel"],
    minus: Float[np.ndarray, "unit channel"],
    seed: int = 0,
) -> Float[np.ndarray, " unit"]:
    """The share of `mis`'s tasks that are solved where pictures explain the units (FV-MIS where the encoder is
    DreamSim); NaN of too few images.

    Args:
        known: of the units.
        plus: embeddings of a picture of each unit.
        minus: of a picture that was made to have its activation as low as may be.
        seed: of the tasks.
    """
    if not mis.enough(len(known.sample)):
        return np.full(len(known.units), np.nan)
    alike = [monosemanticity.directions(some) @ known.embeddings.T for some in (plus, minus)]
    return mis.accuracy(mis.differences_by_pictures(*alike, mis.tasks(known.sample, seed=seed)))


def evidence_of(
    found: Exemplars, encoder: Encoder, data: Dataset, units: Sequence[Unit]
) -> Iterator[tuple[list[Unit], Evidence]]:
    """Gathers what is known of units, tap by tap, from exemplars alone, without another pass of their model.

    So monosemanticity is of the photographs whose scores are all kept, a thousand or fewer.

    Args:
        found: what photographs say of the units' taps.
        encoder: by whose eyes photographs are alike.
        data: the photographs, as the model sees them.
        units: any of those taps; redundancy is among those of a tap.
    """
    places = next(iter(found.taps.values())).seen_place
    seen = replace(data, images=data.images.take(places), config=Input.of(encoder.model), shard=(0, 1))
    rows, (embeddings,) = gather(encoder.model, seen.batches(), encoder.function, tap=encoder.tap)
    embeddings = monosemanticity.directions(embeddings).astype(np.float32)
    by_tap: dict[str, list[Unit]] = {}
    for unit in dict.fromkeys(units):
        by_tap.setdefault(unit.tap, []).append(unit)
    numbers = [np.array([np.ravel_multi_index(unit.index, found.taps[tap].shape) for unit in some], int)
               for tap, some in by_tap.items()]  # fmt: skip
    cut = crops([found.taps[tap] for tap in by_tap], numbers, encoder, data)
    for (tap, some), number, mine in zip(by_tap.items(), numbers, cut, strict=True):
        natural = found.taps[tap]
        sums = monosemanticity.sums(natural.sample[rows], embeddings)
        yield some, Evidence(natural, number, sums, mine, rows, embeddings)


def scores_of(units: Sequence[Unit], known: Evidence) -> dict[str, dict[str, Value]]:
    """The scores of some units, {unit: {score: value}}, None where one has no meaning; in "redundant_with" the unit it
    is most like."""
    columns, nearest = score(known)
    rows = {}
    for i, unit in enumerate(units):
        values = {name: None if np.isnan(column[i]) else float(column[i]) for name, column in columns.items()}
        rows[str(unit)] = values | {"redundant_with": str(units[nearest[i]]) if nearest[i] >= 0 else None}
    return rows
