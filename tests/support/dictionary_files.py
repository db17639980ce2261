"""Dictionaries of every format, written as their libraries do, and what they are by their formulas in numpy."""

import json
from functools import partial

import numpy as np
from safetensors.numpy import save

from tests.support import torch_files

D, M, TAP = 8, 12, "blocks.1.resid_post"
RNG = np.random.default_rng(3)
X = RNG.standard_normal((20, D)).astype(np.float32) * 2 + 0.5
E, W = RNG.standard_normal((D, M), np.float32), RNG.standard_normal((M, D), np.float32)
BE, BD = RNG.standard_normal(M, np.float32), RNG.standard_normal(D, np.float32)
GATE, MAG, BM = (RNG.standard_normal(M, np.float32) for _ in range(3))
LEVEL = np.float32(0.7)
RELU = lambda h: np.maximum(h, 0)
PLAIN = {"W_enc": E, "b_enc": BE, "W_dec": W, "b_dec": BD}
LINEAR = {"encoder.weight": E.T, "encoder.bias": BE, "decoder.weight": W.T, "b_dec": BD}
LARGEST = lambda h, k: np.where(h >= np.sort(h, axis=1)[:, -k, None], h, 0)


def cfg(module, name, said):
    """The instructions that put an object with these attributes on the stack."""
    return f"c{module}\n{name}\n".encode() + b")\x81" + torch_files.value(said) + b"b"


def torch_file(path, tensors, **notes):
    """Writes tensors as torch does, in a "state_dict" beside notes if there are any."""
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    views = {}
    for number, (name, one) in enumerate(tensors.items()):
        kind = {"float32": "FloatStorage", "int64": "LongStorage", "int32": "IntStorage"}[str(one.dtype)]
        strides = tuple(step // one.itemsize for step in one.strides)
        views[name] = torch_files.view(str(number), kind, one.size, 0, one.shape, strides)
    inner = torch_files.program(views)
    code = torch_files.program({**notes, "state_dict": inner[2:-1]}) if notes else inner
    return torch_files.write(path, code, {str(i): one.tobytes() for i, one in enumerate(tensors.values())})


def saev(folder, header, tensors):
    """A line of JSON, then an archive."""
    path = torch_file(folder / "plain.zip", tensors)
    (folder / "sae.pt").write_bytes(json.dumps(header).encode() + b"\n" + path.read_bytes())
    path.unlink()
    return f"{TAP}={folder / 'sae.pt'}"


def prisma(folder, tensors, **said):
    """A pickle of a config and a state dict."""
    said = {"cls_token_only": False, "activation_fn_str": "relu", "hook_point_layer": 1, **said}
    noted = cfg("vit_prisma.sae.config", "VisionModelSAERunnerConfig", {"layer_subtype": "hook_resid_post", **said})
    return torch_file(folder / "weights.pt", tensors, cfg=noted)


def lens(folder, tensors, name="sae_weights.safetensors", **said):
    """A folder of cfg.json and safetensors."""
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    (folder / name).write_bytes(save(tensors))
    (folder / "cfg.json").write_text(json.dumps({"d_in": D, **said}))
    return f"{TAP}={folder}"


def state(folder, tensors, more="", **notes):
    """A state dict, beside notes if there are any."""
    return f"{TAP}={torch_file(folder / 'ae.pt', tensors, **notes)}{more}"


def gated(u):
    """The latents of a gated dictionary, of tokens without the bias."""
    return np.where(u @ E + GATE > 0, RELU(u @ (E * np.exp(MAG)) + BM), 0)


ROWS = W / (np.linalg.norm(W, axis=1, keepdims=True) + 1e-8) * np.exp(0.3)
POINTS = RNG.standard_normal((5, D), np.float32)
MIXED, RELAXED = RNG.random((M, 5), np.float32) - 0.2, RNG.standard_normal((M, D), np.float32)
HULL = RELU(MIXED) / (RELU(MIXED).sum(1, keepdims=True) + 1e-8) @ POINTS
HULL = HULL + RELAXED / np.maximum(np.linalg.norm(RELAXED, axis=1, keepdims=True), 1)
ONE = np.linalg.norm(W, axis=1)
STD = X.std(1, ddof=1, keepdims=True)
MEAN = X.mean(1, keepdims=True)
GATES = {"W_enc": E, "W_dec": W, "b_dec": BD, "b_gate": GATE, "r_mag": MAG, "b_mag": BM}
CARDS = {"schema": 5, "cfg": {"d_model": D, "activation": {"cls": "TopK", "params": {"top_k": 3}}}}
BATCH = {"schema": 1, "cls": "BatchTopK", "cfg": {"top_k": 3}}
SCORES = {"dictionary._weights": W, "dictionary.multiplier": np.float32(0.3), "encoder.final_block.0.weight": E.T}
RA = {"dictionary.C": POINTS, "dictionary.W": MIXED, "dictionary.Relax": RELAXED, "dictionary.multiplier": LEVEL}
H, CENTRED = X @ E + BE, (X - BD) @ E + BE
above = lambda h, level: np.where(h > level, RELU(h), 0)

# {what: (a function that writes it, its format, the latents due, what it puts together of latents z)}
FILES = {
    "saev relu": (partial(saev, header={"schema": 2, "cfg": {}}, tensors=PLAIN), RELU(H), lambda z: z @ W + BD),
    "saev legacy": (partial(saev, header={"d_vit": D}, tensors=PLAIN), RELU(CENTRED), lambda z: z @ W + BD),
    "saev topk": (partial(saev, header=CARDS, tensors=PLAIN), LARGEST(H - 9, 3), lambda z: z @ W + BD),
    "saev batchtopk": (
        partial(saev, header=BATCH, tensors=PLAIN | {"activation.threshold": LEVEL}),
        above(H, LEVEL),
        lambda z: z @ W + BD,
    ),
    "prisma": (
        partial(prisma, tensors=PLAIN),
        RELU(((X - MEAN) / (STD + 1e-5) - BD) @ E + BE),
        lambda z: (z @ W + BD) * STD + MEAN,
    ),
    "prisma topk": (
        partial(
            prisma,
            tensors=PLAIN,
            activation_fn_str="topk",
            activation_fn_kwargs={"k": 4},
            normalize_activations="none",
        ),
        RELU(LARGEST(CENTRED, 4)),
        lambda z: z @ W + BD,
    ),
    "prisma gated": (
        partial(prisma, tensors=GATES, architecture="gated", normalize_activations=None, use_patches_only=True),
        gated(X - BD),
        lambda z: z @ W + BD,
    ),
    "patchsae": (
        partial(state, tensors=PLAIN, cfg=cfg("src.sae_training.config", "ViTSAERunnerConfig", {"block_layer": -2})),
        RELU(CENTRED),
        lambda z: z @ W + BD,
    ),
    "overcomplete": (
        partial(state, tensors=SCORES | {"encoder.final_block.0.bias": BE}, more=",activation=topk,k=3"),
        RELU(LARGEST(H, 3)),
        lambda z: z @ ROWS,
    ),
    "overcomplete jump": (
        partial(state, tensors=SCORES | {"thresholds": MAG}),
        np.where(np.exp(MAG) <= X @ E, RELU(X @ E), 0),
        lambda z: z @ ROWS,
    ),
    "overcomplete archetypal": (
        partial(state, tensors=RA | {"encoder.weight": E.T}, more=",threshold=0.5"),
        above(X @ E, 0.5),
        lambda z: z @ HULL * np.exp(LEVEL),
    ),
    "sae-for-vlm batchtopk": (
        partial(state, tensors=LINEAR | {"k": np.int32(3), "threshold": LEVEL}),
        above(CENTRED, LEVEL),
        lambda z: z @ W + BD,
    ),
    "sae-for-vlm untrained": (
        partial(state, tensors=PLAIN | {"k": np.int32(3), "threshold": -LEVEL, "group_sizes": np.array([4, 8])}),
        RELU(CENTRED),
        lambda z: z @ W + BD,
    ),
    "sae-for-vlm topk": (
        partial(state, tensors=LINEAR | {"k": np.int32(3)}),
        RELU(LARGEST(CENTRED, 3)),
        lambda z: z @ W + BD,
    ),
    "sae-for-vlm standard": (
        partial(
            state, tensors={"encoder.weight": E.T, "encoder.bias": BE, "decoder.weight": W.T, "bias": BD}
        ),
        RELU(CENTRED) * ONE,
        lambda z: z @ (W / ONE[:, None]) + BD,
    ),
    "sparsify": (
        partial(
            lens,
            tensors={"encoder.weight": E.T, "encoder.bias": BE, "W_dec": W, "b_dec": BD},
            name="sae.safetensors",
            k=3,
            activation="topk",
        ),
        RELU(LARGEST(CENTRED, 3)),
        lambda z: z @ W + BD,
    ),
    "saelens": (
        partial(lens, tensors=PLAIN, d_sae=M, apply_b_dec_to_input=False, normalize_activations="layer_norm"),
        RELU((X - MEAN) / (STD + 1e-5) @ E + BE),
        lambda z: (z @ W + BD) * STD + MEAN,
    ),
    "saelens jumprelu": (
        partial(lens, tensors=PLAIN | {"threshold": abs(MAG)}, d_sae=M, architecture="jumprelu"),
        above(CENTRED, abs(MAG)),
        lambda z: z @ W + BD,
    ),
    "saelens topk": (
        partial(
            lens, tensors=PLAIN, d_sae=M, architecture="topk", k=3, rescale_acts_by_decoder_norm=True,
            normalize_activations="constant_norm_rescale",
        ),
        RELU(LARGEST(((X / np.linalg.norm(X, axis=1, keepdims=True) * D**0.5 - BD) @ E + BE) * ONE, 3)),
        lambda z: (z @ (W / ONE[:, None]) + BD) * np.linalg.norm(X, axis=1, keepdims=True) / D**0.5,
    ),
    "saelens gated": (
        partial(lens, tensors=GATES, d_sae=M, architecture="gated"), gated(X - BD), lambda z: z @ W + BD
    ),
}  # fmt: skip
