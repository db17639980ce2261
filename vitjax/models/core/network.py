"""What every model has in common: how it is called, its taps, and what optimizing, porting and measuring ask of it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from vitjax.errors import InputError
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.execution import PLAIN, Execution, platform
from vitjax.models.core.images import check_floats, checked
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.tap_site import LastLayer, Site, Sites, grouped, table
from vitjax.models.core.taps import Edit, Taps, asked, listed
from vitjax.models.drop_path import DropPath

Rows = list[tuple[str, int | None]]  # of each block: the name of its arrays, and its row of them
FACTS = frozenset({"tokens", "attention", "class token", "global attention", "patch filters", "positions"})

LINES = 30  # of a model's taps that it shows
_LISTED: dict[tuple, dict[str, Site]] = {}  # the taps of each kind, config and shape of parameters that was asked


class Kept(NamedTuple):
    """What `Network.keep` gives where blocks know tokens by their places: the tokens, and where each of them stands.

    Attributes:
        tokens: [image, token, channel].
        places: on the grid, counted row by row, [image, token] or [token] of all images.
    """

    tokens: Array
    places: Int[Array, "*image token"]


class Network(nnx.Module):
    """A model whose every activation can be read and edited by name.

    The module is a pytree: transform functions of it with plain `jax.jit`, `jax.grad`, `jax.vmap`. A kind of model has
    a frozen `config` with `image_size`, `preprocess` and `classes`, and two methods: `embed` (normalised images to
    what its layers read) and `_run` (that, through taps, as far as the last one read). The other methods have defaults
    that are right for every model; a kind of model overrides those for which it knows a shorter way.

    Attributes:
        execution: how it runs where a call does not say.
        neurons: the taps of its units, the ones painted where nothing else is asked.
        layers: the taps whose embeddings are compared, from the first layer to the last.
        facts: what is true of it that not every model has, of `FACTS`: tokens run through it ("tokens"), they attend to
            each other ("attention"), all to all ("global attention"), one of them stands for the class, one linear map
            of pixels embeds each patch ("patch filters"), learned positions are added to these ("positions"). Analyses
            say which they need.
        grid_arrays: its arrays that hold something for each place of a grid, {dotted name: (what, grid)}, to be
            resampled where it is used at another image size: "positions" [place, channel], "distances" between two
            places [..., distance, head], or "fixed", for which there is no way and another size is refused; of these,
            positions are "fixed positions".
        lacking: taps of other models that it has none of, {end of their names, e.g. "attn.scores": why, and what there
            is instead}, for whoever asks for one.
        rows: where the parameters of its blocks are, {stack, e.g. "stages.2.blocks": of each block (name, row)}: a
            block's `attn.qkv.kernel` is that row of the array `NAME.attn.qkv.kernel`, all of it where the row is None.
    """

    card: Any = None  # where the weights came from; set by `vitjax.load`
    resampling: Any = None  # how its source takes it to another image size, where that is known; set by `vitjax.load`
    class_names: ClassNames = NAMELESS  # of its head, as the checkpoint states them; set by `vitjax.load`
    execution: Execution = PLAIN
    dictionaries: Sequence[Any] = ()  # of features, whose latents are taps; see `with_dictionary`
    neurons: str
    layers: str
    facts: frozenset[str] = frozenset()
    grid_arrays: Mapping[str, tuple[str, tuple[int, int]]] = {}
    lacking: Mapping[str, str] = {}
    rows: Mapping[str, Rows] = {}

    @promoting()
    def __call__(
        self,
        images: Float[Array, "batch height width color"],
        reads: Iterable[str] | str | None = None,
        edits: Mapping[str, Edit] | None = None,
        *,
        execution: Execution | None = None,
    ) -> dict[str, Array]:
        """Runs the model as far as the last tap in `reads`.

        Args:
            images: floats with values in [0, 1]; the model applies its own mean and std.
            reads: tap names, e.g. `["blocks.6.mlp.hidden", "logits"]`; default the model's output.
            edits: {tap: function of the activation}; an edit that ignores its argument removes all that comes before.
                It gives floats of the same shape; see `Taps` for where it may drop tokens.
            execution: how it runs where that does not change what it computes, e.g. `Execution(remat=True)`; default
                the model's own `execution`.

        Returns:
            {tap: activation}, batch axis first; see `taps()` for the other axes.

        Raises:
            InputError: an unknown tap, an edit without effect or to another shape, or images of another size, type or
                range: integers, channels first, values of 0 to 255 or normalised already, …
        """
        images = checked(images, self.config.image_size, self.config.channels)
        return self.from_embedding(self.embed(self.normalise(images)), reads, edits, execution=execution)

    @promoting()
    def from_embedding(
        self,
        embedded: Array | Kept,
        reads: Iterable[str] | str | None = None,
        edits: Mapping[str, Edit] | None = None,
        *,
        execution: Execution | None = None,
        drop_path: DropPath | None = None,
    ) -> dict[str, Array]:
        """Runs the model from what `embed` or `keep` gives, as `execution` says; all else as for images.

        With `drop_path` blocks leave out their branches at random, as they do while a model learns.
        """
        tokens = embedded.tokens if isinstance(embedded, Kept) else embedded
        if not isinstance(tokens, jax.Array | np.ndarray) or not jnp.issubdtype(tokens.dtype, jnp.floating):
            raise InputError("embedded is no array of floats: give what model.embed(model.normalise(images)) gives")
        if drop_path is not None and "tokens" not in self.facts:
            raise InputError("this model has no Transformer blocks, whose branches could be left out at random")
        taps = asked(reads, edits, self.output, drop_path and drop_path.over(self.rows))
        self._run(embedded, taps.holding(self.dictionaries), (execution or self.execution).on(platform(self)))
        taps.check(self.taps)
        return taps.values

    def __repr__(self) -> str:
        """What it is, in a screen: its size, what it reads, its taps, those of like blocks in one line."""
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self))
        size = " x ".join(map(str, (*self.config.image_size, self.config.channels)))
        name = f"{type(self).__name__}{(self.card and f' {self.card.source}') or ''}"
        lines = table(grouped(self.taps()), most=LINES)
        return "\n  ".join([f"{name}: {count:,} parameters in {self.dtype}, images of {size}", *lines])

    @property
    def dtype(self) -> jnp.dtype:
        """That of its weights."""
        return jax.tree.leaves(self)[0].dtype

    def cast(self, dtype: str | jnp.dtype) -> Self:
        """The same model with weights and activations of another dtype; itself where they are of that one."""
        return self if self.dtype == dtype else jax.tree.map(lambda leaf: leaf.astype(dtype), self)

    @property
    def output(self) -> str:
        """The last tap: "logits", or "pooled" for a model without a head."""
        return "logits" if self.config.classes else "pooled"

    @promoting()
    def taps(self) -> Sites:
        """Lists every tap with its shape, axes and places, in the order of the forward pass, from a recording run.

        The run is traced once for each kind of model, config and shapes of its parameters.
        """
        known = (type(self), self.config, *(one.form for one in self.dictionaries))
        known += tuple(leaf.shape for leaf in jax.tree.leaves(self))
        if known not in _LISTED:
            image = jax.ShapeDtypeStruct((1, *self.config.image_size, self.config.channels), jnp.float32)
            run = lambda model, x, taps: model._run(model.embed(x), taps.holding(model.dictionaries), PLAIN)
            _LISTED[known] = listed(run, self, image)
        return Sites(_LISTED[known], self.lacking)

    @promoting()
    def normalise(self, images: jax.Array) -> jax.Array:
        """Images in [0, 1] with the model's mean and std applied, in float32 at least.

        Their values are not looked at, which views of a picture leave on purpose.
        """
        check_floats(images.dtype)
        images = jnp.asarray(images)
        preprocess = self.config.preprocess
        wide = jnp.promote_types(images.dtype, jnp.float32)
        mean, std = (jnp.asarray(value, wide) for value in (preprocess.mean, preprocess.std))
        return (images - mean) / std

    def embed(self, images: jax.Array) -> jax.Array:
        """Gives what the layers read of normalised images."""
        raise NotImplementedError

    def embed_views(
        self,
        base: Float[Array, "slot h w color"],
        gain: Float[Array, "slot view color"],
        shift: Float[Array, "slot view color"],
    ) -> Array:
        """Gives what `embed` does of the images `gain * base + shift`, `slot * view` of them in that order."""
        gain, shift = (part[:, :, None, None] for part in (gain, shift))
        images = gain * base[:, None] + shift
        return self.embed(self.normalise(images.reshape(-1, *images.shape[2:])))

    def keep(self, embedded: Array, places: Int[Array, "image place"]) -> Array | Kept:
        """Gives what `embed` gave without the patches of each image that are not at `places`, counted row by row.

        Raises:
            InputError: the model has no tokens that could be left out.
        """
        raise InputError("this model has no tokens that could be left out; use seen=1")

    def last_layer(self, tap: str) -> LastLayer | None:
        """The dense layer that gives a tap, of which one column is one unit; None where the tap has no such layer."""
        return None

    def columns(self, tap: str) -> LastLayer | None:
        """As above, and for latents of a dictionary before their activation function."""
        found = [one.layer(self.taps()[one.form.tap]) for one in self.dictionaries if one.taps[0] == tap]
        return found[0] if found else self.last_layer(tap)

    def with_dictionary(self, *dictionaries: Any) -> Self:
        """The same model, among whose taps are the latents of dictionaries (`vitjax.models.dictionaries`), cast to its
        dtype: those of `blocks.9.resid_post` are `blocks.9.resid_post.sae`, and `….sae_pre` before their activation.

        Raises:
            InputError: no such tap, one of another shape, or a second dictionary of one name at a tap.
        """
        for one in dictionaries:
            one.check_fits(self)
        held = [*self.dictionaries, *(jax.tree.map(lambda leaf: leaf.astype(self.dtype), one) for one in dictionaries)]
        names = [one.taps[-1] for one in held]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"two dictionaries are called {twice[0]}: give one another name, e.g. TAP@NAME=FILE")
        model = jax.tree.map(lambda leaf: leaf, self)
        model.dictionaries = nnx.List(held)
        return model

    def _run(self, x: jax.Array, taps: Taps, execution: Execution) -> None:
        raise NotImplementedError


def provenance(model: Any) -> dict[str, Any]:
    """What a model's card says of where its weights came from; empty without a card, as of models made elsewhere."""
    found = asdict(card) if (card := getattr(model, "card", None)) else {}
    held = {one.taps[-1]: one.described() for one in getattr(model, "dictionaries", ())}
    return {**found, **({"dictionaries": held} if held else {})}
