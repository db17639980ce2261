"""The analyses after Nguyen et al. 2022, by name."""

from vitjax.analysis.study.entry import SAME, Analysis, Option

_MASKED = (
    Option("--masks", "path", "masks of objects: VOC's root, COCO's JSON, or PNG class maps (NAME.png, NAME_mask.png)"),
    Option("--boxes", "path", "boxes in place of masks: Tiny ImageNet's lists, PASCAL's XML, COCO's JSON"),
)
_LAYERS = Option("--taps", "words", "whose embeddings (default: the output of every block)")
_CONTROL = Option("--control", "flag", "measure a model with random weights too")

NGUYEN: dict[str, Analysis] = {
    "views": Analysis(
        "views.view_figures",
        "what units of the residual stream are said to see of an image",
        "The filters of the patch embedding laid over the patches of images, and carried to later blocks by the rollout"
        " of attention: the views of Nguyen et al. 2022, for any token and unit of the residual stream.",
        (
            Option("--units", "words", "e.g. embed:7 blocks.4,8.resid_post:7 (default: the most even filters)"),
            Option("--tokens", "words", "whose views: patches, class, all or 'patch N' (default: patches class)"),
            Option("--heads", "text", "of the attention: mean, own (that of the unit's channel) or a number"),
            Option("--residual", "fraction", "weight of a token itself in what a block does to it"),
            Option("--gamma", "fraction", "contrast; 2.5 fits the paper's figures of object patches"),
            Option("--count", "count", "images shown, evenly spaced"),
        ),
        needs=frozenset({"patch filters", "global attention", SAME}),
    ),
    "view-cards": Analysis(
        "views.view_beside_picture",
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
            Option("--recipe", "text", "how they are painted otherwise"),
            Option("--k", "count", "best images of each unit"),
            Option("--seed", "seed", "of the pictures"),
        ),
        needs=frozenset({"patch filters", "global attention", SAME}),
    ),
    "view-worth": Analysis(
        "views.view_worth",
        "how far units do what their views say",
        "The correlation, over the patches of an image, of every unit of the residual stream with the sum of its view,"
        " after every block; beside it that with the local view alone, as if no token had looked elsewhere.",
        (Option("--residual", "fraction", "weight of a token itself in what a block does to it"),),
        needs=frozenset({"patch filters", "global attention", SAME}),
    ),
    "rollout": Analysis(
        "views.attention_maps",
        "where the information in a token comes from",
        "Attention maps by rollout, by each block's attention alone or weighted by the gradient of the model's choice"
        " (figures of Nguyen et al. 2022; Abnar and Zuidema 2020; Chefer et al. 2021), and over all images how far"
        " tokens have looked after each block. In a model of stages they are of the last stage, whose tokens are the"
        " same.",
        (
            Option("--method", "text", "rollout, attention or gradient"),
            Option(
                "--residual", "fraction", "of rollout: weight of the token itself, 0 for attention alone (default: 0.5)"
            ),
            Option("--tokens", "text", "whose map: class, patches, all or 'patch N' (default: class, if there is one)"),
            Option(
                "--layers",
                "numbers",
                "show maps after so many blocks, e.g. 1,12: after block 0 and block 11 (default: four of them)",
            ),
            Option("--count", "count", "images shown, evenly spaced"),
        ),
        needs=frozenset({"global attention"}),
    ),
    "occlusion": Analysis(
        "perturbed.occlusion_curves",
        "what hiding more and more of an image leaves of it",
        "Accuracy, and how alike embeddings stay at every layer, when random, salient and other patches are hidden"
        " (Nguyen et al. 2022). Salient are the patches that show objects, where masks or boxes are given, else those"
        " that the class token attends to most. Writes occlusion-layers.parquet, a row per setting and layer.",
        (
            Option("--ratios", "fractions", "shares of each set of patches (default: 0.1,0.25,0.5,0.75,0.9)"),
            Option("--fills", "words", "what is put there: black, mean, noise, remove (default: black)"),
            *_MASKED,
            Option("--native", "flag", "hide tiles of the original image, before it is resized"),
            _LAYERS,
            _CONTROL,
            Option("--seed", "seed", "of patches, noise and random weights"),
        ),
    ),
    "shuffle": Analysis(
        "perturbed.shuffle",
        "what shuffling the tiles of an image leaves of it",
        "Accuracy, and how alike embeddings stay at every layer, when an image is cut into g x g tiles and these are"
        " shuffled (Nguyen et al. 2022). Writes shuffle-layers.parquet, a row per setting and layer.",
        (
            Option("--grids", "numbers", "tiles along each side (default: 2,4,8 and the patches, where they fit)"),
            _LAYERS,
            _CONTROL,
            Option("--seed", "seed", "of the shuffles and of random weights"),
        ),
    ),
    "tokens": Analysis(
        "clusters.token_clusters",
        "whether patches of the same object have similar embeddings",
        "Purity, silhouette, cosines and labels of DBSCAN's clusters of patches at every layer, as Nguyen et al. 2022"
        " measure them, with k-means and a linear probe beside them, on images with masks of their objects; and a map"
        " of the tokens of one image.",
        (
            *_MASKED,
            Option("--ignored", "numbers", "ids of PNG class maps that are no objects (default: 0,255)"),
            Option("--background", "flag", "what no object covers is an object, too"),
            Option("--fit", "text", "how images become square: squash or crop"),
            Option(
                "--claims",
                "text",
                "a patch that two objects claim: larger takes it, or sum of ids as published",
            ),
            Option("--grids", "numbers", "shuffles, 1 is the image as it is (default: 1)"),
            _LAYERS,
            Option(
                "--embeddings",
                "words",
                "published, unit (length) and no-outliers (without tokens of huge norm, see norms); default: all three",
            ),
            _CONTROL,
            Option("--layout", "text", "map of tokens: tsne, umap (takes umap-learn) or none"),
            Option("--seed", "seed", "of shuffles, k-means, layout and random weights"),
        ),
        needs=frozenset({"tokens"}),
    ),
}
