"""Says by which columns an atlas may be sorted and filtered: their names, what they mean, which way is good."""

from dataclasses import dataclass

import pyarrow as pa

from vitjax.analysis.report.verdicts import WORDS
from vitjax.atlas.page.contents import Column


@dataclass(frozen=True)
class About:
    """What a reader is told of a column; `digits` after the decimal point."""

    label: str
    help: str
    digits: int = 2


# By the name in units.parquet, in the order shown.
ABOUT: dict[str, About] = {
    "verdict": About("verdict", f"what the grades come to: {', '.join(WORDS)}"),
    "rise": About(
        "rise",
        "its activation under held-out changes above the photographs' mean, over the best one's: above 1 it beats all",
    ),
    "activation": About("activation", "the unit's activation on the picture as its bytes stand", 3),
    "held_out": About(
        "held out", "its mean under turns, scalings, blur, gamma and JPEG, for which no recipe trains", 3
    ),
    "best": About("best photo", "the unit's activation on its best photograph", 3),
    "percentile": About("percentile", "the share of photographs that the picture beats: mostly 1, see rise", 3),
    "rank": About(
        "rank",
        "of the unit among its layer's, by how much the picture moves them: 1 for nearly all; margin orders them",
        0,
    ),
    "margin": About("margin", "how far it leads the layer's next unit, in standard deviations over photographs"),
    "agreement": About("agreement", "rank of its own photographs among those of the layer's units, by looks", 0),
    "photo_agreement": About("photographs agree", "the same rank, of the unit's best photograph: do its own agree?", 0),
    "noise": About("noise", "energy that is everywhere, in standard deviations of photographs: above 2.3 is noise"),
    "coarse": About("coarse", "power of the coarsest structures against photographs, in nats: below -4 there are none"),
    "coarse_noise": About("coarse noise", "the same up to half the finest frequency, for pictures of few values"),
    "contrast": About("contrast", "standard deviation of the pixels, white being 1: below 0.05 is faint", 3),
    "levels": About("levels", "how many values a channel takes, by use: dithering and print have few", 0),
    "copied": About("copied", "highest correlation with a photograph, by thumbnails: above 0.95 is a copy"),
    "spectral_distance": About("spectral distance", "how far its spectrum is from that of photographs, in nats"),
    "detail": About("detail", "power in the finest structures against photographs, in nats: below -4 is empty"),
    "colour": About("colour", "mean difference of the strongest and weakest channel: 0 grey, 1 pure colours"),
    "clipped": About("clipped", "the share of values that are 0 or 255", 3),
    "slope": About("slope", "how much the picture was still improving at its end; 0 has converged", 3),
    "photos_active": About("active", "the share of patches of photographs on which the unit is above 0", 3),
    "photos_sparseness": About("sparseness", "0: the same on all photographs, 1: on one alone", 3),
    "photos_mean": About("mean", "the unit's mean activation over photographs", 3),
    "above_chance": About(
        "monosemanticity", "how alike the photographs are that it is active on, from 0, any photographs, to 1", 3
    ),
    "clarity": About("clarity", "mean cosine of the crops that it fires on most: 1 if all look the same", 3),
    "redundancy": About("redundancy", "cosine of what it fires on and what the layer's unit most like it fires on", 3),
    "polysemanticity": About("polysemanticity", "how far apart two clusters of its crops are: 0 one thing, 1 two", 3),
    "task_accuracy": About("told apart", "how often photographs of its top are told from its bottom's: 0.5 is chance"),
    "samples": About("samples", "activations in the cell of an activation atlas", 0),
    "pictures": About("pictures", "how many pictures were made of the unit", 0),
}

# Of which columns high numbers, and of which low ones, are good; of the others neither are.
BETTER = dict.fromkeys(
    ("rise", "percentile", "margin", "coarse", "contrast", "above_chance", "clarity", "task_accuracy"), "high"
) | dict.fromkeys(
    (
        *("rank", "agreement", "photo_agreement", "noise", "coarse_noise", "copied"),
        *("spectral_distance", "colour", "clipped", "slope", "redundancy", "polysemanticity"),
    ),
    "low",
)
SCORES = ("above_chance", "clarity", "redundancy", "polysemanticity", "task_accuracy")  # by the eyes of an encoder
MAIN = ("rise", "rank", "agreement", "noise", "slope", "contrast", "activation", "held_out")  # the first that are there
OF_LAYER = ("rank", "agreement", "photo_agreement")  # ranks among the layer's units


def columns(units: pa.Table) -> list[Column]:
    """Makes those of these columns that the table `units.parquet` has."""
    words, encoder = {"verdict": WORDS}, (units.schema.metadata or {}).get(b"encoder", b"").decode()
    seen = lambda name: f" (in the eyes of {encoder})" if encoder and name in SCORES else ""
    return [
        Column(
            name,
            about.label,
            about.help + seen(name),
            units[name].to_pylist(),
            about.digits,
            words.get(name),
            better=BETTER.get(name),
            main=MAIN.index(name) + 1 if name in MAIN else None,
            of_layer=name in OF_LAYER,
        )
        for name, about in ABOUT.items()
        if name in units.column_names
    ]
