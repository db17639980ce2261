"""Neurons that are active on the background of objects (Ghiasi et al. 2022, figure 7a).

The paper shows one neuron of layer 6 of ViT-B/16, active on the grass and the snow around a wolf and not on the wolf.
Here the neurons of a middle block are ordered by how much more of their activation, on their best photographs, is
outside the objects' boxes than of the photograph is; the first are shown. The second table says for every block how
well maps agree with the boxes: intersection over union with the patches above half the peak, and the same by chance.

    python -m experiments.ghiasi.fig7_background --model vit_tiny_patch16_224 --data tiny-imagenet-200/val.zip \
        --limit 2000

On the paper's model, with ImageNet's XML files of boxes as a folder or zip:

    python -m experiments.ghiasi.fig7_background --model timm/vit_base_patch16_384.orig_in21k_ft_in1k \
        --data imagenet/val --boxes Annotation/ --block 6 --batch 128

Several models are drawn together, over how much of their depth lies behind a block, which counts through all stages:

    python -m experiments.ghiasi.fig7_background --model demo Swin=runs/swin --data tiny-imagenet-200/val.zip

The paper asks no convolutional network. `--model timm/resnet50.tv_in1k` does; its neurons are the channels that blocks
give.
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.units import background, objects


def main() -> None:
    parser = script.parser(__doc__, __file__, ["demo"], about="one or several, drawn together", nargs="+")
    script.add_data(parser)
    parser.add_argument("--boxes", type=Path, help="list of boxes (default: Tiny ImageNet's lists among the images)")
    parser.add_argument("--all-objects", action="store_true", help="objects of other classes count, too")
    parser.add_argument("--block", type=int, help="whose neurons are shown (default: the middle one)")
    parser.add_argument("--count", type=int, default=6, help="neurons shown")
    parser.add_argument("--k", type=int, default=3, help="photographs of each neuron")
    args = parser.parse_args()
    where, found = {"boxes": args.boxes, "all_objects": args.all_objects, "k": args.k}, {}
    for label, source in script.labelled(args.model).items():
        model, data = script.opened(args, source)
        name = f"fig7-{label}" if len(args.model) > 1 else "fig7"
        shown = background.run(model, data, block=args.block, count=args.count, **where)
        found[label] = objects.run(model, data, **where)
        tables = found[label].tables
        if len(args.model) > 1:
            tables = {f"{name}-{table}": rows for table, rows in tables.items()}
        script.keep(args, replace(shown, name=name), replace(found[label], name=f"{name}-objects", tables=tables))
    if len(found) > 1:
        objects.compare(found).savefig(args.out / "fig7-models.png", dpi=150)


if __name__ == "__main__":
    main()
