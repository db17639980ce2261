"""The analyses by name, with their options: what the command line offers, known without importing JAX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A keyword of an analysis as the command line offers it; `kind` names a type in `vitjax.cli.analyze.KINDS`."""

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
    """An analysis: `function` of `vitjax.analysis.MODULE`, called with (model, data, **options), gives `Findings`.

    Attributes:
        module, function: where it is.
        summary: one line.
        text: what is measured, and by whom it was first.
        options: its keywords.
        resumable: it takes `folder`, where it keeps its state, and hosts may share it.
    """

    module: str
    summary: str
    text: str
    options: tuple[Option, ...] = ()
    function: str = "run"
    resumable: bool = False


_BLOCKS = Option("--blocks", "numbers", "blocks to take, e.g. 0,6,11 (default: all)")
_K = "best images of each unit"
_TAPS = Option("--taps", "words", "whose units; * stands for every block (default: 'blocks.*.mlp.hidden')")
_BOXES = (
    Option(
        "--boxes",
        "path",
        "object boxes: Tiny ImageNet's lists, ImageNet's XML (a folder or zip), COCO's JSON (default: lists in --data)",
    ),
    Option("--all-objects", "flag", "count objects of other classes than the image's as well", False),
)
_MASKED = (
    Option("--masks", "path", "masks of objects: VOC's root, COCO's JSON, or PNG class maps (NAME.png, NAME_mask.png)"),
    Option("--boxes", "path", "boxes in place of masks: Tiny ImageNet's lists, PASCAL's XML, COCO's JSON"),
)
_LAYERS = Option("--taps", "words", "whose embeddings (default: 'blocks.*.resid_post')")
_CONTROL = Option("--control", "flag", "measure a model with random weights too", False)

ANALYSES: dict[str, Analysis] = {
    "exemplars": Analysis(
        "exemplar_tables",
        "the images that every unit responds to most",
        "One pass over the data finds the k best images of every unit of the chosen taps, the patch that fired, images"
        " at the quantiles of its scores, a histogram, and how sparse it is. Writes exemplars.parquet (a row per unit"
        " and image) and units.parquet (a row per unit). A run that was stopped goes on in the same --out; with --shard"
        " several hosts share the work and the folder.",
        (
            _TAPS,
            Option("--k", "count", _K, 9),
            Option("--tokens", "text", "which tokens count: patches, class, all or 'patch N'", "patches"),
        ),
        resumable=True,
    ),
    "maps": Analysis(
        "maps",
        "where on its best images a unit is active",
        "The activation of units over the patches of their best images, beside the images and laid over them (figures"
        " 2, 4 and 7 to 9 of Ghiasi et al. 2022).",
        (
            Option("--units", "words", "unit sets, e.g. blocks.6.mlp.hidden:0-7 (default: some of each block)"),
            Option("--k", "count", _K, 5),
            Option("--seed", "seed", "of the draw of units", 0),
        ),
    ),
    "spread": Analysis(
        "spread",
        "how much of where things are is left in each block",
        "How evenly units light up their best images, and how alike the patches of an image are, block after block."
        " Ghiasi et al. 2022 show maps of the last block that spread over all patches (section 4).",
        (_BLOCKS,),
    ),
    "objects": Analysis(
        "objects",
        "whether units are active on objects or on what surrounds them",
        "The share of every neuron's activity that lies outside the boxes of the objects, on its best images.",
        (_BLOCKS, Option("--k", "count", _K, 3), *_BOXES),
    ),
    "background": Analysis(
        "background",
        "the units that are active on what surrounds objects",
        "The neurons of a block whose activity lies outside the boxes of the objects most, with their maps (figure 7a"
        " of Ghiasi et al. 2022 shows one).",
        (
            Option("--block", "number", "whose neurons (default: the middle one)"),
            Option("--count", "count", "units to show", 6),
            Option("--k", "count", _K, 3),
            *_BOXES,
        ),
    ),
    "rotation": Analysis(
        "invariance",
        "what turning an image leaves of its units' activations",
        "Each unit's activation on its best image, averaged over turns of 0, 20, … 340 degrees, as a share of that on"
        " the upright image (experiment it13 of Ghiasi et al. 2022).",
        (_TAPS, Option("--angles", "fractions", "degrees, 0 first (default: 0,20,…,340)")),
        function="run_rotation",
    ),
    "shift": Analysis(
        "invariance",
        "what moving an image leaves of its units' activations",
        "Each unit's activation on its best image, averaged over circular shifts, as a share of that on the unmoved"
        " image (experiment it13 of Ghiasi et al. 2022).",
        (_TAPS, Option("--steps", "numbers", "pixels in either direction, 0 first (default: 0,4,8,12)")),
        function="run_shift",
    ),
    "features": Analysis(
        "attention_features",
        "pictures of queries, keys and values beside feed-forward neurons",
        "Paints units of all four kinds with the same recipe and compares their high frequencies (figure 3 of Ghiasi et"
        " al. 2022).",
        (
            Option("--blocks", "numbers", "blocks to take (default: first, middle and last)"),
            Option("--count", "count", "units of each kind and block", 2),
            Option("--recipe", "text", "how they are painted", "default"),
            Option("--seed", "seed", "of the draw and of the pictures", 0),
        ),
    ),
    "class-token": Analysis(
        "class_token",
        "what the class token needs of the patches, block after block",
        "Accuracy with the class token isolated in the first L blocks, and left alone after L blocks (table 1 of Ghiasi"
        " et al. 2022).",
        (Option("--layers", "numbers", "numbers of blocks, 0 to all (default: all of them)"),),
    ),
    "patch-heads": Analysis(
        "patch_heads",
        "what every patch token alone tells the classifier",
        "Accuracy of the classifier on each patch token and on means over tokens (table 1 and figure 5 of Ghiasi et al."
        " 2022).",
    ),
    "positions": Analysis(
        "positions",
        "what a model relies on positions for",
        "Accuracy without position embeddings, with random ones, and with the patches shuffled (experiment it7 of"
        " Ghiasi et al. 2022).",
        (Option("--seed", "seed", "of the random positions and the shuffles", 0),),
    ),
    "masking": Analysis(
        "masking",
        "how much a model knows from objects alone and from the rest alone",
        "Accuracy with all but the objects made black, and with the objects made black, as shares of that on whole"
        " images (table 2 of Ghiasi et al. 2022).",
        _BOXES,
    ),
    "frequency": Analysis(
        "frequency",
        "how much a model knows from low or from high frequencies",
        "Accuracy after ideal low-pass and high-pass filters of several radii, as shares of that on whole images"
        " (figure 14 of Ghiasi et al. 2022).",
        (
            Option("--radii", "fractions", "of the Nyquist frequency (default: 1,0.75,…,0.06)"),
            Option("--shape", "text", "of what is kept: disk or square", "disk"),
        ),
    ),
    "views": Analysis(
        "views_run",
        "what units of the residual stream are said to see of an image",
        "The filters of the patch embedding laid over the patches of images, and carried to later blocks by the rollout"
        " of attention: the views of Nguyen et al. 2022, for any token and unit of the residual stream.",
        (
            Option("--units", "words", "e.g. embed:7 blocks.4,8.resid_post:7 (default: the most even filters)"),
            Option("--tokens", "words", "whose views: patches, class, all or 'patch N' (default: patches class)"),
            Option("--heads", "text", "of the attention: mean, own (that of the unit's channel) or a number", "mean"),
            Option("--residual", "fraction", "weight of a token itself in what a block does to it", 0.5),
            Option("--gamma", "fraction", "contrast; 2.5 fits the paper's figures of object patches", 1.0),
            Option("--count", "count", "images shown, evenly spaced", 2),
        ),
    ),
    "view-cards": Analysis(
        "views_cards",
        "a unit's view beside its optimised picture and its best images",
        "A figure for each channel of the residual stream: at several depths the optimised picture of the unit, its"
        " best images, its view of them, and where on them it is active. Without --pictures, units are painted first.",
        (
            Option(
                "--units", "words", "e.g. embed:7 blocks.4,8.resid_post:7 (default: the most even filter's channel)"
            ),
            Option(
                "--pictures",
                "path",
                "folder that `vitjax visualize` made of these units (default: they are painted now)",
            ),
            Option("--recipe", "text", "how they are painted otherwise", "default"),
            Option("--k", "count", _K, 3),
            Option("--seed", "seed", "of the pictures", 0),
        ),
    ),
    "view-worth": Analysis(
        "views_worth",
        "how far units do what their views say",
        "The correlation, over the patches of an image, of every unit of the residual stream with the sum of its view,"
        " after every block; beside it that with the local view alone, as if no token had looked elsewhere.",
        (Option("--residual", "fraction", "weight of a token itself in what a block does to it", 0.5),),
    ),
    "rollout": Analysis(
        "rollout_run",
        "where the information in a token comes from",
        "Attention maps by rollout, by each block's attention alone or weighted by the gradient of the model's choice"
        " (figures of Nguyen et al. 2022; Abnar and Zuidema 2020; Chefer et al. 2021), and over all images how far"
        " tokens have looked after each block.",
        (
            Option("--method", "text", "rollout, attention or gradient", "rollout"),
            Option(
                "--residual", "fraction", "of rollout: weight of the token itself, 0 for attention alone (default: 0.5)"
            ),
            Option("--tokens", "text", "whose map: class, patches, all or 'patch N' (default: class, if there is one)"),
            Option("--layers", "numbers", "show maps after so many blocks, e.g. 1,12 (default: four of them)"),
            Option("--count", "count", "images shown, evenly spaced", 4),
        ),
    ),
    "occlusion": Analysis(
        "occlusion_curves",
        "what hiding more and more of an image leaves of it",
        "Accuracy, and how alike embeddings stay at every layer, when random, salient and other patches are hidden"
        " (Nguyen et al. 2022). Salient are the patches that show objects, where masks or boxes are given, else those"
        " that the class token attends to most. Writes occlusion-layers.parquet, a row per setting and layer.",
        (
            Option("--ratios", "fractions", "shares of each set of patches (default: 0.1,0.25,0.5,0.75,0.9)"),
            Option("--fills", "words", "what is put there: black, mean, noise, remove (default: black)"),
            *_MASKED,
            Option("--native", "flag", "hide tiles of the original image, before it is resized", False),
            _LAYERS,
            _CONTROL,
            Option("--seed", "seed", "of patches, noise and random weights", 0),
        ),
    ),
    "shuffle": Analysis(
        "shuffle",
        "what shuffling the tiles of an image leaves of it",
        "Accuracy, and how alike embeddings stay at every layer, when an image is cut into g x g tiles and these are"
        " shuffled (Nguyen et al. 2022). Writes shuffle-layers.parquet, a row per setting and layer.",
        (
            Option("--grids", "numbers", "tiles along each side (default: 2,4,8 and the patches, where they fit)"),
            _LAYERS,
            _CONTROL,
            Option("--seed", "seed", "of the shuffles and of random weights", 0),
        ),
    ),
    "tokens": Analysis(
        "tokens",
        "whether patches of the same object have similar embeddings",
        "Purity, silhouette, cosines and labels of DBSCAN's clusters of patches at every layer, as Nguyen et al. 2022"
        " measure them, with k-means and a linear probe beside them, on images with masks of their objects; and a map"
        " of the tokens of one image.",
        (
            *_MASKED,
            Option("--ignored", "numbers", "ids of PNG class maps that are no objects (default: 0,255)"),
            Option("--background", "flag", "what no object covers is an object, too", False),
            Option("--fit", "text", "how images become square: squash or crop", "squash"),
            Option("--grids", "numbers", "shuffles, 1 is the image as it is (default: 1)"),
            _LAYERS,
            _CONTROL,
            Option("--layout", "text", "map of tokens: tsne, umap (takes umap-learn) or none", "tsne"),
            Option("--seed", "seed", "of shuffles, k-means, layout and random weights", 0),
        ),
    ),
    "report-card": Analysis(
        "report_card",
        "grades and a verdict for pictures",
        "Grades the pictures that `vitjax visualize` left in a folder: activation under changes that no recipe trains"
        " for, against the best image; rank of the unit in its tap; spectrum against natural images; whether the"
        " picture leads back to its unit; convergence; and a verdict: good, weak, dead, saturated or noise.",
        (
            Option("--pictures", "path", "folder that `vitjax visualize` made with the same model", required=True),
            Option("--other-seed", "path", "folder with the same units under another seed, for stability"),
            Option("--embedding", "model", "model that judges likeness (default: the same)"),
            Option("--k", "count", _K, 9),
        ),
    ),
}
