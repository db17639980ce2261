"""OpenAI's CLIP as it is published, TorchScript of fp16; the referee is transformers' CLIP of the same weights."""

import numpy as np
import pytest

from converters.referees.parity import TOLERANCE
from tests.weights.test_parity_hf import check, transformers  # noqa: F401, a fixture
from vitjax.errors import InputError
from vitjax.weights.load import load
from vitjax.weights.load_text import load_text

WIDTH, DEPTH, MLP, SIDE, PATCH, CONTEXT, VOCABULARY, SHARED = 128, 1, 48, 32, 8, 9, 30, 20
BLOCK = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}


def state(model):
    """A CLIP of transformers as {OpenAI's name: tensor}."""
    import torch

    theirs = model.state_dict()
    found = {
        "visual.class_embedding": theirs["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": theirs["vision_model.embeddings.position_embedding.weight"],
        "visual.conv1.weight": theirs["vision_model.embeddings.patch_embedding.weight"],
        "visual.proj": theirs["visual_projection.weight"].T,
        "positional_embedding": theirs["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": theirs["text_model.embeddings.token_embedding.weight"],
        "text_projection": theirs["text_projection.weight"].T,
        "logit_scale": theirs["logit_scale"],
    }
    norms = {"visual.ln_pre": "vision_model.pre_layrnorm", "visual.ln_post": "vision_model.post_layernorm"}
    for ours, name in (norms | {"ln_final": "text_model.final_layer_norm"}).items():
        found |= {f"{ours}.{part}": theirs[f"{name}.{part}"] for part in ("weight", "bias")}
    for start, tower in (("visual.", "vision_model"), ("", "text_model")):
        for i in range(DEPTH):
            ours, block = f"{start}transformer.resblocks.{i}.", f"{tower}.encoder.layers.{i}."
            for part in ("weight", "bias"):
                found |= {f"{ours}{name}.{part}": theirs[f"{block}{other}.{part}"] for name, other in BLOCK.items()}
                found[f"{ours}attn.out_proj.{part}"] = theirs[f"{block}self_attn.out_proj.{part}"]
                packed = torch.cat([theirs[f"{block}self_attn.{name}_proj.{part}"] for name in "qkv"])
                found[f"{ours}attn.in_proj_{part}"] = packed
    return found


def save(tensors, path):
    """Writes tensors as the parameters of nested modules of TorchScript, with OpenAI's three numbers."""
    import torch

    root = torch.nn.Module()
    for name, tensor in tensors.items():
        node, *rest = root, *name.split(".")
        for part in rest[:-1]:
            if part not in dict(node.named_children()):
                node.add_module(part, torch.nn.Module())
            node = getattr(node, part)
        node.register_parameter(rest[-1], torch.nn.Parameter(tensor.clone()))
    for name, number in {"input_resolution": SIDE, "context_length": CONTEXT, "vocab_size": VOCABULARY}.items():
        root.register_buffer(name, torch.tensor(number))
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(root), path)


@pytest.fixture(scope="module")
def published(transformers, tmp_path_factory):  # noqa: F811
    """See `small`."""
    return small(transformers, tmp_path_factory.mktemp("openai"))


def small(transformers, folder):  # noqa: F811
    """OpenAI's file of a small random CLIP, and the same CLIP of transformers."""
    import torch

    tower = {"hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": 2, "intermediate_size": MLP}
    text = {"vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT, "eos_token_id": VOCABULARY - 1}
    model = transformers.CLIPModel(
        transformers.CLIPConfig(
            text_config=tower | text,
            vision_config=tower | {"image_size": SIDE, "patch_size": PATCH},
            projection_dim=SHARED,
        )
    ).eval()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        scaled = parameter.ndim > 1 and "embedding." not in name
        noise = 0.7 * noise / parameter[0].numel() ** 0.5 if scaled else 0.3 * noise + ("norm" in name)
        parameter.data = noise.half().float()
    path = folder / "ViT-S-8.pt"
    save({name: tensor.half() for name, tensor in state(model).items()}, path)
    return path, model


def test_the_image_tower(published):
    path, theirs = published
    model = load(path, cache=False)
    assert (model.config.heads, model.config.image_size, model.output) == (2, (SIDE, SIDE), "embedding")
    assert (model.card.architecture, model.card.converter[:6]) == ("ViT-S-8", "openai")
    check(model, theirs)


def test_the_text_tower(published):
    import torch

    path, theirs = published
    ids = np.random.default_rng(0).integers(0, VOCABULARY - 1, (3, CONTEXT))
    ids[[0, 1, 2], [3, 5, CONTEXT - 1]] = VOCABULARY - 1
    found = load_text(path).model(ids)["embedding"]
    with torch.no_grad():
        expected = theirs.get_text_features(torch.tensor(ids)).pooler_output.numpy()
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_what_is_refused(published, tmp_path):
    import torch

    _, theirs = published
    tensors = state(theirs)
    torch.save(tensors, tmp_path / "openclip.pt")
    with pytest.raises(InputError, match=r"no config\.json beside"):  # OpenCLIP's: the activation function is unknown
        load(tmp_path / "openclip.pt")
    resnet = {name: tensor for name, tensor in tensors.items() if name != "visual.proj"}
    save(resnet, tmp_path / "RN50.pt")
    with pytest.raises(InputError, match=r"no tensor visual\.proj of 2 axes: this is not a CLIP of OpenAI's with"):
        load(tmp_path / "RN50.pt")
    save(tensors | {"visual.extra": tensors["ln_final.bias"]}, tmp_path / "more.pt")
    with pytest.raises(InputError, match=r"more\.pt: unknown tensors: visual\.extra"):
        load(tmp_path / "more.pt")
    load_text(tmp_path / "more.pt")
