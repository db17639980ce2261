"""The analyses by name, with their options: what the command line offers, known without importing JAX."""

from vitjax.analysis.study.catalog_ghiasi import GHIASI
from vitjax.analysis.study.catalog_nguyen import NGUYEN
from vitjax.analysis.study.entry import SAME, Analysis, Option

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
}
ANALYSES: dict[str, Analysis] = GHIASI | NGUYEN | OWN
