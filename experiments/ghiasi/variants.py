"""Pictures of neurons from early to late blocks, a row for each model (Ghiasi et al. 2022, the figures over variants).

The paper shows that its pictures go the same way in DeiT, CoaT, ConViT, PiT, Swin and Twins as in ViTs: edges and
textures in early blocks, patterns and things in late ones. Here a row is a model and the neurons are drawn at random,
as many blocks of each model as there are columns, evenly from the first to the last through all stages.

    python -m experiments.ghiasi.variants --model demo Swin=runs/swin --columns 6
    python -m experiments.ghiasi.variants --model swin pit --recipe ghiasi

A model is a folder, a file or a hub id, with LABEL= before it for another name than its own. The paper's names stand
for the weights of VARIANTS, and `coat`, `convit`, `pit`, `swin`, `twins` for all that begin so. A table has a row for
each picture, with two of figure 1's measures. A model that cannot be loaded is named, and its row left out.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import jax
import numpy as np

import vitjax
from experiments import script
from experiments.ghiasi.fig1_progression import centroid
from vitjax.analysis.ablations.frequency import radial_spectrum
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.units.attention_features import high_frequency
from vitjax.errors import InputError
from vitjax.models.core.network import Network, provenance
from vitjax.models.core.vocabulary import split_tap
from vitjax.optimize.results.pictures import Pictures
from vitjax.optimize.visualize import visualize
from vitjax.units.units import Unit, expand, neurons, sample

# The paper's hierarchical variants with the weights that stood under these names when it was written.
VARIANTS: dict[str, str] = {
    **{f"coat_{size}": f"timm/coat_{size}.in1k" for size in ("tiny", "mini", "lite_tiny", "lite_mini", "lite_small")},
    **{f"convit_{size}": f"timm/convit_{size}.fb_in1k" for size in ("tiny", "small", "base")},
    **{
        f"pit_{size}{kind}_224": f"timm/pit_{size}{kind}_224.in1k"
        for kind in ("", "_distilled")
        for size in ("ti", "xs", "s", "b")
    },
    **{f"swin_{size}_patch4_window7_224": f"timm/swin_{size}_patch4_window7_224.ms_in1k" for size in ("tiny", "small")},
    **{
        f"swin_{size}_patch4_{at}{name}": f"timm/swin_{size}_patch4_{at}.{tag}"
        for name, tag in (("", "ms_in22k_ft_in1k"), ("_in22k", "ms_in22k"))
        for size in ("base", "large")
        for at in ("window7_224", "window12_384")
    },
    **{
        f"twins_{kind}_{size}": f"timm/twins_{kind}_{size}.in1k"
        for kind in ("pcpvt", "svt")
        for size in ("small", "base", "large")
    },
}

_spectrum = jax.jit(radial_spectrum)


def sources(words: Iterable[str]) -> dict[str, str]:
    """The models meant, {label: what to load}; a word is a variant's name, how several begin, or [LABEL=]SOURCE."""
    found: dict[str, str] = {}
    for word in words:
        some = {name: source for name, source in VARIANTS.items() if name == word or name.split("_")[0] == word}
        found |= some or script.labelled([word])
    return found


def drawn(model: Network, columns: int, count: int, seed: int) -> list[list[Unit]]:
    """Neurons of blocks from the first to the last, `count` of each of at most `columns` blocks.

    In blocks of the same width they have the same numbers.
    """
    taps = list(neurons(model))
    chosen = dict.fromkeys(np.linspace(0, len(taps) - 1, columns).round().astype(int).tolist())
    return [sample(expand(f"{taps[i]}:*", model.taps()), count, seed) for i in chosen]


def measured(label: str, model: Network, pictures: Pictures) -> list[dict]:
    """A row for each picture: where its neuron is, and what figure 1 measures of it."""
    spectrum = np.asarray(_spectrum(pictures.images.astype(np.float32) / 255))
    taps, shares, middles = list(neurons(model)), high_frequency(spectrum), centroid(spectrum)
    return [
        {
            "model": label,
            "unit": str(unit),
            "block": taps.index(unit.tap),
            "blocks": len(taps),
            "activation": float(pictures.activation[i]),
            "centroid": float(middles[i]),
            "high_frequency": float(shares[i]),
        }
        for i, unit in enumerate(pictures.units)
    ]


def caption(units: Sequence[Unit]) -> str:
    """The stage, if there are any, the block and its neurons: `2.5: 31, 40`."""
    stage, block, _ = split_tap(units[0].tap)
    numbers = ", ".join(".".join(map(str, unit.index)) for unit in units)
    return f"{'' if stage is None else f'{stage}.'}{block}: {numbers}"


def row_of(label: str, source: str, columns: int, count: int, recipe: str, seed: int) -> tuple[Findings, list, list]:
    """One model's findings, its pictures in groups, a group a block, and their captions."""
    model = vitjax.load(source)
    groups = drawn(model, columns, count, seed)
    pictures = visualize(model, list(chain(*groups)), recipe, seed=seed)
    images = dict(zip(pictures.units, pictures.images, strict=True))
    rows = measured(label, model, pictures)
    said = list(map(caption, groups))
    return Findings(label, rows, provenance(model)), [[images[unit] for unit in group] for group in groups], said


def together(found: Mapping[str, tuple[Findings, list, list]], about: Mapping[str, object]) -> Findings:
    """All models' rows, with the figure of a row a model."""
    figure = gallery(
        [groups for _, groups, _ in found.values()],
        labels=[label.replace("_patch", "\n_patch").replace("_distilled", "\n_distilled") for label in found],
        captions=[captions for _, _, captions in found.values()],
    )
    rows = [row for findings, _, _ in found.values() for row in findings.rows]
    models = {label: findings.settings for label, (findings, _, _) in found.items()}
    return Findings("variants", rows, {"models": models, **about}, {"": figure}, f"{len(rows)} pictures")


def main() -> None:
    parser = script.parser(__doc__, __file__, ["demo"], about="one or several, see above", nargs="+")
    parser.add_argument("--columns", type=int, default=6, help="blocks shown of each model")
    parser.add_argument("--count", type=int, default=1, help="neurons of each block")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--seed", type=int, default=0, help="of the draw and of the pictures")
    parser.add_argument("--name", default="variants", help="of the files")
    args = parser.parse_args()
    how = {"columns": args.columns, "count": args.count, "recipe": args.recipe, "seed": args.seed}
    found = {}
    for label, source in sources(args.model).items():
        try:
            found[label] = row_of(label, source, **how)
        except InputError as error:
            print(f"{label}: {error}", file=sys.stderr)
            continue
        print(f"{label}: {len(found[label][0].rows)} pictures", flush=True)
    if not found:
        raise SystemExit("none of the models could be loaded")
    findings = together(found, how)
    script.keep(args, Findings(args.name, findings.rows, findings.settings, findings.figures, findings.summary))


if __name__ == "__main__":
    main()
