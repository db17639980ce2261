"""The amplitudes that natural images give to every frequency of a decorrelated colour: what the recipe "maco" keeps.

    python -m experiments.recipes.magnitudes --model FOLDER --images images.zip

Photographs as the model sees them are written down as "fourier" writes an image down: logits of the pixels, in
decorrelated colours. For each colour the mean amplitude of the coefficients at a frequency f (cycles per pixel,
f <= 0.4) is fitted by `a / f ** b`, in logarithms; the mean itself has the mean amplitude. Printed as the constants
that `vitjax/optimize/parametrize.py` holds. Fel et al. 2023 (arXiv 2306.06805) fix the amplitudes to ImageNet's.
"""

import argparse

import numpy as np

import vitjax
from vitjax.data.files.open import open_images
from vitjax.data.pipeline import Batches
from vitjax.optimize.parametrize import coefficients


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True, help="folder or zip of natural photographs")
    args = parser.parse_args()
    model, total, count = vitjax.load(args.model), 0.0, 0
    for some in Batches(open_images(args.images), model.config, 25):
        images = some.images[some.place >= 0]
        total = total + np.abs(np.stack([coefficients(image / np.float32(255)) for image in images])).sum(axis=0)
        count += len(images)
    mean, (height, width) = total / count, model.config.image_size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    fitted = (frequency > 0) & (frequency <= 0.4)
    pixels = np.sqrt(height * width)
    for color in range(3):
        slope, offset = np.polyfit(np.log(frequency[fitted]), np.log(mean[fitted][:, color] / pixels), 1)
        print(f"amplitude {np.exp(offset):.4f}, power {-slope:.3f}, mean {mean[0, 0, color] / pixels**2:.3f}")


if __name__ == "__main__":
    main()
