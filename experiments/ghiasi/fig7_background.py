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

The paper asks no convolutional network. `--model timm/resnet50.tv_in1k` does; its neurons are the channels that blocks
give, and blocks count through all stages.
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.units import background, objects


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser)
    parser.add_argument("--boxes", type=Path, help="list of boxes (default: Tiny ImageNet's lists among the images)")
    parser.add_argument("--all-objects", action="store_true", help="objects of other classes count, too")
    parser.add_argument("--block", type=int, help="whose neurons are shown (default: the middle one)")
    parser.add_argument("--count", type=int, default=6, help="neurons shown")
    parser.add_argument("--k", type=int, default=3, help="photographs of each neuron")
    args = parser.parse_args()
    model, data = script.opened(args)
    where = {"boxes": args.boxes, "all_objects": args.all_objects, "k": args.k}
    shown = background.run(model, data, block=args.block, count=args.count, **where)
    measured = objects.run(model, data, **where)
    for findings in (replace(shown, name="fig7"), replace(measured, name="fig7-objects")):
        script.keep(args, findings)


if __name__ == "__main__":
    main()
