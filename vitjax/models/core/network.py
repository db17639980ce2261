"""What every model has in common: images in, the activations that were asked for by name out."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.images import check_floats, checked
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.taps import Edit, Taps, asked, listed

_LISTED: dict[tuple[type, Any], dict[str, tuple[int, ...]]] = {}  # the taps of each kind and config that was asked


class Network(nnx.Module):
    """A model whose every activation can be read and edited by name.

    The module is a pytree: transform functions of it with plain `jax.jit`, `jax.grad`, `jax.vmap`. A kind of model has
    a frozen `config` with `image_size`, `preprocess` and `classes`, and two methods: `embed` (normalised images to
    what its layers read) and `_run` (that, through taps, as far as the last one read).

    Attributes:
        neurons: the taps of its units, the ones painted where nothing else is asked.
        layers: the taps whose embeddings are compared, from the first layer to the last.
    """

    card: Any = None  # where the weights came from; set by `vitjax.load`
    class_names: ClassNames = NAMELESS  # of its head, as the checkpoint states them; set by `vitjax.load`
    neurons: str
    layers: str

    @promoting()
    def __call__(
        self,
        images: Float[Array, "batch height width color"],
        reads: Iterable[str] | str | None = None,
        edits: Mapping[str, Edit] | None = None,
        *,
        remat: bool = False,
    ) -> dict[str, Array]:
        """Runs the model as far as the last tap in `reads`.

        Args:
            images: floats with values in [0, 1]; the model applies its own mean and std.
            reads: tap names, e.g. `["blocks.6.mlp.hidden", "logits"]`; default the model's output.
            edits: {tap: function of the activation}; an edit that ignores its argument removes all that comes before.
                It gives floats of the same shape; see `Taps` for where it may drop tokens.
            remat: recompute blocks in the backward pass instead of keeping their activations.

        Returns:
            {tap: activation}, batch axis first; see `taps()` for the other axes.

        Raises:
            InputError: an unknown tap, an edit without effect or to another shape, or images of another size, type or
                range: integers, channels first, values of 0 to 255 or normalised already, …
        """
        images = checked(images, self.config.image_size, self.config.channels)
        return self.from_embedding(self.embed(self.normalise(images)), reads, edits, execution=Execution(remat=remat))

    @promoting()
    def from_embedding(
        self,
        embedded: Array,
        reads: Iterable[str] | str | None = None,
        edits: Mapping[str, Edit] | None = None,
        *,
        execution: Execution = PLAIN,
    ) -> dict[str, Array]:
        """Runs the model from what `embed` gives, in the way that `execution` says; all else as for images."""
        if not isinstance(embedded, jax.Array | np.ndarray) or not jnp.issubdtype(embedded.dtype, jnp.floating):
            raise InputError("embedded is no array of floats: give what model.embed(model.normalise(images)) gives")
        taps = asked(reads, edits, self.output)
        self._run(embedded, taps, execution)
        taps.check(self.taps)
        return taps.values

    @property
    def dtype(self) -> jnp.dtype:
        """That of its weights."""
        return jax.tree.leaves(self)[0].dtype

    @property
    def output(self) -> str:
        """The last tap: "logits", or "pooled" for a model without a head."""
        return "logits" if self.config.classes else "pooled"

    @promoting()
    def taps(self) -> dict[str, tuple[int, ...]]:
        """Lists every tap with its shape per image, in the order of the forward pass, from a recording run.

        The run is traced once for each kind of model and config.
        """
        if (known := (type(self), self.config)) not in _LISTED:
            image = jax.ShapeDtypeStruct((1, *self.config.image_size, self.config.channels), jnp.float32)
            run = lambda model, images, taps: model._run(model.embed(model.normalise(images)), taps, PLAIN)
            _LISTED[known] = listed(run, self, image)
        return dict(_LISTED[known])

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

    def _run(self, x: jax.Array, taps: Taps, execution: Execution) -> None:
        raise NotImplementedError
