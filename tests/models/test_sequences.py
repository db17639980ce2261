"""BigBird and Reformer against dense attention where they must agree, and reversible residuals against plain ones."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from vitjax.errors import InputError
from vitjax.models.core.execution import PLAIN
from vitjax.models.core.surroundings import key
from vitjax.models.core.taps import Taps
from vitjax.models.sequences.bigbird import layout, pattern
from vitjax.models.sequences.encoder import SequenceModel
from vitjax.models.sequences.encoder import random as drawn
from vitjax.models.sequences.reversible import through
from vitjax.models.sequences.sequence_config import BigBirdConfig, ReformerConfig, SequenceConfig

SIZES = {"width": 16, "depth": 2, "heads": 2, "mlp_width": 24, "context": 24, "vocabulary": 9, "classes": 3}
PLAINLY = SequenceConfig(**SIZES)
BIGBIRD = BigBirdConfig(**SIZES, block=3, window=3, global_blocks=1, random_blocks=2)
REFORMER = ReformerConfig(**SIZES, chunk=4, rounds=2)
KINDS = {"plain": PLAINLY, "bigbird": BIGBIRD, "reformer": REFORMER}


@functools.cache
def random(config: SequenceConfig, seed: int = 0) -> SequenceModel:
    """A model whose every parameter is random, which costs no compilation."""
    rng = np.random.default_rng(seed)
    shapes = nnx.eval_shape(lambda: SequenceModel(config, nnx.Rngs(key(0))))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.4, leaf.shape), jnp.float32), shapes)


def ids(count: int = 3) -> np.ndarray:
    """Sequences of which all but the first are filled up."""
    rng = np.random.default_rng(0)
    found = rng.integers(1, SIZES["vocabulary"], (count, SIZES["context"]))
    for row in range(1, count):
        found[row, 24 - 7 * row :] = 0
    return found.astype(np.int32)


PRESENT = ids() != 0


def tokens(seed: int = 1) -> jax.Array:
    return jax.random.normal(key(seed), (*ids().shape, SIZES["width"]))


def attention(config, seed: int = 3):
    """The attention of a block."""
    return jax.tree.map(lambda leaf: leaf[0], random(config, seed).blocks.attn)


@jax.jit
def run(attn, x, present):
    return attn(x, Taps(), PLAIN, present)


def loss(attn, x, present):
    """What attention gives to tokens that are there, as one number."""
    return (attn(x, Taps(), PLAIN, present) * present[..., None] * jnp.cos(jnp.arange(x.size).reshape(x.shape))).sum()


GRADIENT = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))


def same(ours, theirs, x=None, tolerance=2e-5):
    """Holds two attentions to each other, by what they give to tokens that are there and by their gradients."""
    x = tokens() if x is None else x
    for a, b in zip(*(jax.tree.leaves(GRADIENT(attn, x, PRESENT)) for attn in (ours, theirs)), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * max(1, np.abs(b).max()))


def dense(attn, x, seen):
    """Attention of the pairs `seen`, [batch, head, query, key], with the projections of a plain one, in NumPy."""
    part = lambda layer, x: np.einsum("btc,c...->bt...", x, layer.kernel[...]) + layer.bias[...]
    q, k, v = np.moveaxis(part(attn.qkv, x), 2, 0)
    scores = np.where(seen, np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1]), -np.inf)
    probs = np.exp(scores - scores.max(-1, keepdims=True))
    z = np.einsum("bhqk,bkhd->bqhd", probs / probs.sum(-1, keepdims=True), v)
    return np.einsum("bqhd,hdc->bqc", z, attn.proj.kernel[...]) + attn.proj.bias[...]


def test_bigbird_s_layout():
    blocks, real = layout(BIGBIRD)
    seen = pattern(BIGBIRD)[:, ::3, ::3]
    assert blocks.shape == (2, 7, 6) and real.sum(-1).max() == 6
    assert seen[:, 0].all() and seen[:, :, 0].all() and all(np.diagonal(seen[h]).all() for h in (0, 1))
    assert (seen[:, 3:-1].sum(-1) == 6).all() and not np.array_equal(seen[0], seen[1])
    assert all(
        len(set(row[ok])) == ok.sum() for row, ok in zip(blocks.reshape(-1, 6), real.reshape(-1, 6), strict=True)
    )
    other = replace(BIGBIRD, seed=1)
    assert np.array_equal(pattern(replace(BIGBIRD)), pattern(BIGBIRD)) and not np.array_equal(
        pattern(other), pattern(BIGBIRD)
    )


@pytest.mark.parametrize("kind", ["bigbird", "plain"])
def test_it_is_dense_attention_of_its_pattern(kind):
    config, x = KINDS[kind], tokens()
    attn = attention(config)
    seen = PRESENT[:, None, None] & (pattern(config) if kind == "bigbird" else True)
    given = run(attn, x, PRESENT)
    assert np.abs((given - dense(attn, np.asarray(x), seen)) * PRESENT[..., None]).max() < 1e-4


def test_bigbird_of_all_blocks_is_plain_attention_with_its_gradients():
    whole = replace(BIGBIRD, random_blocks=8)
    assert pattern(whole).all()
    ours, theirs = attention(whole), attention(PLAINLY)
    same(ours, jax.tree.unflatten(jax.tree.structure(theirs), jax.tree.leaves(ours)))


@pytest.mark.parametrize("kind", ["bigbird", "reformer"])
def test_scores_that_are_read_are_those_that_count(kind):
    attn = attention(KINDS[kind])

    @jax.jit
    def read(attn, x):
        taps = Taps(["probs"])
        return attn(x, taps, PLAIN, PRESENT), taps.values["probs"]

    given, probs = read(attn, tokens())
    np.testing.assert_allclose(probs.sum(-1), 1, atol=1e-5)
    plain = run(attn, tokens(), PRESENT)
    np.testing.assert_allclose(given * PRESENT[..., None], plain * PRESENT[..., None], atol=2e-5)


def hashed_by_hand(attn, x, config):
    """Which pairs meet in any round, by loops."""
    q = np.einsum("btc,chd->bthd", x, attn.qv.kernel[:, 0]) + attn.qv.bias[0]
    hashed = jax.tree.map(np.asarray, attn.hashed(jnp.asarray(q), PRESENT))
    batch, heads, rounds, count = hashed.bucket.shape
    seen, chunks = np.zeros((batch, heads, count, count), bool), count // config.chunk
    for b, h, r in np.ndindex(batch, heads, rounds):
        order = sorted(range(count), key=lambda t, at=(b, h, r): (hashed.bucket[*at, t], t))
        assert list(hashed.order[b, h, r]) == order
        chunk = {token: place // config.chunk for place, token in enumerate(order)}
        for i in range(count):
            for j in range(count):
                near = chunk[j] in (chunk[i], (chunk[i] - 1) % chunks)
                seen[b, h, i, j] |= near and hashed.bucket[b, h, r, i] == hashed.bucket[b, h, r, j]
    return q, seen & PRESENT[:, None, None]


def test_reformer_is_dense_attention_of_the_pairs_that_meet():
    config = replace(REFORMER, rounds=3, buckets=4)
    attn, x = attention(config), np.asarray(tokens())
    q, seen = hashed_by_hand(attn, x, config)
    assert 0.1 < seen[0].mean() < 0.9
    k = q / np.linalg.norm(q, axis=-1, keepdims=True)
    v = np.einsum("btc,chd->bthd", x, attn.qv.kernel[:, 1]) + attn.qv.bias[1]
    scores = np.where(seen, np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(8), -1e30)
    scores[..., range(24), range(24)] = -1e5
    probs = np.exp(scores - scores.max(-1, keepdims=True))
    z = np.einsum("bhqk,bkhd->bqhd", probs / probs.sum(-1, keepdims=True), v)
    wanted = np.einsum("bqhd,hdc->bqc", z, attn.proj.kernel[...]) + attn.proj.bias[...]
    given = run(attn, x, PRESENT)
    np.testing.assert_allclose(given * PRESENT[..., None], wanted * PRESENT[..., None], atol=1e-4)


def to_others(attn, x, present):
    """Attention of all to all but themselves, whose queries are keys, with the parameters of Reformer's."""
    q, v = jnp.moveaxis(jnp.einsum("btc,cphd->btphd", x, attn.qv.kernel[...]) + attn.qv.bias[...], 2, 0)
    k = q / jnp.linalg.norm(q, axis=-1, keepdims=True)
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / 8**0.5
    scores = jnp.where(jnp.eye(x.shape[1], dtype=bool), -1e5, jnp.where(present[:, None, None], scores, -1e30))
    z = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
    return jnp.einsum("bqhd,hdc->bqc", z, attn.proj.kernel[...]) + attn.proj.bias[...]


def test_one_bucket_in_one_chunk_is_attention_to_all_others_with_its_gradients():
    attn, x = attention(replace(REFORMER, chunk=24, buckets=1, rounds=1)), tokens()
    weight = jnp.cos(jnp.arange(x.size).reshape(x.shape)) * PRESENT[..., None]
    ours = jax.jit(jax.value_and_grad(lambda attn, x: (attn(x, Taps(), PLAIN, PRESENT) * weight).sum(), (0, 1)))
    theirs = jax.jit(jax.value_and_grad(lambda attn, x: (to_others(attn, x, PRESENT) * weight).sum(), (0, 1)))
    for a, b in zip(*(jax.tree.leaves(made(attn, x)) for made in (ours, theirs)), strict=True):
        np.testing.assert_allclose(a, b, atol=3e-5 * max(1, np.abs(b).max()))


def test_a_token_alone_attends_to_itself():
    attn = attention(replace(REFORMER, chunk=24, buckets=1))
    alone = jnp.arange(24)[None] == 5
    x = tokens()[:1]
    v = np.einsum("c,chd->hd", x[0, 5], attn.qv.kernel[:, 1]) + attn.qv.bias[1]
    wanted = np.einsum("hd,hdc->c", v, attn.proj.kernel[...]) + attn.proj.bias[...]
    np.testing.assert_allclose(run(attn, x, alone)[0, 5], wanted, atol=1e-5)


@pytest.mark.exhaustive
def test_reversible_gradients_are_those_of_plain_residuals():
    model, x = random(replace(REFORMER, rounds=1, norm="dtn"), 1), tokens()
    step = lambda x, block: (block(x, Taps(), PLAIN, PRESENT), None)
    plain = lambda blocks, x: lax.scan(step, x, blocks)[0]
    weight = jnp.cos(jnp.arange(2 * x.size).reshape(2, *x.shape))
    total = lambda run: jax.jit(
        jax.value_and_grad(lambda blocks, x: (jnp.stack(run(blocks, x)) * weight).sum(), (0, 1))
    )
    ours = total(lambda blocks, x: through(PLAIN, blocks, x, PRESENT))(model.blocks, (x, x[::-1]))
    for a, b in zip(*map(jax.tree.leaves, (ours, total(plain)(model.blocks, (x, x[::-1])))), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, atol=1e-4 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("depth", [2, 6])
def test_reversible_blocks_keep_what_is_after_the_last(depth):
    """Of activations two streams, whatever the depth; the rest are parameters."""
    model, x = random(replace(REFORMER, depth=depth)), tokens()
    kept = jax.eval_shape(lambda x: jax.vjp(lambda x: through(PLAIN, model.blocks, x, PRESENT), x)[1], (x, x))
    large = [leaf.shape for leaf in jax.tree.leaves(kept) if x.shape[:2] == leaf.shape[-3:-1]]
    assert large == [x.shape] * 2


def test_what_is_far_from_all_tokens_has_gradients():
    """The place that a sequence is filled up with has no neighbours under DTN."""
    model, few = random(replace(PLAINLY, norm="dtn")), ids()
    few[:, 6:] = 0
    found = jax.jit(jax.grad(lambda model: model(few)["logits"].sum()))(model)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


@pytest.mark.representatives("reformer-dtn", "bigbird-dtn", "plain-dtn")
@pytest.mark.parametrize("norm", ["layer", "dtn"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_sequence_is_filled_up_with_changes_nothing(kind, norm):
    model, whole = random(replace(KINDS[kind], norm=norm)), ids()
    assert (whole[2, 10:] == 0).all()
    read = jax.jit(lambda model, ids: model(ids, ["logits", "pooled"]))
    found = read(model, whole)
    loud = jax.tree.map(lambda leaf: leaf, model)
    loud.token[...] = np.concatenate([np.full((1, 16), 7, np.float32), loud.token[1:]])
    for name, value in read(loud, whole).items():
        np.testing.assert_allclose(value, found[name], atol=1e-5)
    assert found["logits"].shape == (3, 3) and list(model.taps())[-1] == "logits"


@pytest.mark.parametrize("kind", ["bigbird", "reformer"])
def test_taps_of_blocks_are_read_and_edited(kind):
    model = random(KINDS[kind])
    taps = model.taps()
    assert {"embed", "blocks.1.attn.out", "blocks.0.mlp.hidden", "blocks.1.attn.probs", "norm"} <= set(taps)
    assert taps["blocks.0.mlp.hidden"].shape == (24, 24) and taps["blocks.0.attn.z"].shape == (24, 2, 8)
    read = jax.jit(lambda model, ids: model(ids, ["blocks.0.mlp.hidden", "logits"]))
    found = read(model, ids())
    bare = jax.jit(lambda model, ids: model(ids)["logits"])(model, ids())
    np.testing.assert_allclose(found["logits"], bare, atol=1e-5)
    gone = {f"blocks.{i}.{name}.out": jnp.zeros_like for i in (0, 1) for name in ("attn", "mlp")}
    embed = jax.jit(lambda model, ids: model(ids, ["norm", "embed"], gone))(model, ids())
    np.testing.assert_allclose(model.norm(embed["embed"]), embed["norm"], atol=1e-5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: replace(BIGBIRD, block=5), "fill it up to 25"),
        (lambda: replace(BIGBIRD, window=2), "odd"),
        (lambda: replace(REFORMER, buckets=3), "even"),
        (lambda: replace(REFORMER, normed="after"), "before"),
        (lambda: replace(PLAINLY, classes=0), "at least 1"),
        (lambda: drawn(replace(PLAINLY, norm="layr")), "did you mean"),
        (lambda: drawn(replace(PLAINLY, norm="batch")), "use norm='layer' or 'dtn'"),
        (lambda: random(PLAINLY)(ids()[:, :20]), "fill it up with 0"),
        (lambda: random(PLAINLY)(ids() + 8), "not among this model's 9"),
        (lambda: random(PLAINLY)(ids().astype(float)), "whole numbers"),
    ],
)
def test_mistakes_are_a_line(make, said):
    with pytest.raises(InputError, match=said):
        make()
