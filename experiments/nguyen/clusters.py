"""How patches cluster by object, layer by layer (Nguyen et al. 2022: sil_pur_rate, cosine_uniq_rate and those of 28).

Masks of several large objects; tokens of each layer; DBSCAN with a radius that the objects give. Images as they are,
and with 2x2 and 8x8 tiles shuffled; the paper has no control, here a model with random weights is drawn dotted. The
paper's curves, read off the notebook's plots for ViT-B/16 on 361 images of VOC 2009, stand in `clusters_paper.json`.

    python -m experiments.nguyen.clusters --model vit_tiny_patch16_224 --data camvid --masks camvid --ignored 11
    python -m experiments.nguyen.clusters --data tiny-imagenet-200/val.zip --limit 300 --background --grids 1 2 8 \
        --name clusters-boxes

On the paper's model and data:

    python -m experiments.nguyen.clusters --model timm/vit_base_patch16_224.orig_in21k_ft_in1k \
        --data VOC2009/JPEGImages --masks VOC2009 --paper
"""

import json
from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.clusters.token_clusters import run
from vitjax.analysis.clusters.token_figures import draw
from vitjax.data.annotations.masks import IGNORED

PAPER = Path(__file__).parent / "clusters_paper.json"


def paper() -> dict[tuple[str, int], list[float]]:
    """The paper's curves, {(measure, grid): value of each layer}."""
    return {(measure, int(grid)): values for measure, all in json.loads(PAPER.read_text()).items()
            for grid, values in all.items()}  # fmt: skip


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser)
    parser.add_argument("--masks", type=Path, help="VOC's root, COCO's JSON, PNG class maps")
    parser.add_argument("--boxes", type=Path, help="instead of masks (default: Tiny ImageNet's lists among the images)")
    parser.add_argument("--ignored", nargs="+", type=int, default=IGNORED, help="ids of class maps that are no objects")
    parser.add_argument("--background", action="store_true", help="what no object covers is an object, too")
    parser.add_argument("--grids", nargs="+", type=int, default=[1, 2, 8], help="shuffles, 1 is the image as it is")
    parser.add_argument("--paper", action="store_true", help="draw the paper's curves as points")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="clusters", help="of the results' files")
    args = parser.parse_args()
    model, data = script.opened(args)
    options = {name: getattr(args, name) for name in ("masks", "boxes", "ignored", "background", "grids", "seed")}
    findings = run(model, data, control=True, layout="none", **options)
    published = paper() if args.paper else None
    figures = {"": draw(findings.rows, reference=published), "grids": draw(findings.rows, "grid", published)}
    script.keep(args, replace(findings, name=args.name, figures=figures, tables={}))
    script.keep_rows(args, f"{args.name}-differences", findings.tables["tokens-differences"].to_pylist())


if __name__ == "__main__":
    main()
