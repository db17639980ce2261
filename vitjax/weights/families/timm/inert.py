"""The fields of a `config.json` of timm that change no picture, and why: what is neither here nor read is refused.

Source of the facts: timm 1.0.31, `models/_pretrained.py` (`PretrainedCfg`, which refuses unknown fields too),
`models/_hub.py` and `data/config.py`.
"""

# Of `pretrained_cfg`.
INERT_CFG: dict[str, str] = {
    **dict.fromkeys(
        ("url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source", "custom_load"),
        "where weights come from",
    ),
    **dict.fromkeys(("architecture", "tag"), "the name, read at the top"),
    **dict.fromkeys(
        ("license", "description", "origin_url", "paper_name", "paper_ids", "notes"), "about the weights, not of them"
    ),
    **dict.fromkeys(("label_offset", "label_names", "label_descriptions"), "what classes are called"),
    **dict.fromkeys(("first_conv", "classifier"), "names of layers"),
    **dict.fromkeys(("pool_size", "test_pool_size"), "the size of the last map, which follows from the input's"),
    "fixed_input_size": "the model has the stated size here, and what its tensors say is held against that",
    "min_input_size": "a bound, which an input_size that tensors agree with keeps",
    "test_input_size": "another size to evaluate at, which timm takes only where it is asked to",
    "test_crop_pct": "the same of the crop",
}

# Of the top, where timm's first form had the fields of `pretrained_cfg` too.
INERT_TOP: dict[str, str] = {
    **dict.fromkeys(("global_pool", "model_args"), "arguments, read apart"),
    "num_features": "the width, which follows from the architecture",
    "labels": "label_names as they were called once",
    "pretrained_cfg": "empty, or this would not be the first form",
}
