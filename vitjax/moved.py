"""Finds modules by the names that they had before they moved, with a warning that says where each is now."""

import sys

TYPE_CHECKING = False  # as in the package's own file: `import vitjax` comes by here
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

# {package that modules left: {package that they are in: their names, OLD=NEW where that is another too}}
_ROOMS = {
    "vitjax.models": {
        "vitjax.models": "kinds=registry text=text_tower",
        "vitjax.models.core": "class_names config execution images network preprocess surroundings taps vocabulary",
        "vitjax.models.parts": "layers=block positions",
        "vitjax.models.convnets": "convnet=base densenet mobilenet resnet",
    },
    "vitjax.weights": {
        "vitjax.weights": "text=load_text",
        "vitjax.weights.find": "checkpoint hub source",
        "vitjax.weights.formats": "archive files=open folders=orbax_folder host npz pickled sharded tensors"
        " torch_legacy torch_pickle torch_zip",
        "vitjax.weights.rules": "channels layouts lora parts resize rules=convert tokens=prefix_tokens",
        "vitjax.weights.families": "big_vision dino families=registry google open_clip openai torchvision",
        "vitjax.weights.families.timm": "architectures convnet_architectures convnets timm=plain"
        " timm_architectures=plain_architectures timm_arguments=arguments timm_eva=eva"
        " timm_eva_architectures=eva_architectures timm_inert=inert",
        "vitjax.weights.families.transformers": "hf=towers hf_kinds=kinds hf_preprocess=processing"
        " hf_processors=processors hf_rules=tables hf_text=text_towers",
        "vitjax.weights.publish": "card=provenance converted publish=upload push readme",
    },
    "vitjax.data": {
        "vitjax.data.files": "arrays formats hub images=open parquet paths prints readers splits",
        "vitjax.data.annotations": "boxes class_order labels masks",
    },
    "vitjax.optimize": {
        "vitjax.units": "units",
        "vitjax.optimize": "text=sentences",
        "vitjax.optimize.results": "pictures sheet=sheets",
    },
    "vitjax.analysis": {
        "vitjax.analysis.study": "catalog catalog_ghiasi catalog_nguyen checks entries=entry findings gallery means"
        " passes patches style",
        "vitjax.analysis.photographs": "exemplar_tables exemplars likeness natural outliers own tally words",
        "vitjax.analysis.report": "clarity grades grading held_out painted report_card report_figures yardstick",
        "vitjax.analysis.units": "attention_features background invariance maps objects spread",
        "vitjax.analysis.ablations": "accuracy class_token frequency masking patch_heads positions relative",
        "vitjax.analysis.perturbed": "embeddings_alike=alike embeddings_figures=alike_figures occlusion"
        " occlusion_curves occlusion_figures occlusion_tables shuffle",
        "vitjax.analysis.views": "filters rollout rollout_run=attention_maps views views_cards=view_beside_picture"
        " views_run=view_figures views_worth=view_worth",
        "vitjax.analysis.clusters": "clusters=measures embeddings=maps_of_tokens token_rows tokens=token_clusters"
        " tokens_figures=token_figures",
        "vitjax.analysis.norms": "norms norms_cost norms_figures norms_tokens",
    },
    "vitjax.atlas": {
        "vitjax.atlas.job": "cards=grade care=attempts finish job natural=look paint run screen=progress work",
        "vitjax.atlas.job.compared": "tables",
        "vitjax.atlas.store": "checksums claim folder sealed store",
        "vitjax.atlas.page": "card=dataset_readme columns contact contents export layouts pool push reader scripts"
        " sheets",
        "vitjax.atlas.server": "serve site",
        "vitjax.atlas.records": "condensed manifest series verify",
    },
}
MOVED = {
    f"{left}.{name.partition('=')[0]}": f"{now}.{name.rpartition('=')[2]}"
    for left, rooms in _ROOMS.items()
    for now, names in rooms.items()
    for name in names.split()
}


class Finder:
    """What `sys.meta_path` asks last: an old name becomes another name of the module that it now is."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None):
        """Gives what imports a module that has moved; None for every other name."""
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, cls) if name in MOVED else None

    @staticmethod
    def create_module(spec: object) -> None:
        """Leaves it to Python to make an empty module, for which the real one is put."""

    @staticmethod
    def exec_module(module: "ModuleType") -> None:
        """Puts the real module in the place of one that has moved."""
        from importlib import import_module

        old, new = module.__name__, MOVED[module.__name__]
        _warn(old, new)
        sys.modules[old] = import_module(new)


def within(package: str) -> "Callable[[str], object]":
    """Makes `__getattr__` for a package that took the name of a module which is in it now: its public names are found.

    Those that a module of the package has, too, are that module's.
    """

    def find(name: str) -> object:
        from importlib import import_module
        from importlib.util import find_spec

        known = not name.startswith("_") and not find_spec(f"{package}.{name}")
        if not known or not hasattr(module := import_module(MOVED[package]), name):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        _warn(f"{package}.{name}", f"{MOVED[package]}.{name}")
        setattr(sys.modules[package], name, value := getattr(module, name))
        return value

    return find


def _warn(old: str, new: str) -> None:
    import warnings

    warnings.warn(f"{old} is now {new}", DeprecationWarning, stacklevel=3)
