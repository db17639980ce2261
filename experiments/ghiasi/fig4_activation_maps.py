"""Where neurons are active on their best photographs, block after block (Ghiasi et al. 2022, figure 4).

The paper shows maps of ViT-B/16 at 384 pixels: in the first eleven blocks a neuron is active where its feature is, in
the last on all patches alike, so that the block works like a learned pooling. Here are such maps of drawn neurons, and
two measurements: the unevenness of every neuron's map on its best photograph (standard deviation over mean of the
patches), and the mean cosine between the patches of a photograph. The paper gives numbers for neither.

    python -m experiments.ghiasi.fig4_activation_maps --model vit_tiny_patch16_224 --data imagenet-samples/images.zip

On the paper's model:

    python -m experiments.ghiasi.fig4_activation_maps --model timm/vit_base_patch16_384.orig_in21k_ft_in1k \
        --data imagenet/val --batch 128
"""

from dataclasses import replace

from experiments import script
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.units import maps, spread
from vitjax.units.units import expand, neurons, sample


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser)
    parser.add_argument("--count", type=int, default=3, help="neurons shown of each block")
    parser.add_argument("--k", type=int, default=1, help="photographs of each neuron")
    args = parser.parse_args()
    model, data = script.opened(args)
    units = expand(f"{model.neurons}:*", model.taps())
    found = exemplars(model, data, list(dict.fromkeys(unit.tap for unit in units)), k=args.k)
    units = sample(units, args.count * len(neurons(model)), seed=0)
    shown = maps.run(model, data, units=units, k=args.k, views=maps.VIEWS, found=found)
    measured = spread.run(model, data, found=found)
    for findings in (replace(shown, name="fig4"), replace(measured, name="fig4-spread")):
        script.keep(args, findings)


if __name__ == "__main__":
    main()
