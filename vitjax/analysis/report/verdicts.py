"""Decides in one word whether a picture is good, or what is wrong with it, from its grades."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vitjax.analysis.study.findings import Value

Row = Mapping[str, Value]


@dataclass(frozen=True)
class Rule:
    """The thresholds of `VERDICTS`.

    Those of looks lie between what they have to tell apart on ViT-Ti/16 at 224 px with every second of 300 ImageNet
    photographs; they hold on the others, and on the embedded model with Tiny ImageNet's, which helped to set `noise`,
    `dither`, `bare` and `band` (experiments/recipes/fakes.py).

    Attributes:
        noise: highest `noise` of a clear picture; one photograph of 100 has more. Nine pictures of `fast` have 2.0
            and less, under white noise of 25/255 2.8 and more, noise of any octave 2.9 and more. At 64 px photographs
            are noisier themselves, and white noise is seen from about 60/255 on.
        fine: highest `detail` of a clear picture, in nats. Pictures of `default` and `ghiasi` have 2.3 and less, as all
            photographs, noisy ones (2 views, 40 steps, no total variation) 2.6 and more, uniform noise 3.9.
        few: the most `levels` of a picture whose finest octaves do not count: dithering takes 2 to 16, print 5 to 8.
        dither: highest `coarse_noise` of those: dithered and printed ones have 3.2 and less, random dots 3.4 and more.
        bare: least `coarse` of a picture with coarse structure, in nats. Photographs and pictures have -2.7 and more,
            noise of a band -5.9 and less, gratings often.
        band: highest `noise` of a clear picture without. Gratings have less than -0.3, noise of a band 1.2 and more.
        empty: lowest `detail` of a picture that shows something, in nats. Photographs and pictures have -3.9 and more;
            what was low-passed, or grey with a perturbation of 8/255, has -4.5 and less.
        contrast: lowest `contrast` of a picture that is no strain to see. Photographs have 0.08 and more, at a tenth of
            their contrast 0.04 and less, grey with a perturbation of 8/255 0.02.
        copied: highest `copied` of a picture that is no photograph's copy; two photographs have 0.9 and less.
        colour: highest `colour` of a picture that is not saturated; 1 of 100 photographs has more than 0.45.
        best: lowest `rise` of a good picture: that of the best photograph, as Zimmermann et al. 2023 (arXiv 2307.05471,
            their code) ask of synthetic images before they show them.
        common: the share of the tap's units that a good picture may move more than its own.
        alike: photographs of a unit agree where the best of them leads back to the others within this share of the
            tap's units (`photo_agreement`); half of 64 neurons are such.
        strange: the share within which a good picture then leads back to them. Of 30 pictures of `default` 27 do, of 30
            of other units 12, of uniform noise 14: it finds half of the strangers that all else misses.
    """

    noise: float = 2.3
    fine: float = 2.4
    few: float = 16.0
    dither: float = 3.3
    bare: float = -4.0
    band: float = 0.5
    empty: float = -4.0
    contrast: float = 0.05
    copied: float = 0.95
    colour: float = 0.5
    best: float = 1.0
    common: float = 0.05
    alike: float = 0.05
    strange: float = 0.5

    @property
    def lines(self) -> dict[str, tuple[float, ...]]:
        """The thresholds by grade."""
        return {
            "rise": (self.best,),
            "detail": (self.empty, self.fine),
            "noise": (self.noise,),
            "contrast": (self.contrast,),
            "colour": (self.colour,),
        }


def _noisy(row: Row, rule: Rule) -> bool:
    if row["coarse"] < rule.bare:
        return row["noise"] > rule.band
    if row["levels"] <= rule.few:
        return row["coarse_noise"] > rule.dither
    return row["noise"] > rule.noise or row["detail"] > rule.fine


def _strange(row: Row, rule: Rule) -> bool:
    alike = row["photo_agreement"] - 1 <= rule.alike * row["units"]
    return alike and row["agreement"] - 1 > rule.strange * row["units"]


GOOD, COPY = "good", "copy"
# Asked from top to bottom: the first that holds is the verdict, and where none does the picture is good.
VERDICTS: Mapping[str, Callable[[Row, Rule], bool]] = {
    COPY: lambda row, rule: row["copied"] > rule.copied,
    "noise": _noisy,
    "dead": lambda row, rule: row["detail"] < rule.empty,
    "faint": lambda row, rule: row["contrast"] < rule.contrast,
    "saturated": lambda row, rule: row["colour"] > rule.colour,
    "weak": lambda row, rule: row["rise"] < rule.best or row["rank"] - 1 > rule.common * row["units"],
    "strange": _strange,
}
WORDS = (GOOD, *reversed(VERDICTS))
RULE = Rule()


def verdict(row: Row, rule: Rule = RULE) -> str:
    """The word for a picture with these grades, one of `WORDS`."""
    return next((word for word, holds in VERDICTS.items() if holds(row, rule)), GOOD)
