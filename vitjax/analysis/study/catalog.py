"""The analyses by name, with their options: what the command line offers, known without importing JAX."""

from vitjax.analysis.study.catalog_ghiasi import GHIASI
from vitjax.analysis.study.catalog_nguyen import NGUYEN
from vitjax.analysis.study.entry import SAME, Analysis, Option

_OTHER = Option("--other", "model", "the model to compare with", required=True)
OWN: dict[str, Analysis] = {
    "norms": Analysis(
        "norms.norms",
        "tokens of huge norm: where, since which block, what for",
        "Patch tokens whose norm after a block is many times the median of their image (Darcet et al. 2023, arXiv"
        " 2309.16588): where they stand and on what, how much of the attention goes to them, and what removing or"
        " replacing them costs, beside as many other tokens. Writes norms-cost.parquet, a row per treatment.",
        (
            Option("--times", "fraction", "how many times the median norm such a token exceeds"),
            Option("--control", "flag", "look at a model with random weights too"),
            Option("--seed", "seed", "of the other tokens and of random weights"),
        ),
        needs=frozenset({"tokens", "patch filters", "global attention", SAME}),
    ),
    "corruptions": Analysis(
        "perturbed.corruptions",
        "accuracy under noise, blur, weather and digital corruptions",
        "Error under the 15 kinds of corruption of ImageNet-C at five severities each (Hendrycks and Dietterich 2019,"
        " arXiv 1903.12261), made from their definitions while the images stream, and the mean corruption error: that"
        " of the model as a share of a baseline's. Frost is drawn, where ImageNet-C has photographs of it. Writes"
        " corruptions-severities.parquet, a row per kind, severity and model.",
        (
            Option("--baseline", "model", "model that errors are measured against"),
            Option("--alexnet", "flag", "measure them against AlexNet's published errors on ImageNet-C instead"),
            Option("--kinds", "words", "e.g. fog snow (default: all 15)"),
            Option("--severities", "numbers", "of 1 to 5 (default: all)"),
            Option("--seed", "seed", "of noise, flakes, clouds and warps"),
        ),
    ),
    "directions": Analysis(
        "directions.find",
        "directions of a tap: components, clusters, class means, probes",
        "Finds directions in the value of a tap and keeps them in directions.npz, in the tap's own space, with what"
        " they were made from: they are units then, directions.npz:3. Of a sample of tokens: pca, ica, nmf (as CRAFT,"
        " Fel et al. 2023, arXiv 2211.10154), semi-nmf, kmeans. Of classes, each against all other images: means (their"
        " difference), lda, probe (concept activation vectors, Kim et al. 2018, arXiv 1711.11279), with the area under"
        " the curve on held-out images.",
        (
            Option("--tap", "text", "whose value, e.g. blocks.9.resid_post", required=True),
            Option("--method", "text", "pca, ica, nmf, semi-nmf, kmeans, means, lda or probe"),
            Option("--count", "count", "directions, for methods of tokens"),
            Option("--sample", "count", "tokens that are taken; memory holds as many"),
            Option("--tokens", "text", "which tokens count: patches, class, all or 'patch N'"),
            Option("--classes", "words", "that have a direction, by name or number (default: all of the data)"),
            Option("--against", "path", "other images, told apart from --data in place of classes"),
            Option("--strength", "fraction", "of a probe's L2 penalty"),
            Option("--name", "text", "of the set: its tap is TAP.directions@NAME (default: the method)"),
            Option("--seed", "seed", "of the draw of tokens and of the method"),
        ),
    ),
    "grid": Analysis(
        "directions.grid",
        "what one photograph is made of at a tap, in pictures at its places",
        "An activation grid: for every place of a photograph a picture of the direction of its value at a tap, as large"
        " as the value is long, and the classes that it speaks for, by its product with the logits' gradient; or for a"
        " few groups of places that are alike (Olah et al. 2018, doi 10.23915/distill.00010). --data is the image.",
        (
            Option("--tap", "text", "whose value, e.g. blocks.9.resid_post", required=True),
            Option("--groups", "count", "groups of places, a picture each (default: a picture for every place)"),
            Option("--method", "text", "that finds groups: auto, nmf, semi-nmf, kmeans, ica or pca"),
            Option("--mean", "path", "images whose mean token is taken off every place first"),
            Option("--recipe", "text", "how pictures are made"),
            Option("--seed", "seed", "of the pictures and of the groups"),
        ),
    ),
    "dictionary-score": Analysis(
        "dictionaries.dictionary_score",
        "what a dictionary of features explains, and with how many latents",
        "Normalised error, latents of a token, dead and dense latents, cosine, shrinkage, coherence of a dictionary,"
        " and which share of the model's loss comes back where its reconstruction stands for the tap. Writes"
        " dictionary-score-latents.parquet, a row per latent. The same as `vitjax dictionary score`.",
        (
            Option("--taps", "words", "of the latents, e.g. blocks.9.resid_post.sae (default: all dictionaries)"),
            Option("--beside", "text", "another dictionary, as for --dictionary: how alike latents are, e.g. of seeds"),
            Option("--loss", "text", "classes, cosine (of the output) or auto: that of classes where they are known"),
        ),
    ),
    "words": Analysis(
        "photographs.words",
        "the words that name the units of a CLIP",
        "For every unit of a CLIP's or SigLIP's image tower the two words whose texts are nearest to its best images,"
        " by the cosine of centred embeddings, after the idea of CLIP-Dissect (Oikarinen and Weng 2023, arXiv"
        " 2204.10965).",
        (
            Option("--words", "path", "file with the words to choose from, as of --class-names", required=True),
            Option("--taps", "words", "whose units; * stands for every block (default: all neurons)"),
            Option("--k", "count", "best images of each unit"),
            Option("--tokens", "text", "which tokens count: patches, class, all or 'patch N'"),
            Option("--text", "text", "checkpoint of the text tower (default: the model's own)"),
        ),
    ),
    "scores": Analysis(
        "scores.unit_scores",
        "how interpretable units are in the eyes of another model",
        "Scores units by how alike the images and crops are that they respond to, by the embeddings of an encoder,"
        " which is named: monosemanticity (Pach et al. 2025, arXiv 2504.02821) in one pass, clarity, redundancy and"
        " polysemanticity (SemanticLens, Dreyer et al. 2025, arXiv 2501.05398), the tasks of the machine"
        " interpretability score (Zimmermann et al. 2024; MIS where the encoder is DreamSim), density and L0. Writes"
        " unit-scores.parquet, a row per unit.",
        (
            Option(
                "--encoder",
                "model",
                "model whose embeddings say how alike images are (default: the same, which favours late units)",
            ),
            Option("--encoder-tap", "text", "where they are (default: embedding, pooled or its output)"),
            Option("--taps", "words", "whose units; * stands for every block (default: all neurons)"),
            Option("--count", "count", "units of each tap, drawn at random (default: all)"),
            Option("--k", "count", "best images of each unit"),
            Option("--tokens", "text", "which tokens count: patches, class, all or 'patch N'"),
            Option("--crop", "fraction", "the side of a crop in sides of the image"),
            Option("--temperature", "fraction", "of task_score, the mean of sigmoid(difference / temperature)"),
            Option("--control", "flag", "score random directions, shuffled images and an encoder of colours, too"),
            Option("--seed", "seed", "of the draws"),
        ),
    ),
    "match": Analysis(
        "alignment.matching",
        "which unit of another model each unit is most like",
        "Matches the units of two models by the Pearson correlation of their activations over images, or over the"
        " places of a grid that both are laid on: best match, whether it is mutual, and the assignment that gives no"
        " unit twice (Li et al. 2016, arXiv 1511.07543). Writes matches.parquet, a row per unit.",
        (
            _OTHER,
            Option("--taps", "words", "whose units; * stands for every block (default: all neurons)"),
            Option("--other-taps", "words", "whose units of the other model (default: all neurons)"),
            Option("--over", "text", "what is correlated over: images or places"),
            Option("--tokens", "text", "which tokens count over images: patches, class, all or 'patch N'"),
            Option("--control", "flag", "match with other images' activations, too"),
            Option("--seed", "seed", "of the order of those"),
        ),
    ),
    "cka": Analysis(
        "alignment.cka_layers",
        "how alike the layers of two models are",
        "Compares every layer of a model with every layer of another by linear CKA (Kornblith et al. 2019, arXiv"
        " 1905.00414), with the unbiased estimator as well, and by relative representations (Moschella et al. 2023,"
        " arXiv 2209.15430), over the same images.",
        (
            _OTHER,
            Option("--taps", "words", "layers; * stands for every block (default: after every block)"),
            Option("--other-taps", "words", "of the other model (default: after every block)"),
            Option("--tokens", "text", "which tokens are averaged: patches, class, all or 'patch N'"),
            Option("--anchors", "number", "images that relative representations are relative to"),
            Option("--control", "flag", "compare with the other model on other images, too"),
            Option("--seed", "seed", "of the anchors, and of the order of those images"),
        ),
    ),
}
ANALYSES: dict[str, Analysis] = GHIASI | NGUYEN | OWN
