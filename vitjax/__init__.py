"""Makes pictures of, and measures, every unit of a Vision Transformer, in JAX.

>>> import vitjax
>>> model = vitjax.load("demo")
>>> pictures = vitjax.visualize(model, "blocks.3.mlp.hidden:0-63")
"""

import sys

from vitjax.moved import Finder

TYPE_CHECKING = False  # type checkers take it for typing's, whose import would take longer than all the rest
if TYPE_CHECKING:
    from vitjax.atlas.page.opened.atlas import open_atlas
    from vitjax.errors import InputError
    from vitjax.optimize.recipes import Recipe, recipes
    from vitjax.optimize.sentences import sentence
    from vitjax.optimize.visualize import visualize
    from vitjax.weights.load import load
    from vitjax.weights.load_text import load_text

__version__ = "0.2.0"
__all__ = [
    "InputError",
    "Recipe",
    "__version__",
    "load",
    "load_text",
    "open_atlas",
    "recipes",
    "sentence",
    "visualize",
]

_HOMES = {
    "InputError": "vitjax.errors",
    "Recipe": "vitjax.optimize.recipes",
    "load": "vitjax.weights.load",
    "load_text": "vitjax.weights.load_text",
    "open_atlas": "vitjax.atlas.page.opened.atlas",
    "recipes": "vitjax.optimize.recipes",
    "sentence": "vitjax.optimize.sentences",
    "visualize": "vitjax.optimize.visualize",
}

sys.meta_path.append(Finder)  # knows the names that modules had before they moved


def __getattr__(name: str) -> object:
    """Imports what is asked for, when it is asked for: `import vitjax` costs milliseconds."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
