"""A recipe is everything that turns a unit into a picture, except the model and the seed: one frozen dataclass."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from vitjax.errors import InputError, nearest
from vitjax.models.core.vocabulary import PATCH
from vitjax.optimize.settings.limits import CHOICES, FLAGS, RANGES, TOKENS, read
from vitjax.optimize.settings.stage import FACTORS, INSTEAD, Stage, changed, read_stages, stages_of


@dataclass(frozen=True)
class Recipe:
    """How pictures are optimised. Every step minimises, per picture,

        -scale * mean over views of the unit's activation + total_variation * TV(views)

    Attributes:
        steps: number of updates, of all stages together and for the last block; see `Stage.shallow`.
        views: augmented copies of the picture per step.
        parametrization: "pixels" (RGB in [0, 1], clamped); or through a sigmoid from decorrelated colours: "fourier"
            (coefficients), "pyramid" (a sum of resolutions, each twice the one before), "maco" (phases alone, at the
            amplitudes of natural images).
        decay: power of the frequency by which coefficients are scaled; 1 gives natural images' 1/f.
        optimizer: "adam", "nadam", "lion", "sign", or "muon" (pixels alone: an update of each colour plane whose
            singular values are all alike). "nadam-rms" is NAdam of gradients whose root mean square over the picture is
            made 1: a number whose gradient is of that size moves by the rate, others as `floor` says.
        learning_rate: at the first step; a cosine takes it to 0 at step `steps - 1`. By "nadam-rms" a picture goes as
            far as steps times rate: half the rate for twice the steps.
        b1, b2, eps: the optimizer's: decay rates of its averages, and what it divides by at least.
        floor: in place of `eps` in "nadam-rms": near 0, steps are alike for all numbers, as NAdam's; far above 1 they
            are as the gradient.
        before_activation: take a neuron before its activation function, where its gradient cannot vanish; of a gated
            MLP, its gate.
        seen: share of the patch tokens that each view shows, drawn anew at every step; the others are left out.
        seen_shape: "scattered" (any patches) or "window" (a rectangle of them, its sides in the picture's proportion).
        tokens: "patches" (mean over patch tokens), "class", "all", or "patch N" (one patch, row by row).
        scale: factor of the activation in the loss.
        total_variation: factor of the total variation, which is measured on the views.
        color: "divide" ((x - mu) / sigma), "multiply" (sigma * x + mu) or "none"; mu in U(-c, c), log sigma in
            U(-c, c), c = color_strength, for each view and channel.
        color_strength: c above.
        color_anneal: let the colour shift fall linearly to nothing, so that the picture ends in its own colours.
        noise: standard deviation of the Gaussian noise at the first step.
        noise_shape: "channel" (one value per view and channel) or "pixel".
        noise_anneal: let the noise fall linearly to 0 at step `steps - 3`.
        jitter: the picture is rolled by up to this many pixels along each axis.
        jitter_per_view: roll every view by itself instead of all views of a step together.
        variants: pictures of each unit, optimised together.
        diversity: factor, in the loss, of how alike the variants are.
        diversity_of: what is compared, of what is read for the unit: "mean" (the mean cosine of a picture's features
            with those of the others, averaged over tokens and views), "gram" (Lucid's: the sum of the cosines of its
            Gram matrix, of channels over tokens and views, with those of the others).
        row: pictures that follow each other and are a row, such as those from one unit to another: they begin alike and
            share their random numbers.
        row_shared: factor of the mean gradient of a row that each of its pictures moves by beside its own. Without an
            optimizer's scaling it is the same as a picture common to the row that is added to each one's own.
        stages: stretches of the steps at sizes, and with settings, of their own; none is one at the model's own size.
    """

    steps: int = 401
    views: int = 8
    parametrization: str = "pixels"
    decay: float = 1.0
    optimizer: str = "adam"
    learning_rate: float = 0.1
    b1: float = 0.5
    b2: float = 0.99
    eps: float = 1e-8
    floor: float = 3.0
    before_activation: bool = False
    seen: float = 1.0
    seen_shape: str = "scattered"
    tokens: str = "patches"
    scale: float = 1.0
    total_variation: float = 0.004
    color: str = "divide"
    color_strength: float = 1.0
    color_anneal: bool = False
    noise: float = 0.5
    noise_shape: str = "channel"
    noise_anneal: bool = True
    jitter: int = 32
    jitter_per_view: bool = False
    variants: int = 1
    diversity: float = 0.15
    diversity_of: str = "mean"
    row: int = 1
    row_shared: float = 4.0
    stages: tuple[Stage, ...] = ()

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if not isinstance(value := getattr(self, name), str) or value not in choices:
                raise InputError(f"recipe: unknown {name} {value!r}: one of {', '.join(choices)}")
        if not isinstance(self.tokens, str) or not (self.tokens in TOKENS or PATCH.fullmatch(self.tokens)):
            raise InputError(f"recipe: unknown tokens {self.tokens!r}: one of {', '.join(TOKENS)}, 'patch N'")
        for name, range in RANGES.items():
            object.__setattr__(self, name, range.check(f"recipe: {name}", getattr(self, name)))
        for name in FLAGS:
            if not isinstance(value := getattr(self, name), bool):
                raise InputError(f"recipe: {name} is {value!r}, it must be True or False")
        if self.seen < 1 and self.tokens not in TOKENS:
            raise InputError(f"recipe: with seen={self.seen} a view may lack {self.tokens!r}; use tokens='patches'")
        if self.optimizer == "muon" and self.parametrization != "pixels":
            raise InputError(f"recipe: muon updates planes of pixels, not {self.parametrization!r}; use adam")
        if self.row > 1 and self.variants > 1:
            raise InputError(
                f"recipe: pictures are {self.variants} variants or a row of {self.row}: choose one of both"
            )
        object.__setattr__(self, "stages", stages_of(self.stages))
        for stage in self.stages:
            self.during(stage, self.steps, stage.size)

    def during(self, stage: Stage, steps: int, size: float) -> "Recipe":
        """What holds in one stage, a recipe without stages.

        Args:
            stage: one of its stages.
            steps: that it takes.
            size: of its pictures, as a share of the model's.
        """
        changes = {name: getattr(self, name) * getattr(stage, name) for name in FACTORS}
        changes |= {name: value for name in INSTEAD if (value := getattr(stage, name)) is not None}
        return dataclasses.replace(self, stages=(), steps=steps, jitter=round(self.jitter * size), **changes)

    @property
    def together(self) -> int:
        """How many pictures that follow each other touch each other: a unit's variants, or a row."""
        return max(self.variants, self.row)


# The code of Ghiasi et al. 2022 (arXiv 2212.06727): 401 updates, 8 views; its activation carries a factor 1/8
# (the mean over an 8 x 8 diagonal matrix) beside 0.0005 * TV.
GHIASI = Recipe(scale=1 / 8, total_variation=0.0005)


def _coarse_to_fine(coarse: int, fine: int, *, rate: float, variation: float) -> Recipe:
    """Makes a recipe of ours, of so many steps at half the size and at the whole one.

    It takes the neuron before its activation function, where none dies, and a picture written as Fourier coefficients
    of decorrelated colours, which moves every scale at its own pace. Large structures come first, at a quarter of the
    cost of a step; then a few steps put detail on them, more of them where they cost little. One view and more steps
    see as much as several views and fewer. Steps are nearly as the gradient, all of one length: what matters most moves
    most, and how far a picture goes is the number of steps times the rate (experiments/recipes/frontier.py).

    Args:
        coarse, fine: steps of the two stages; those of the second for the last block.
        rate: learning rate of both stages.
        variation: total variation of the second stage over that of the first.
    """
    return dataclasses.replace(
        GHIASI,
        steps=coarse + fine,
        views=1,
        parametrization="fourier",
        decay=0.75,
        optimizer="nadam-rms",
        learning_rate=rate,
        b1=0.9,
        b2=0.999,
        total_variation=0.00005,
        color_strength=0.15,
        color_anneal=True,
        jitter=4,  # of eight and more, a picture has to look the same to a patch of 16 wherever it falls
        before_activation=True,
        stages=(
            Stage(size=0.5, steps=coarse),
            Stage(steps=fine, shallow=1, total_variation=variation, noise=0, color_strength=0.4),
        ),
    )


RECIPES: dict[str, Recipe] = {
    "default": _coarse_to_fine(140, 68, rate=0.075, variation=5),
    "fast": _coarse_to_fine(80, 24, rate=0.125, variation=3),
    "best": _coarse_to_fine(300, 220, rate=0.0625, variation=5),
    "ghiasi": GHIASI,
    # The same method as the paper writes it: colours sigma * x + mu, Gaussian noise for each pixel.
    "ghiasi-paper": dataclasses.replace(GHIASI, color="multiply", noise=1.0, noise_shape="pixel", noise_anneal=False),
}

ABOUT = {  # what each is for, in a line
    "default": "what to begin with: 140 steps at half the size, then 68; a twentieth of the operations of ghiasi",
    "fast": "for a whole network or a first look: 80 steps at half the size, then 24; a fiftieth",
    "best": "for few units, or figures: 300 steps at half the size, then 220; a seventh",
    "ghiasi": "the published code of Ghiasi et al. 2022: 401 steps of 8 views on pixels",
    "ghiasi-paper": "the same method as the text of the paper has it",
}


def recipes() -> dict[str, Recipe]:
    """Lists the recipes by name."""
    return dict(RECIPES)


def fields(recipe: Recipe) -> dict[str, Any]:
    """What records say of a recipe, as JSON has it: all fields, those that came later only where they matter.

    `Recipe(**fields)` is the recipe again.
    """
    found = dataclasses.asdict(recipe)
    stages = [{name: value for name, value in stage.items() if value is not None} for stage in found.pop("stages")]
    for name in ("floor", "diversity_of", "row", "row_shared"):
        if found[name] == getattr(Recipe, name):
            del found[name]
    return found | ({"stages": stages} if stages else {})


def choose(name: str | Recipe, **changes: Any) -> Recipe:
    """Gives a recipe by name with some of its fields changed.

    Args:
        name: of a recipe, or one itself.
        changes: new values of its fields; they may be texts, as on the command line, that of the stages in JSON. A
            field of one of its stages is called "stages.0.size".

    Raises:
        InputError: an unknown recipe or field, or a value that a field cannot take.
    """
    if isinstance(name, str):
        if name not in RECIPES:
            raise InputError(f"unknown recipe {name!r}{nearest(name, RECIPES)}; there are {', '.join(RECIPES)}")
        name = RECIPES[name]
    if not isinstance(name, Recipe):
        raise InputError(f"{name!r} is no recipe: give a name ({', '.join(RECIPES)}) or a Recipe")
    types = {field.name: type(field.default) for field in dataclasses.fields(Recipe)}
    within = {field: changes.pop(field) for field in list(changes) if field.startswith("stages.")}
    for field, value in changes.items():
        if field not in types:
            raise InputError(f"a recipe has no {field!r}{nearest(field, types)}")
        if isinstance(value, str):
            changes[field] = read_stages(value) if field == "stages" else read(field, value, types[field])
    changed_stages = changed(stages_of(changes.get("stages", name.stages)), within)
    return dataclasses.replace(name, **changes | {"stages": changed_stages})
