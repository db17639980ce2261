"""The analyses by name, with their options: what the command line offers, known without importing JAX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A keyword of an analysis' `run` as the command line offers it.

    `kind` names a type in `vitjax.cli.analyze.KINDS`; without a `default` the option must be given.
    """

    flag: str
    kind: str
    help: str
    default: object = None
    required: bool = False

    @property
    def name(self) -> str:
        """The keyword."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Analysis:
    """An analysis: `run(model, data, **options)` in `module` gives `Findings`.

    `summary` is one line; `text` says what is measured and where it comes from. A resumable one takes `folder`, where
    it keeps its state, and may be shared out over hosts.
    """

    module: str
    summary: str
    text: str
    options: tuple[Option, ...] = ()
    function: str = "run"
    resumable: bool = False


UNITS = Option("--units", "words", "unit sets, e.g. blocks.6.mlp.hidden:0-7 (several allowed)")
LAYERS = Option("--layers", "numbers", "blocks to take, e.g. 0,6,11 (default: all)")

ANALYSES: dict[str, Analysis] = {
    "exemplars": Analysis(
        "vitjax.analysis.exemplar_tables",
        "the images that every unit responds to most, and its ordinary ones",
        "One pass over the data: the k best images of every unit of the chosen taps, with the patch that fired, images"
        " at the quantiles of its scores, a histogram, and how sparse it is. Writes exemplars.parquet (a row per unit"
        " and image) and units.parquet (a row per unit). A run that was stopped goes on in the same --out folder; with"
        " --shard, several hosts share the work and the folder.",
        (
            Option("--taps", "words", "whose units, e.g. 'blocks.*.mlp.hidden' (the default) or logits"),
            Option("--k", "count", "best images kept for each unit", 9),
            Option("--tokens", "text", "which tokens count: patches, class, all or 'patch N'", "patches"),
        ),
        resumable=True,
    ),
    "maps": Analysis(
        "vitjax.analysis.maps",
        "where on an image a unit is active",
        "The activation of units over the patches of their best images, as Ghiasi et al. 2022 show them (figures 2, 4,"
        " 7 to 9), and overlaid on the image.",
        (UNITS, Option("--k", "count", "images for each unit", 5)),
    ),
}
