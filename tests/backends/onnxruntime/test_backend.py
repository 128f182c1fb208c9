from __future__ import annotations

import gc
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from stylectl.backends.onnx_export.export import export_trunk, save_model
from stylectl.backends.onnx_gradient import differentiate
from stylectl.backends.onnxruntime import models as onnx_models
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.models import cache_folder
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.backends.onnxruntime.session import Session, to_onnx, to_torch
from stylectl.backends.onnxruntime.vjp import NativeVjp
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.errors import BackendError, UsageError
from stylectl.core.interfaces.backbone import Backbone, LayerInfo
from stylectl.core.interfaces.backend import BackendOptions, Features
from stylectl.core.interfaces.trunk import ChainTrunk, Trunk
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from torch import Tensor, nn
from torch.nn import functional

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_2")

# As in test_torch_backend.py: sums in another order, over some tens of layers.
FLOAT32 = 5e-6
# A rectifier or a maximum whose inputs are within rounding of each other may switch, which moves
# whole elements of the gradient; this leaves room for a few.
SWITCHED = 2e-3


def picture(height: int = 37, width: int = 53, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def random_like(features: Features, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(each.shape, generator=generator) for name, each in features.items()}


def made(backbone: Backbone, *layers: str, gradient: str = "auto") -> OnnxBackend:
    options = OnnxOptions.model_validate({"device": "cpu", "gradient": gradient})
    return OnnxBackend(backbone, layers, options)


@pytest.fixture(scope="module", params=["native", "torch"])
def backend(request: pytest.FixtureRequest) -> OnnxBackend:
    return made(VGG19(VGG19Options()), *LAYERS, gradient=request.param)


@pytest.fixture(scope="module")
def reference() -> Trunk:
    """The same network in float64."""
    return VGG19(VGG19Options()).trunk(LAYERS).double()


@pytest.mark.parametrize("size", [(37, 53), (16, 16), (64, 47)])
def test_features_and_gradient_agree_with_torch_in_float64(
    backend: OnnxBackend, reference: Trunk, size: tuple[int, int]
) -> None:
    image = picture(*size)
    features, pullback = backend.vjp(image)
    leaf = image.double().requires_grad_()
    expected = reference(leaf)
    assert tuple(features) == LAYERS
    for layer in LAYERS:
        assert features[layer].dtype == torch.float32
        assert error(features[layer], expected[layer].detach()) < FLOAT32, layer
    cotangents = random_like(features)
    (exact,) = torch.autograd.grad(
        [expected[layer] for layer in LAYERS], leaf, [cotangents[layer] for layer in LAYERS]
    )
    gradient = pullback(cotangents)
    assert gradient.is_contiguous()
    assert gradient.dtype == torch.float32
    assert error(gradient, exact) < SWITCHED


def test_the_gradient_of_shallow_layers_is_close(backend: OnnxBackend, reference: Trunk) -> None:
    # Some thousand rectifiers, of which none happens to be within rounding of its kink.
    image = picture(16, 16)
    features, pullback = backend.vjp(image)
    cotangents = {layer: random_like(features)[layer] for layer in LAYERS[:2]}
    leaf = image.double().requires_grad_()
    expected = reference(leaf)
    (exact,) = torch.autograd.grad(
        [expected[layer] for layer in cotangents], leaf, list(cotangents.values())
    )
    assert error(pullback(cotangents), exact) < FLOAT32


def test_flat_color_whose_maxima_tie(backend: OnnxBackend, reference: Trunk) -> None:
    image = torch.full((1, 3, 32, 32), 0.5)
    features, pullback = backend.vjp(image)
    cotangents = random_like(features)
    # Not float64, whose sums would break other ties than float32's do: the same precision.
    theirs = TorchBackend(VGG19(VGG19Options()), LAYERS, BackendOptions(device="cpu")).vjp(image)[1]
    # Kernels that sum a border's pixels in another order may break a tie there.
    assert error(pullback(cotangents), theirs(cotangents)) < 0.1


def test_fewer_layers_have_the_same_features(backend: OnnxBackend) -> None:
    image = picture()
    some, every = backend.features(image, ["relu2_1"]), backend.features(image)
    assert set(some) == {"relu2_1"}
    assert set(every) == set(LAYERS)
    assert torch.equal(some["relu2_1"], every["relu2_1"])


def test_a_pullback_is_linear_and_layers_left_out_are_zero(backend: OnnxBackend) -> None:
    image = picture(20, 24)
    cotangents = random_like(backend.features(image))
    alone = [backend.vjp(image)[1]({layer: value}) for layer, value in cotangents.items()]
    assert error(sum(alone, torch.zeros(())), backend.vjp(image)[1](cotangents)) < FLOAT32
    assert not backend.vjp(image)[1]({}).any()


def test_nothing_that_is_given_is_modified(backend: OnnxBackend) -> None:
    image = picture(20, 24)
    features, pullback = backend.vjp(image)
    cotangents = random_like(features)
    given = [image, *cotangents.values(), *features.values()]
    before = [value.clone() for value in given]
    pullback(cotangents)
    assert all(torch.equal(value, copy) for value, copy in zip(given, before, strict=True))


def test_features_outlive_the_gradient_and_the_next_image(backend: OnnxBackend) -> None:
    features, pullback = backend.vjp(picture(20, 24))
    kept = {layer: value.clone() for layer, value in features.items()}
    gradient = pullback(random_like(features))
    copy = gradient.clone()
    other, pull_other = backend.vjp(picture(20, 24, seed=1))
    pull_other(random_like(other))
    gc.collect()
    assert torch.equal(gradient, copy)
    assert all(torch.equal(features[layer], kept[layer]) for layer in LAYERS)


def test_two_pullbacks_may_be_open(backend: OnnxBackend) -> None:
    images = [picture(20, 24), picture(28, 16)]
    both = [backend.vjp(image) for image in images]
    for image, (features, pullback) in zip(images, both, strict=True):
        cotangents = random_like(features)
        assert torch.equal(pullback(cotangents), backend.vjp(image)[1](cotangents))


def test_a_batch_is_its_images(backend: OnnxBackend) -> None:
    images = torch.cat([picture(20, 24, seed) for seed in range(2)])
    features, pullback = backend.vjp(images)
    cotangents = random_like(features)
    gradient = pullback(cotangents)
    for n in range(2):
        alone, pull_alone = backend.vjp(images[n : n + 1])
        assert error(features["relu4_2"][n : n + 1], alone["relu4_2"]) < FLOAT32
        one = {layer: value[n : n + 1] for layer, value in cotangents.items()}
        assert error(gradient[n : n + 1], pull_alone(one)) < SWITCHED


def test_a_pullback_may_be_called_once() -> None:
    native = made(VGG19(VGG19Options()), *LAYERS)
    features, pullback = native.vjp(picture(16, 16))
    pullback(random_like(features))
    with pytest.raises(BackendError, match="once"):
        pullback(random_like(features))


@pytest.mark.parametrize(
    "image", [torch.zeros(3, 16, 16), torch.zeros(1, 1, 16, 16), torch.zeros(1, 3, 16, 16).double()]
)
def test_what_is_no_image_is_an_error(backend: OnnxBackend, image: Tensor) -> None:
    with pytest.raises(BackendError, match="an image must"):
        backend.features(image)
    with pytest.raises(BackendError, match="an image must"):
        backend.vjp(image)


def test_an_unknown_layer_is_an_error(backend: OnnxBackend) -> None:
    with pytest.raises(UsageError, match="relu5_1"):
        backend.features(picture(16, 16), ["relu5_1"])
    features, pullback = backend.vjp(picture(16, 16))
    with pytest.raises(UsageError, match="relu5_1"):
        pullback({"relu5_1": features["relu4_2"]})


def test_a_closed_backend_says_so() -> None:
    with made(VGG19(VGG19Options()), *LAYERS) as backend:
        backend.features(picture(16, 16))
    with pytest.raises(BackendError, match="closed"):
        backend.features(picture(16, 16))


def test_torch_and_onnx_runtime_share_memory() -> None:
    tensor = torch.rand(1, 3, 4, 5)
    value = to_onnx(tensor)
    back = to_torch(value)
    assert value.data_ptr() == tensor.data_ptr() == back.data_ptr()
    kept = tensor.clone()
    del tensor, value
    gc.collect()
    assert torch.equal(back, kept)


class SmallBackbone(Backbone):
    """What VGG has not: branches, batch normalization, strides, odd paddings, resizing."""

    name = "small"
    layers = (
        LayerInfo("early", channels=6, stride=2, receptive_field=5),
        LayerInfo("late", channels=12, stride=4, receptive_field=30),
    )
    aliases = {}  # noqa: RUF012
    default_content_layers = {"late": 1.0}  # noqa: RUF012
    default_style_layers = {"early": 0.5, "late": 0.5}  # noqa: RUF012

    def trunk(self, layers: Collection[str]) -> Trunk:
        return SmallTrunk()


class SmallTrunk(Trunk):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 6, 5, stride=2, padding=2)
            self.norm = nn.BatchNorm2d(6).eval()
            self.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            self.left = nn.Conv2d(6, 6, 3, padding=1, groups=2, padding_mode="reflect")
            self.right = nn.Conv2d(6, 6, 3, padding=2, dilation=2)
        self.requires_grad_(False).eval()

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        early = functional.leaky_relu(self.norm(self.first(image - 0.5)), 0.1)
        pooled = functional.avg_pool2d(early, 3, 2, 1, ceil_mode=True)
        both = torch.cat([self.left(pooled), torch.sigmoid(self.right(pooled))], 1)
        context = functional.interpolate(
            functional.max_pool2d(both, 3, 2, 1), both.shape[2:], mode="bilinear"
        )
        late = both * context.mean((2, 3), keepdim=True) + context.clamp(-0.5, 1.0)
        wanted = ("early", "late") if layers is None else layers
        every = {"early": early, "late": late}
        return {name: value for name, value in every.items() if name in wanted}


@pytest.mark.parametrize("size", [(17, 23), (32, 32), (12, 50)])
def test_a_network_with_branches_has_a_native_gradient(size: tuple[int, int]) -> None:
    backend = made(SmallBackbone(), "early", "late")
    assert (backend.gradient, backend.gradient_reason) == (
        "native",
        "every operator of the network has a gradient rule",
    )
    image = picture(*size)
    features, pullback = backend.vjp(image)
    leaf = image.double().requires_grad_()
    expected = SmallTrunk().double()(leaf)
    cotangents = random_like(features)
    (exact,) = torch.autograd.grad(
        [expected[layer] for layer in features], leaf, list(cotangents.values())
    )
    for layer, value in features.items():
        assert error(value, expected[layer].detach()) < FLOAT32
    assert error(pullback(cotangents), exact) < FLOAT32


def test_another_plain_network(smooth_backbone: Backbone) -> None:
    backend = made(smooth_backbone, "smooth1_1", "smooth2_1", gradient="native")
    assert (backend.gradient, backend.gradient_reason) == ("native", "requested")
    image = picture(8, 9)
    features, pullback = backend.vjp(image)
    leaf = image.double().requires_grad_()
    expected = smooth_backbone.trunk(["smooth1_1", "smooth2_1"])(leaf)
    cotangents = random_like(features)
    (exact,) = torch.autograd.grad(
        [expected[layer] for layer in features], leaf, list(cotangents.values())
    )
    assert error(pullback(cotangents), exact) < 1e-6  # two layers of at most 36 products


class OddBackbone(SmallBackbone):
    """One whose operators have no rule."""

    name = "odd"

    def trunk(self, layers: Collection[str]) -> Trunk:
        return OddTrunk()


class OddTrunk(Trunk):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.requires_grad_(False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        x = self.first(image)
        return {"early": torch.fmod(x, x.sigmoid() + 0.5)}  # the divisor depends on the image


def test_without_a_rule_torch_takes_over_and_the_reason_is_kept() -> None:
    backend = made(OddBackbone(), "early")
    assert backend.gradient == "torch"
    assert "no gradient of Mod" in backend.gradient_reason
    image = picture(9, 11)
    features, pullback = backend.vjp(image)
    leaf = image.clone().requires_grad_()
    expected = OddTrunk()(leaf)["early"]
    cotangents = random_like(features)
    (exact,) = torch.autograd.grad(expected, leaf, cotangents["early"])
    assert error(backend.features(image)["early"], expected.detach()) < FLOAT32
    assert error(pullback(cotangents), exact) < FLOAT32
    assert made(OddBackbone(), "early", gradient="torch").gradient_reason == "requested"


def test_a_native_gradient_that_is_not_to_be_had_is_an_error() -> None:
    with pytest.raises(BackendError, match=r"no gradient of Mod .*; use `gradient=torch`"):
        made(OddBackbone(), "early", gradient="native")


def test_half_precision_gives_nearly_the_same_gradient(tmp_path: Path) -> None:
    # ONNX Runtime's CPU provider computes it in float32, rounding between the operators.
    layers, backbone = ("relu1_1", "relu2_1"), VGG19(VGG19Options())
    trunk = backbone.trunk(layers).half()
    models = differentiate(export_trunk(trunk, backbone, layers))
    paths = [tmp_path / name for name in ("forward.onnx", "backward.onnx")]
    for model, path in zip((models.forward, models.backward), paths, strict=True):
        save_model(model, path)
    cpu = torch.device("cpu")
    forward, backward = (Session(path, (("CPUExecutionProvider", {}),), cpu) for path in paths)
    image = picture(16, 16)
    features, pullback = NativeVjp(forward, backward, layers, half=True)(image)
    # Below what float16 can hold, were they not scaled.
    cotangents = {layer: value * 1e-9 for layer, value in random_like(features).items()}
    expected = made(backbone, *layers).vjp(image)[1](cotangents)
    # 11 bits: 5e-4 for each rounding, and some rectifiers switch.
    assert error(pullback(cotangents), expected) < 0.05


def models_in_cache() -> set[Path]:
    return set((cache_folder() / "models").glob("*"))


def test_models_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made(SmallBackbone(), "early")
    before = models_in_cache()

    def made_again(*_: object) -> None:
        raise AssertionError("the models are made again")

    with monkeypatch.context() as patch:
        patch.setattr(onnx_models, "_make", made_again)
        made(SmallBackbone(), "early").features(picture(16, 16))
    assert models_in_cache() == before


class Shifted(SmallBackbone):
    """Its weights and its modules' names tell nothing of the number that it subtracts."""

    def __init__(self, mean: float) -> None:
        self.mean = mean

    def trunk(self, layers: Collection[str]) -> Trunk:
        convolution = nn.Conv2d(3, 6, 1, bias=False)
        convolution.weight.data.fill_(1)
        return ChainTrunk([("early", convolution)], (self.mean,) * 3, (1, 1, 1))


def test_networks_that_differ_only_in_what_they_compute_have_models_of_their_own() -> None:
    image = picture(8, 8)
    for mean in (0.25, 0.5):
        got = made(Shifted(mean), "early").features(image)["early"]
        assert error(got, (image - mean).sum(1, keepdim=True).expand(1, 6, 8, 8)) < FLOAT32


@pytest.mark.parametrize("name", ["forward.onnx", "backward.onnx", "sha256"])
def test_a_damaged_cache_is_mended(name: str) -> None:
    made(Shifted(0.125), "early")
    for folder in models_in_cache():
        path = folder / name
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    image = picture(8, 8)
    got = made(Shifted(0.125), "early").features(image)["early"]
    assert error(got, (image - 0.125).sum(1, keepdim=True).expand(1, 6, 8, 8)) < FLOAT32


def test_a_cache_that_cannot_be_written_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "stylectl").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert made(Shifted(0.5), "early").features(picture(8, 8))["early"].shape == (1, 6, 8, 8)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "tpu:0", "mps", "tensorrt:"])
def test_an_unknown_device_is_an_error(device: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        OnnxBackend(SmallBackbone(), ["early"], OnnxOptions(device=device))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "tensorrt"])
def test_a_provider_that_cannot_load_says_what_is_missing(device: str) -> None:
    with pytest.raises(BackendError) as raised:
        OnnxBackend(SmallBackbone(), ["early"], OnnxOptions(device=device))
    message = str(raised.value)
    assert "\n" not in message
    assert "cannot load its provider" in message or "no CUDA device" in message
    assert "install" in message or "--device cpu" in message


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_less_than_float32_on_the_cpu_is_an_error(precision: Any) -> None:
    with pytest.raises(BackendError, match=precision):
        OnnxBackend(SmallBackbone(), ["early"], OnnxOptions(device="cpu", precision=precision))
