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
