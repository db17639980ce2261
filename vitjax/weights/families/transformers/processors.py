"""The image processors of transformers by class: the fields that change pictures with their defaults, and all others.

Source of the facts: transformers 5.24, `processing_utils.ImagesKwargs` and `models/*/image_processing_*.py`. Classes
that do something to a picture that no field here says (tiles, depth maps, channels in another order) are left out.
"""

from typing import Any

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
_IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_CLIP = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073), "image_std": (0.26862954, 0.26130258, 0.27577711),
    "size": {"shortest_edge": 224}, "default_to_square": False, "crop_size": 224, "do_center_crop": True, "resample": 3,
}  # fmt: skip

# What every class has, with what it is unless the class or the file says otherwise; resample is Pillow's number.
FIELDS: dict[str, Any] = {
    "do_resize": True, "size": 224, "default_to_square": True, "resample": 2,
    "do_center_crop": False, "crop_size": 224,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, **_HALF,
    "do_pad": False, "pad_size": None,
}  # fmt: skip

PROCESSORS: dict[str, dict[str, Any]] = {
    "ViTImageProcessor": {},
    "DeiTImageProcessor": {"resample": 3, "size": 256, "do_center_crop": True},
    "BeitImageProcessor": {"resample": 3},
    "CLIPImageProcessor": {**_CLIP, "use_square_size": False},
    "ChineseCLIPImageProcessor": _CLIP,
    "BitImageProcessor": _CLIP,
    "SiglipImageProcessor": {"resample": 3, "size": {"height": 224, "width": 224}, "default_to_square": False},
    "Siglip2ImageProcessor": {"patch_size": 16, "max_num_patches": 256},
    "DINOv3ViTImageProcessor": _IMAGENET,
    "ConvNextImageProcessor": {
        "resample": 3, "size": {"shortest_edge": 384}, "default_to_square": False, "crop_pct": 224 / 256,
    },
    "LevitImageProcessor": {
        **_IMAGENET, "resample": 3, "size": {"shortest_edge": 224}, "default_to_square": False, "do_center_crop": True,
        "edge_scale": 256 / 224,
    },
    "PvtImageProcessor": {**_IMAGENET, "resample": 3},
    "EfficientNetImageProcessor": {
        "resample": 3, "size": 346, "crop_size": 289, "rescale_offset": False, "include_top": True,
    },
}  # fmt: skip

# The class of a kind of model, where its file names none.
KINDS = {
    "vit": "ViTImageProcessor",
    "vit_mae": "ViTImageProcessor",
    "deit": "DeiTImageProcessor",
    "beit": "BeitImageProcessor",
    "dinov2": "BitImageProcessor",
    "dinov2_with_registers": "BitImageProcessor",
    "dinov3_vit": "DINOv3ViTImageProcessor",
    "levit": "LevitImageProcessor",
    "pvt": "PvtImageProcessor",
    "pvt_v2": "PvtImageProcessor",
    "clip_vision_model": "CLIPImageProcessor",
    "siglip_vision_model": "SiglipImageProcessor",
    "siglip2_vision_model": "Siglip2ImageProcessor",
    "swin": "ViTImageProcessor",
    "swinv2": "ViTImageProcessor",
}

# Fields that leave a photograph's pixels as they are, and why.
INERT: dict[str, str] = {
    "image_processor_type": "the class, read apart",
    "feature_extractor_type": "the class as it was called once, read apart",
    "processor_class": "of the processor of pictures and text that this one is part of",
    "auto_map": "code of the checkpoint's own, which transformers does not run unasked either",
    "do_convert_rgb": "every photograph becomes RGB here; without it transformers refuses those that are not",
    "do_reduce_labels": "of maps of classes, which are no pictures",
    "reduce_labels": "its old name",
    "data_format": "the order of the axes that the processor gives, which it knows itself",
    "input_data_format": "the order of the axes that arrays come in; files have their own",
    "return_tensors": "the library that the arrays are for",
    "device": "where the work is done",
    "disable_grouping": "whether pictures of one size are worked on together",
    "image_seq_length": "of models of text",
    "model_input_names": "the names of the arrays",
    "_valid_processor_keys": "names of fields, written by transformers 4.38 to 4.45",
    "transformers_version": "who wrote the file",
}
