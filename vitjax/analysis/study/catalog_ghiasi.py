"""The analyses after Ghiasi et al. 2022, and the report card of pictures, by name."""

from vitjax.analysis.study.entry import SAME, Analysis, Option

_BLOCKS = Option("--blocks", "numbers", "blocks to take, counted through all stages, e.g. 0,6,11 (default: all)")
_K = "best images of each unit"
_TAPS = Option("--taps", "words", "whose units; * stands for every block (default: all neurons)")
_BOXES = (
    Option(
        "--boxes",
        "path",
        "object boxes: Tiny ImageNet's lists, ImageNet's XML (a folder or zip), COCO's JSON (default: lists in --data)",
    ),
    Option("--all-objects", "flag", "count objects of other classes than the image's as well"),
)
GHIASI: dict[str, Analysis] = {
    "exemplars": Analysis(
        "photographs.exemplar_tables",
        "the images that every unit responds to most",
        "One pass over the data finds the k best images of every unit of the chosen taps, the patch that fired, images"
        " at the quantiles of its scores, a histogram, and how sparse it is. Writes exemplars.parquet (a row per unit"
        " and image) and units.parquet (a row per unit). A run that was stopped goes on in the same --out; with --shard"
        " several hosts share the work and the folder.",
        (
            _TAPS,
            Option("--k", "count", _K),
            Option("--tokens", "text", "which tokens count: patches, class, all or 'patch N'"),
        ),
        resumable=True,
    ),
    "maps": Analysis(
        "units.maps",
        "where on its best images a unit is active",
        "The activation of units over the patches of their best images, beside the images and laid over them (figures"
        " 2, 4 and 7 to 9 of Ghiasi et al. 2022).",
        (
            Option("--units", "words", "unit sets, e.g. blocks.6.mlp.hidden:0-7 (default: some of each block)"),
            Option("--k", "count", _K),
            Option("--seed", "seed", "of the draw of units"),
        ),
    ),
    "spread": Analysis(
        "units.spread",
        "how much of where things are is left in each block",
        "How evenly units light up their best images, and how alike the patches of an image are, block after block."
        " Ghiasi et al. 2022 show maps of the last block that spread over all patches (section 4).",
        (_BLOCKS,),
        needs=frozenset({"tokens", "attention"}),
    ),
    "objects": Analysis(
        "units.objects",
        "whether units are active on objects or on what surrounds them",
        "The share of every neuron's activity that lies outside the boxes of the objects, on its best images.",
        (_BLOCKS, Option("--k", "count", _K), *_BOXES),
    ),
    "background": Analysis(
        "units.background",
        "the units that are active on what surrounds objects",
        "The neurons of a block whose activity lies outside the boxes of the objects most, with their maps (figure 7a"
        " of Ghiasi et al. 2022 shows one).",
        (
            Option("--block", "number", "whose neurons (default: the middle one)"),
            Option("--count", "count", "units to show"),
            Option("--k", "count", _K),
            *_BOXES,
        ),
    ),
    "rotation": Analysis(
        "units.invariance",
        "what turning an image leaves of its units' activations",
        "Each unit's activation on its best image, averaged over turns of 0, 20, … 340 degrees, as a share of that on"
        " the upright image (experiment it13 of Ghiasi et al. 2022).",
        (_TAPS, Option("--angles", "fractions", "degrees, 0 first (default: 0,20,…,340)")),
        function="run_rotation",
    ),
    "shift": Analysis(
        "units.invariance",
        "what moving an image leaves of its units' activations",
        "Each unit's activation on its best image, averaged over circular shifts, as a share of that on the unmoved"
        " image (experiment it13 of Ghiasi et al. 2022).",
        (_TAPS, Option("--steps", "numbers", "pixels in either direction, 0 first (default: 0,4,8,12)")),
        function="run_shift",
    ),
    "features": Analysis(
        "units.attention_features",
        "pictures of queries, keys and values beside feed-forward neurons",
        "Paints units of all four kinds with the same recipe and compares their high frequencies (figure 3 of Ghiasi et"
        " al. 2022).",
        (
            Option("--blocks", "numbers", "blocks to take (default: first, middle and last)"),
            Option("--count", "count", "units of each kind and block"),
            Option("--recipe", "text", "how they are painted"),
            Option("--seed", "seed", "of the draw and of the pictures"),
        ),
        needs=frozenset({"tokens", "attention"}),
    ),
    "class-token": Analysis(
        "ablations.class_token",
        "what the class token needs of the patches, block after block",
        "Accuracy with the class token isolated in the first L blocks, and left alone after L blocks (table 1 of Ghiasi"
        " et al. 2022).",
        (Option("--layers", "numbers", "numbers of blocks, 0 to all (default: all of them)"),),
        needs=frozenset({"class token", "global attention", SAME}),
    ),
    "patch-heads": Analysis(
        "ablations.patch_heads",
        "what every patch token alone tells the classifier",
        "Accuracy of the classifier on each patch token and on means over tokens (table 1 and figure 5 of Ghiasi et al."
        " 2022).",
        needs=frozenset({"class token"}),
    ),
    "positions": Analysis(
        "ablations.positions",
        "what a model relies on positions for",
        "Accuracy without position embeddings, with random ones, and with the patches shuffled (experiment it7 of"
        " Ghiasi et al. 2022).",
        (Option("--seed", "seed", "of the random positions and the shuffles"),),
        needs=frozenset({"positions"}),
    ),
    "masking": Analysis(
        "ablations.masking",
        "how much a model knows from objects alone and from the rest alone",
        "Accuracy with all but the objects made black, and with the objects made black, as shares of that on whole"
        " images (table 2 of Ghiasi et al. 2022).",
        _BOXES,
    ),
    "frequency": Analysis(
        "ablations.frequency",
        "how much a model knows from low or from high frequencies",
        "Accuracy after ideal low-pass and high-pass filters of several radii, as shares of that on whole images"
        " (figure 14 of Ghiasi et al. 2022).",
        (
            Option("--radii", "fractions", "of the Nyquist frequency (default: 1,0.75,…,0.06)"),
            Option("--shape", "text", "of what is kept: disk or square"),
        ),
    ),
    "report-card": Analysis(
        "report.report_card",
        "grades and a verdict for pictures",
        "Grades the pictures that `vitjax visualize` left in a folder: activation under changes that no recipe trains"
        " for, against the best image; rank of the unit in its tap; spectrum, noise and contrast against natural"
        " images; whether the picture leads back to its unit; convergence; and a verdict: good, strange, weak,"
        " saturated, noise, copy, faint or dead.",
        (
            Option("--pictures", "path", "folder that `vitjax visualize` made with the same model", required=True),
            Option("--other-seed", "path", "folder with the same units under another seed, for stability"),
            Option("--embedding", "model", "model that judges likeness and scores units (default: the same; no score)"),
            Option("--k", "count", _K),
        ),
    ),
}
