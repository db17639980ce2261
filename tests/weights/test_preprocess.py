"""What a checkpoint says of its pictures: every field followed as its library does, or refused by name."""

import csv
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from tests.support import noise, preprocessing
from tests.support.pictures import encode, photo
from tests.support.preprocessing import FAST, TABLE, TIMM, TOLERANCE, of_timm, of_transformers, transformers_cases
from tests.weights.test_parity_hf import make, transformers  # noqa: F401, a fixture
from vitjax.data.annotations.masks import Objects, fitted_labels
from vitjax.data.files.images import Images
from vitjax.data.files.open import open_images
from vitjax.data.pipeline import Batches
from vitjax.data.placement import patch_box
from vitjax.data.prepare import prepare
from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.preprocess import Preprocess, share
from vitjax.weights.families.timm.arguments import READ
from vitjax.weights.families.timm.inert import INERT_CFG
from vitjax.weights.families.timm.models import config as config_from_timm
from vitjax.weights.families.transformers.processing import preprocess
from vitjax.weights.families.transformers.processors import FIELDS, INERT, KINDS, PROCESSORS
from vitjax.weights.load import load, sized
from vitjax.weights.publish.converted import export, open_folder
from vitjax.weights.save import export_timm

SIDE = 64
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.fixture(scope="module")
def photos(request) -> list[bytes]:
    """20 real photographs where they are; else made-up ones, tall, wide and small."""
    try:
        images = open_images(request.getfixturevalue("shared_data") / "imagenet-samples" / "images.zip")
    except pytest.skip.Exception:
        return [encode(photo(*size, seed)) for seed, size in enumerate([(333, 200), (150, 301), (97, 151), (50, 99)])]
    return [images.read(place) for place in range(20)]


@pytest.fixture(scope="module")
def by_timm(timm, tmp_path_factory):
    """A small random model as timm keeps it."""
    folder = tmp_path_factory.mktemp("timm")
    model = timm.create_model("vit_tiny_patch16_224", embed_dim=48, depth=2, img_size=SIDE, num_classes=7)
    noise.randomise(model, r"norm\w*\.weight$")
    save_file({name: tensor.numpy() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    cfg = {"input_size": [3, SIDE, SIDE], "fixed_input_size": True, "mean": [0.5] * 3, "std": [0.5] * 3}
    settings = {"architecture": "vit_tiny_patch16_224", "num_classes": 7, "pretrained_cfg": cfg}
    (folder / "config.json").write_text(json.dumps(settings | {"model_args": {"embed_dim": 48, "depth": 2}}))
    return folder


@pytest.fixture(scope="module")
def by_transformers(by_timm, transformers, tmp_path_factory):  # noqa: F811
    """The same as transformers keeps it, and its folder."""
    folder = preprocessing.to_transformers(by_timm, tmp_path_factory.mktemp("transformers"))
    return transformers.ViTForImageClassification.from_pretrained(folder).eval(), folder


@pytest.mark.parametrize("case", TIMM)
def test_every_mode_of_timm(timm, by_timm, photos, case):
    found = of_timm(timm, by_timm, photos, case)
    assert found.relative <= TOLERANCE and found.same == len(photos)


@pytest.mark.parametrize("case", transformers_cases(SIDE))
def test_every_flag_of_transformers(by_transformers, photos, case):
    found = of_transformers(*by_transformers, photos, (case, *transformers_cases(SIDE)[case]))
    assert found.relative <= TOLERANCE and found.same == len(photos)


def test_the_table_holds_every_case():
    """On ViT-Ti and 20 photographs of ImageNet, as `python -m tests.preprocessing` wrote it."""
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    exact = [row for row in rows if row["library"] != "transformers, torchvision"]
    assert {(row["library"], row["case"]) for row in exact} == {
        *(("timm", case) for case in TIMM),
        *(("transformers, Pillow", case) for case in transformers_cases(SIDE)),
    }
    assert [row["case"] for row in rows if row not in exact] == list(FAST)
    assert all(float(row["relative"]) <= TOLERANCE and row["same"] == row["photos"] == "20" for row in exact)


def test_no_field_is_unknown(timm, transformers):  # noqa: F811
    from timm.models._pretrained import PretrainedCfg

    assert {field.name for field in fields(PretrainedCfg)} == {*READ, *INERT_CFG}
    for name, own in PROCESSORS.items():
        if processor := getattr(transformers, name, None):
            assert processor.valid_kwargs.__annotations__.keys() <= {*FIELDS, *own, *INERT}, name
            ours = {**FIELDS, **own}
            made = processor()
            for field, value in ours.items():
                theirs = getattr(made, field, value)
                if field in ("size", "crop_size"):
                    square = field == "crop_size" or ours["default_to_square"]
                    value = {"height": value, "width": value} if isinstance(value, int) and square else value
                    theirs = dict(theirs) if theirs else value
                if theirs is not None:
                    assert theirs == value or bool(theirs) == value, (name, field, theirs, value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"do_flip_channel_order": True}, "do_flip_channel_order=True of the image processor is not supported"),
        ({"crop_pct": 0.9}, "crop_pct=0.9 of the image processor is not supported"),
        ({"do_center_kropp": True}, r"do_center_kropp=True .*did you mean do_center_crop"),
        ({"size": {"longest_edge": 64}}, r"size=\{'longest_edge': 64\} of the image processor is not pixels, "),
        ({"size": {"shortest_edge": 64, "longest_edge": 90}}, "size=.*is not pixels"),
        ({"size": {"height": 64}}, "size=.*is not pixels"),
        ({"size": 64.5}, "size=64.5"),
        ({"crop_size": "64", "do_center_crop": True}, "crop_size='64'"),
        ({"resample": 9}, "resample=9 of the image processor is not one of Pillow's filters, 0 to 5"),
        ({"resample": "bicubic"}, "resample='bicubic'"),
        ({"image_mean": [0.5, 0.4]}, r"image_mean.* is \[0.5, 0.4\], which is not one number for each of 3 input chan"),
        ({"image_std": [0.5, 0, 0.5]}, "image_std=.*other than 0"),
        ({"image_std": [0.5, math.nan, 0.5]}, "image_std=.*not a number, or one for each channel"),
        ({"rescale_factor": 0}, "rescale_factor=0 of the image processor is not a number above 0"),
        ({"do_normalize": "no"}, "do_normalize='no' of the image processor is not true or false"),
        ({"do_pad": True, "pad_size": {"height": 99, "width": 99}}, "pad_size="),
        ({"image_processor_type": "DPTImageProcessor"}, "unknown image processor 'DPTImageProcessor'"),
        ({"image_processor_type": "ViTImagProcessorFast"}, "did you mean ViTImageProcessor"),
        ({"image_processor_type": "ConvNextImageProcessor", "size": {"height": 9, "width": 9}}, "shortest_edge that"),
        ({"image_processor_type": "Siglip2ImageProcessor", "max_num_patches": "all"}, "max_num_patches='all'"),
    ],
)
def test_what_transformers_may_not_say(settings, said):
    with pytest.raises(InputError, match=said) as caught:
        preprocess(settings, "vit", (SIDE, SIDE))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        ({"crop_mode": "cover"}, "crop_mode='cover' is not supported, only 'center', 'squash', 'border'"),
        ({"interpolation": "random"}, "interpolation='random' is not supported, only 'nearest'"),
        ({"crop_border_pixels": 9}, "unknown crop_border_pixels in config.json's pretrained_cfg"),
        ({"crop_pkt": 0.9}, r"unknown crop_pkt in config.json's pretrained_cfg \(did you mean crop_pct"),
    ],
)
@pytest.mark.parametrize("first_form", [False, True])
def test_what_timm_may_not_say(cfg, said, first_form):
    cfg = {"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [3, 224, 224], "license": "mit"} | cfg
    settings = {"architecture": "vit_tiny_patch16_224", **(cfg if first_form else {"pretrained_cfg": cfg})}
    with pytest.raises(InputError, match=said) as caught:
        config_from_timm(settings, {})
    assert "\n" not in str(caught.value)


def test_what_no_file_states_is_the_class_s_own():
    found = preprocess({"crop_size": None, "do_pad": False, "do_thumbnail": False}, "clip_vision_model", (SIDE, SIDE))
    assert found.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073)) and found.interpolation == "bicubic"
    assert (found.mode, found.crop, found.size, found.cut) == ("crop", 1.0, (SIDE, SIDE), True)
    found = preprocess({"feature_extractor_type": "DeiTFeatureExtractor"}, "vit", (384, 384))
    assert (found.mode, found.crop, found.size, found.centre) == ("squash", 224 / 256, (384, 384), "transformers")
    assert all(kind in PROCESSORS for kind in KINDS.values())


def test_convnext_from_384_pixels_squeezes():
    settings = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}}
    found = preprocess(settings, "vit", (384, 384))
    assert (found.mode, found.crop, found.size) == ("squash", 1.0, (384, 384))


def test_the_size_is_the_processor_s(transformers, tmp_path):  # noqa: F811
    make(transformers, tmp_path, "DINOv2")
    settings = {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 51}, "crop_size": 44}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    config = load(tmp_path, cache=False).config
    assert (config.image_size, config.preprocess.size) == ((40, 40), (44, 44))  # by patches of 8
    image = photo(90, 70)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    whole = processor(image, do_normalize=False, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    np.testing.assert_allclose(prepare(image, config) / 255, whole[:40, :40], atol=1e-6)
    config = sized(config, (48, 48))
    assert (config.image_size, config.preprocess.size) == ((48, 48), None)
    nested = {"image_processor": settings | {"crop_size": 32}, "processor_class": "CLIPProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    assert load(tmp_path, cache=False).config.image_size == (32, 32)


def test_pixels_beyond_the_last_patch_are_left_out(timm, tmp_path):
    arguments = {"embed_dim": 48, "depth": 1, "patch_size": 14, "img_size": 50, "num_classes": 7}
    model = timm.create_model("vit_tiny_patch16_224", **arguments).eval()
    noise.randomise(model, r"norm\w*\.weight$")
    save_file({name: tensor.numpy() for name, tensor in model.state_dict().items()}, tmp_path / "model.safetensors")
    cfg = {"input_size": [3, 50, 50], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0, "crop_mode": "squash"}
    settings = {"architecture": "vit_tiny_patch16_224", "model_args": arguments, "pretrained_cfg": cfg}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, cfg))
    theirs = model(transform(photo(90, 70))[None]).detach().numpy()
    np.testing.assert_allclose(preprocessing.ours(tmp_path, [encode(photo(90, 70))]), theirs, rtol=1e-4, atol=1e-5)
    again = load(tmp_path, cache=False)
    export_timm(again, tmp_path / "again", dtype="float32")
    assert load(tmp_path / "again", cache=False).config == again.config


def test_a_processor_that_cuts_nothing_off_refuses_what_does_not_fit():
    config = replace(SQUARE, preprocess=preprocess({"do_resize": False}, "vit", (32, 32)).of((32, 32)))
    whole = photo(32, 32)
    np.testing.assert_array_equal(prepare(whole, config), np.asarray(whole))
    with pytest.raises(InputError, match=r"an image of 40x32 pixels is 40x32 once .* only what comes to 32x32 fits"):
        prepare(photo(40, 32), config)
    naflex = preprocess({"max_num_patches": 18, "patch_size": 8}, "siglip2_vision_model", (32, 32))
    config = replace(SQUARE, preprocess=naflex.of((32, 32)))
    assert prepare(photo(99, 99), config).shape == (32, 32, 3)
    with pytest.raises(InputError, match="an image of 99x50 pixels is 63x32"):
        prepare(photo(99, 50), config)
    files = {"a.png": encode(photo(99, 99)), "b.png": encode(photo(99, 50))}
    batches = Batches(Images("two", tuple(files), lambda place: list(files.values())[place]), config, size=2)
    assert [int((batch.place >= 0).sum()) for batch in batches] == [1]
    assert list(batches.unreadable) == ["b.png"] and "99x50" in batches.unreadable["b.png"]


SQUARE = ViTConfig(image_size=(32, 32), patch_size=(8, 8), width=24, depth=1, mlp_width=24, classes=3)
WIDE = replace(SQUARE, image_size=(32, 48))
LAYOUTS = {
    "crop": Preprocess(crop=0.8),
    "crop above 1": Preprocess(crop=1.3),
    "squash": Preprocess(mode="squash", crop=0.9),
    "border": Preprocess(mode="border", crop=0.9),
    "border above 1": Preprocess(mode="border", crop=1.3),
    "shares of its own": Preprocess(mode="squash", crop=(0.7, 0.9)),
    "not resized": Preprocess(mode="none"),
    "from a larger size": Preprocess(mode="squash", crop=0.9, size=(39, 52)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(120, 90), (61, 140), (40, 55)])
@pytest.mark.parametrize("shape", [SQUARE, WIDE], ids=["square", "wide"])
def test_a_patch_s_box_is_where_its_pixels_come_from(layout, size, shape):
    config = replace(shape, preprocess=replace(LAYOUTS[layout], fill=(0, 0, 255), interpolation="box"))
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    places = np.dstack([x, y, np.zeros_like(x)]).astype(np.uint8)  # red says which column, green which row
    seen = prepare(Image.fromarray(places), config).astype(float)
    assert seen.shape == (*config.image_size, 3)
    for row in range(config.grid[0]):
        for column in range(config.grid[1]):
            left, top, right, bottom = patch_box(size, config, row, column)
            patch = seen[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].reshape(-1, 3)
            empty = patch[:, 2] == 255
            if left >= 0 and top >= 0 and right <= size[0] and bottom <= size[1]:
                assert not empty.any()
                np.testing.assert_allclose(patch.mean(0)[:2] + 0.5, [(left + right) / 2, (top + bottom) / 2], atol=1.5)
            elif right <= 0 or bottom <= 0 or left >= size[0] or top >= size[1]:
                assert empty.all()
            else:
                assert empty.any()


@pytest.mark.parametrize("part", [16, 100, 224, 384])
def test_a_share_meets_its_whole_exactly(part):
    for whole in range(part // 2, 3 * part):
        assert math.floor(part / share((part, part), (whole, whole))) == whole
    assert share((224, 224), (256, 256)) == 0.875 and share((2, 3), (4, 4)) == (0.5, 0.75)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": "squsah"}, "unknown mode 'squsah' .*did you mean squash"),
        ({"centre": "torch"}, "unknown centre 'torch'"),
        ({"crop": 0.0}, "crop is 0.0"),
        ({"crop": (1.0, math.nan)}, "crop is"),
        ({"std": (1, 0, 1)}, "of std none 0"),
        ({"mean": (math.inf,) * 3}, "must be a number for each channel"),
    ],
)
def test_fields_have_their_range(fields, said):
    with pytest.raises(InputError, match=said):
        Preprocess(**fields)


def test_what_is_added_is_no_object():
    config = replace(SQUARE, preprocess=Preprocess(mode="border", crop=1.0, fill=(124, 116, 104)))
    labels = fitted_labels(Objects(np.ones((20, 60), np.int32), ("whole",)), config, "crop").labels
    assert set(labels[0]) == {0} and set(labels[16]) == {1}


def test_every_field_is_kept(tmp_path):
    kept = Preprocess(mode="border", crop=(0.9, 1.1), size=(36, 36), fill=(1, 2, 3), cut=False, centre="transformers")
    model = load("demo")
    model.config = replace(model.config, preprocess=kept)
    export(model, tmp_path / "converted")
    assert open_folder(tmp_path / "converted" / "provenance.json", "float32")[0].preprocess == kept
    with pytest.raises(InputError, match="crop_pct"):  # one number in timm
        export_timm(model, tmp_path / "timm")


@pytest.mark.parametrize("change", [{"mode": "squash"}, {"mode": "border", "fill": (128, 128, 128)}, {"crop": 1.2}])
def test_timm_is_told(tmp_path, change):
    model = noise.model(replace(SQUARE, preprocess=Preprocess(**change)))
    export_timm(model, tmp_path, dtype="float32")
    assert load(tmp_path, cache=False).config == model.config


@pytest.mark.parametrize("change", [{"mode": "none"}, {"centre": "transformers"}, {"fill": (9, 9, 9)}, {"cut": False}])
def test_timm_has_no_words_for_the_rest(tmp_path, change):
    model = noise.model(replace(SQUARE, preprocess=Preprocess(**change)))
    with pytest.raises(InputError, match=r"crop_mode='none' is not supported|timm has no arguments for this model"):
        export_timm(model, tmp_path)


def test_folders_that_were_converted_before_all_was_read_are_refused(tmp_path):
    export(load("demo"), tmp_path / "old")
    provenance = tmp_path / "old" / "provenance.json"
    stated = json.loads(provenance.read_text())
    for field in ("mode", "size", "cut", "fill", "centre"):
        del stated["config"]["preprocess"][field]
    provenance.write_text(json.dumps(stated))
    with pytest.raises(InputError, match="by another version of vitjax; convert it again"):
        load(tmp_path / "old")
