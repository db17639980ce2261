"""What files of weights, and of settings beside them, are called; it imports nothing, so names are checked at once."""

WEIGHTS, CONFIG = "model.safetensors", "config.json"
CLIP_CONFIG = "open_clip_config.json"  # OpenCLIP's own
ADAPTER_CONFIG = "adapter_config.json"  # of a LoRA adapter, see `vitjax.weights.rules.lora`
PROVENANCE = "provenance.json"  # of a model that `vitjax convert` wrote, which has no weights in any other file
RUN, RESULT = "training.json", "model"  # of a training's folder: what it is, and the folder of what came of it

# The weights that go with each file of settings, in a folder or a repository: the first that is there is taken.
WEIGHTS_OF: dict[str, tuple[str, ...]] = {
    CONFIG: (WEIGHTS, f"{WEIGHTS}.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"),
    PROVENANCE: (),
    CLIP_CONFIG: ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"),
    ADAPTER_CONFIG: ("adapter_model.safetensors", "adapter_model.bin"),
}
SETTINGS_OF = {weights: settings for settings, names in WEIGHTS_OF.items() for weights in names}

READABLE = (".safetensors", ".npz", ".pth", ".pt", ".bin", ".ckpt", ".pth.tar")
FOREIGN = (".h5", ".keras", ".msgpack", ".pkl", ".onnx", ".eqx", ".lz4", ".gguf")  # of other libraries
