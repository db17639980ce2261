"""Files of GreenMIM's authors, written in their names: a Swin under a prefix, beside a decoder, merging row by row."""

import numpy as np
import pytest

from tests.support import torch_files
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.weights import parameters
from vitjax.weights.families.timm.hierarchical.swin import swin_table
from vitjax.weights.load import load
from vitjax.weights.rules.convert import unconvert

CONFIG = SwinConfig(
    (224, 224), (8, 8), (8, 16, 32), (2, 1, 1), (1, 2, 4), (32, 64, 128), classes=0, windows=(7, 7, 7), norm_eps=1e-6
)  # 7x7 units of 32 pixels


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in parameters.shapes(CONFIG).items()}


def theirs(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors by the names of the authors' encoder, where stages end with merging."""
    found = {}
    for name, tensor in unconvert(arrays, swin_table(CONFIG), parameters.stacks(CONFIG)).items():
        if ".downsample." in name:
            _, stage, rest = name.split(".", 2)
            name = f"layers.{int(stage) - 1}.{rest}"
        found[name] = tensor
    return found


def by_rows(tensor: np.ndarray) -> np.ndarray:
    four = np.split(tensor, 4, axis=-1)
    return np.concatenate([four[place] for place in (0, 2, 1, 3)], axis=-1)


def test_a_pretrained_file_is_a_swin(tmp_path, arrays, caplog):
    tensors = {
        f"encoder.{name}": by_rows(tensor) if ".downsample." in name else tensor
        for name, tensor in theirs(arrays).items()
    }
    tensors |= {"decoder_pos_embed": np.zeros((1, 49, 16), np.float32), "decoder_pred.weight": np.zeros((3072, 16))}
    path = torch_files.save(
        tmp_path / "checkpoint-799.pth", {f"model.{name}": array for name, array in tensors.items()}
    )
    model = load(path, cache=False)
    assert "left out, as outside of model.encoder: model.decoder_pos_embed" in caplog.text
    assert model.config == SwinConfig(**{**vars(CONFIG), "preprocess": model.config.preprocess})
    assert model.card.converter.startswith("greenmim")
    for name, array in parameters.values(model).items():
        assert (array == arrays[name]).all(), name


def test_an_encoder_alone_is_microsofts(tmp_path, arrays):
    path = torch_files.save(tmp_path / "swin_window7_224.pth", theirs(arrays))
    model = load(path, cache=False)
    assert model.config.norm_eps == 1e-5 and model.card.converter.startswith("swin")
    assert all((array == arrays[name]).all() for name, array in parameters.values(model).items())
