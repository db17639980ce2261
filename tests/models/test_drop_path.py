"""Stochastic depth: which branches are left out in which images, and that nothing is where it is not asked for."""

import jax
import numpy as np
import pytest

from tests.models.test_contract import CASES
from tests.support import small
from vitjax.errors import InputError
from vitjax.models.convnets.base import ConvNetConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps
from vitjax.models.drop_path import DropPath
from vitjax.models.registry import abstract

KEY = jax.random.key(3, impl="threefry2x32")
RATE = 0.6
OUTS = [f"blocks.{i}.{part}.out" for i in range(4) for part in ("attn", "mlp")]  # of every block: so all are scanned
TOKENS = {name: case.config for name, case in CASES.items() if not isinstance(case.config, ConvNetConfig)}
IMAGES = np.repeat(np.random.default_rng(0).random((12, 32, 32, 3), np.float32), 40, axis=0)


def run(reads: list[str], execution: Execution = PLAIN) -> dict[str, np.ndarray]:
    @jax.jit
    def traced(model, images):
        embedded = model.embed(model.normalise(images))
        return model.from_embedding(embedded, reads, execution=execution, drop_path=DropPath(KEY, RATE))

    return jax.tree.map(np.asarray, traced(small.model(), IMAGES))


@pytest.fixture(scope="module")
def found():
    """What the branches of every block add, and what it reads and makes of it."""
    return run([*OUTS, "logits", *(f"blocks.{i}.{tap}" for i in range(4) for tap in ("resid_pre", "resid_mid"))])


def test_images_go_past_a_branch_one_by_one_the_oftener_the_deeper(found):
    gone = np.array([np.abs(found[tap]).max(axis=(1, 2)) == 0 for tap in OUTS])
    np.testing.assert_allclose(gone.mean(axis=1), np.repeat([0, RATE / 3, 2 * RATE / 3, RATE], 2), atol=0.07)
    assert len(np.unique(gone[2:], axis=0)) == 6  # no two branches draw the same


def test_what_stays_adds_the_more(found):
    pre, mid, out = (found[f"blocks.3.{tap}"] for tap in ("resid_pre", "resid_mid", "attn.out"))
    np.testing.assert_allclose(mid - pre, out, atol=1e-5)
    stays, block = np.abs(out).max(axis=(1, 2)) > 0, small.model().block(3)
    whole = block.attn(block.norm1(pre[stays]), Taps())
    np.testing.assert_allclose(out[stays], whole / (1 - RATE), rtol=1e-4, atol=1e-5)


def test_blocks_one_by_one_leave_out_the_same(found):
    logits = run(["logits"], Execution(scan=False, remat=True))["logits"]
    np.testing.assert_allclose(logits, found["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.representatives("ViT", "Swin V2", "CoaT-Lite", "T2T-ViT, kernels", "PVT", "MLP-Mixer")
@pytest.mark.parametrize("name", TOKENS)
def test_every_transformer_draws_where_it_is_asked_and_only_there(name):
    config = TOKENS[name]
    image = jax.ShapeDtypeStruct((2, *config.image_size, config.channels), np.float32)

    def draws(drop_path: DropPath | None) -> bool:
        call = lambda model, image: model.from_embedding(model.embed(image), drop_path=drop_path)
        return "random_bits" in str(jax.make_jaxpr(call)(abstract(config), image))

    assert "tokens" in abstract(config).facts
    assert draws(DropPath(KEY, RATE)) and not draws(None)


def test_a_network_without_tokens_says_so():
    model = small.convnet(CASES["ResNet"].config)
    with pytest.raises(InputError, match="no Transformer blocks"):
        model.from_embedding(np.zeros((1, 32, 32, 3), np.float32), drop_path=DropPath(KEY, 0.1))
