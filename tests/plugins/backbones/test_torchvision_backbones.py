"""On torchvision's own modules with random weights, which are local files: nothing is fetched."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from enum import Enum
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import platformdirs
import pytest
import stylectl
import torch
from safetensors.torch import save
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.errors import StylectlError, UsageError, WeightsError
from stylectl.core.interfaces.backbone import Backbone, LayerInfo
from stylectl.core.interfaces.backend import BackendOptions
from stylectl.core.interfaces.trunk import ChainTrunk
from stylectl.core.job.choices import Choice
from stylectl.core.planning.backbones import Backbones
from stylectl.plugins.backbones.torchvision.loading import import_torchvision
from stylectl.plugins.backbones.torchvision.weights import read_weights
from stylectl.plugins.manager import load_plugins
from torch import Tensor, nn

NAMED = ("vgg16", "alexnet", "squeezenet1_1", "resnet50")
OTHERS = (
    "densenet121",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "convnext_tiny",
    "regnet_y_400mf",
    "googlenet",
    "swin_t",
)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def backbone_of(name: str, **options: Any) -> Backbone:
    chosen = name if name in NAMED else f"torchvision:{name}"
    choice = Choice.model_validate(chosen)
    backbone, _ = Backbones(load_plugins().registry).get(
        Choice.model_validate({**choice.model_dump(), **options})
    )
    return backbone


def test_the_published_file_of_weights_is_stated(tmp_path: Path) -> None:
    """torchvision's default for resnet50 is its second version."""
    first, second = (
        backbone_of("resnet50", weights=word).published for word in ("IMAGENET1K_V1", "torchvision")
    )
    assert first == {"https://download.pytorch.org/models/resnet50-0676ba61.pth": "0676ba61"}
    assert second == {"https://download.pytorch.org/models/resnet50-11ad3fa6.pth": "11ad3fa6"}
    (tmp_path / "weights.pth").touch()
    assert not backbone_of("resnet50", weights=str(tmp_path / "weights.pth")).published


@cache
def plain_model(name: str) -> nn.Module:
    """torchvision's module, with random weights that keep the numbers of about one size."""
    models = import_torchvision("torchvision.models")
    extra = {"googlenet": {"transform_input": True, "init_weights": False, "aux_logits": False}}
    with torch.device("cpu" if name.startswith(("regnet", "swin")) else "meta"):
        model: nn.Module = models.get_model(name, weights=None, **extra.get(name, {}))
    for large in ("classifier", "fc", "head"):
        if hasattr(model, large):
            setattr(model, large, nn.Identity())
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, value in model.state_dict().items():
        if not value.is_floating_point():
            state[key] = torch.zeros_like(value, device="cpu") if value.is_meta else value
        elif value.dim() == 1:
            low, high = (-0.1, 0.1) if key.endswith(("bias", "mean")) else (0.5, 1.5)
            state[key] = torch.empty(value.shape).uniform_(low, high, generator=generator)
        else:
            fan = value[0].numel() or 1
            state[key] = torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    folder = tmp_path_factory.mktemp("weights")

    def made(name: str) -> str:
        path = folder / f"{name}.pth"
        if not path.exists():
            torch.save(plain_model(name).state_dict(), path)
        return str(path)

    return made


def picture(height: int = 48, width: int = 64) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def hooked(model: nn.Module, image: Tensor) -> dict[str, list[Tensor]]:
    """What each module gives, at each of its calls; kept before something overwrites it."""
    calls: dict[str, list[Tensor]] = defaultdict(list)

    def keep(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: Any) -> None:
            if isinstance(output, Tensor):
                calls[path].append(output.clone())

        return hook

    handles = [
        module.register_forward_hook(keep(path)) for path, module in model.named_modules() if path
    ]
    mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
    with torch.no_grad():
        model((image - mean) / deviation)
    for handle in handles:
        handle.remove()
    return calls


@pytest.mark.parametrize("name", [*NAMED, *OTHERS])
def test_layers_are_what_torchvisions_modules_give(
    name: str, file_of: Callable[[str], str]
) -> None:
    image = picture(64, 72)  # as small as AlexNet's last pooling, which is no layer, can take
    backbone = backbone_of(name, weights=file_of(name))
    calls = hooked(plain_model(name), image)
    with torch.no_grad():
        every = backbone.trunk([info.name for info in backbone.layers])(image)
    assert list(every) == [info.name for info in backbone.layers]
    for info in backbone.layers:
        assert every[info.name].shape[:2] == (1, info.channels)
        for have, side in zip(every[info.name].shape[2:], (64, 72), strict=True):
            # Without padding a map loses what its view reaches over the border.
            lost = info.receptive_field or 0
            assert (side - lost) / info.stride - 1 <= have <= side / info.stride + 1
    compared = set()
    for asked in [*every, *backbone.aliases]:
        layer = backbone.canonical(asked)
        path, number = asked, 0 if asked in every else -1  # a module's alias is its last call
        if path not in calls and (found := re.fullmatch(r"(.*)_(\d+)", path)):
            path, number = found[1], int(found[2])
        if path in calls and len(calls[path]) > number and every[layer].numel():
            expected = calls[path][number]
            if expected.shape != every[layer].shape:
                expected = expected.permute(0, 3, 1, 2)
            assert torch.equal(every[layer], expected), asked
            compared.add(layer)
    assert len(compared) > len(every) / 2


def side_works(backbone: Backbone, info: LayerInfo, side: int) -> bool:
    try:
        with torch.no_grad():
            found = backbone.trunk([info.name])(picture(side, side))[info.name]
    except RuntimeError:
        return False
    return bool(min(found.shape[2:]) > 0)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("vgg16", "relu3_1"),
        ("alexnet", "relu1"),
        ("alexnet", "relu5"),
        ("squeezenet1_1", "features.1"),
        ("squeezenet1_1", "features.7"),
        ("squeezenet1_1", "features.12"),
        ("resnet50", "layer3"),
        ("densenet121", "features.transition1"),
        ("convnext_tiny", "features.3"),
        ("googlenet", "inception4a"),
        ("efficientnet_b0", "features.3"),
        ("swin_t", "features.1"),
    ],
)
def test_the_smallest_side_is_the_smallest(
    name: str, layer: str, file_of: Callable[[str], str]
) -> None:
    backbone = backbone_of(name, weights=file_of(name))
    info = backbone.deepest([backbone.canonical(layer)])
    assert side_works(backbone, info, info.smallest_side)
    assert info.smallest_side == 1 or not side_works(backbone, info, info.smallest_side - 1)


@pytest.mark.parametrize(
    ("name", "layer", "pooling"),
    [
        ("vgg16", "relu3_1", "average"),
        ("alexnet", "relu3", "average"),
        ("squeezenet1_1", "features.4", "average"),
        ("resnet50", "layer2.0", "average"),
        ("densenet121", "features.denseblock1.denselayer3.relu1", "average"),
        ("convnext_tiny", "features.1.0", "max"),
        ("googlenet", "inception3a", "average"),
    ],
)
def test_the_receptive_field_is_the_gradients_support(
    name: str, layer: str, pooling: str, file_of: Callable[[str], str]
) -> None:
    backbone = backbone_of(name, weights=file_of(name), pooling=pooling)
    info = backbone.deepest([backbone.canonical(layer)])
    assert info.receptive_field is not None
    trunk, side = backbone.trunk([info.name]), info.receptive_field + 6 * info.stride
    for module in trunk.modules():
        if isinstance(module, nn.ReLU):
            module.forward = nn.functional.softplus  # type: ignore[method-assign]
    leaf = picture(side, side).requires_grad_()
    maps = trunk(leaf)[info.name]
    middle = maps.shape[-1] // 2
    starts = []
    for position in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(
            maps[0, :, middle, position].sum(), leaf, retain_graph=True
        )
        seen = gradient[0].abs().sum(0).nonzero()
        low, high = seen.min(0).values, seen.max(0).values
        assert (high - low + 1).tolist() == [info.receptive_field] * 2
        starts.append(low)
    assert (starts[1] - starts[0]).tolist() == [0, info.stride]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("mobilenet_v3_small", "features.2"),
        ("efficientnet_b0", "features.1"),
        ("regnet_y_400mf", "trunk_output.block1"),
        ("swin_t", "features.1"),
    ],
)
def test_a_layer_behind_global_pooling_sees_the_whole_image(name: str, layer: str) -> None:
    backbone = backbone_of(name)
    if name == "mobilenet_v3_small":  # its first block has squeeze-excitation
        layer = "features.1"
    assert backbone.deepest([backbone.canonical(layer)]).receptive_field is None
    first = backbone.layers[0]
    assert first.receptive_field is not None or name == "swin_t"


@pytest.mark.parametrize(
    ("name", "pooling"),
    [*((name, "max") for name in (*NAMED, "swin_t")), ("alexnet", "average"), ("vgg16", "average")],
)
def test_gradients_flow_through_the_backend(
    name: str, pooling: str, file_of: Callable[[str], str]
) -> None:
    backbone = backbone_of(name, weights=file_of(name), pooling=pooling)
    layers = [*backbone.default_style_layers]
    backend = TorchBackend(backbone, layers, BackendOptions(device="cpu"))
    features, pullback = backend.vjp(picture())
    alone = backend.features(picture(), layers[:1])
    assert list(alone) == layers[:1]
    gradient = pullback({layer: torch.ones_like(value) for layer, value in features.items()})
    leaf = picture().requires_grad_()
    sum(value.sum() for value in backbone.trunk(layers)(leaf).values()).backward()
    assert leaf.grad is not None
    # Two float32 ways through the same network, channels last or not: a rectifier or a maximum
    # whose inputs are nearly equal may decide otherwise, and passes another gradient then.
    assert (gradient - leaf.grad).norm() <= 2e-3 * leaf.grad.norm()
    assert gradient.norm() > 0


@pytest.mark.parametrize("name", NAMED)
def test_a_picture_is_painted(name: str, file_of: Callable[[str], str], tmp_path: Path) -> None:
    result = stylectl.run(
        backbone=name,
        weights=file_of(name),
        device="cpu",
        size=64,
        iterations=2,
        scales=1,
        output=tmp_path / "picture.png",
    )
    assert (tmp_path / "picture.png").exists()
    assert torch.isfinite(torch.as_tensor(result.image)).all()
    assert result.job.backbone.options["weights"] == file_of(name)


def test_papers_names_and_torchvisions_are_the_same_layers() -> None:
    vgg16 = backbone_of("vgg16")
    names = [
        f"relu{b}_{n}" for b, count in enumerate((2, 2, 3, 3, 3), 1) for n in range(1, count + 1)
    ]
    assert [info.name for info in vgg16.layers] == names
    assert vgg16.canonical("conv4_2") == vgg16.canonical("features.20") == "relu4_2"
    alexnet = backbone_of("alexnet")
    assert [info.name for info in alexnet.layers] == [f"relu{n}" for n in range(1, 6)]
    assert alexnet.canonical("conv3") == alexnet.canonical("features.7") == "relu3"
    resnet = backbone_of("resnet50")
    assert resnet.canonical("layer1.0") == "layer1.0.relu_2"
    assert resnet.canonical("layer1") == "layer1.2.relu_2"
    with pytest.raises(UsageError, match=r"did you mean layer1\.0\.relu_2"):
        resnet.canonical("layer1.0.relu2_")


@pytest.mark.parametrize(
    ("name", "content", "style"),
    [
        ("vgg16", "relu4_2", ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]),
        ("alexnet", "relu3", ["relu1", "relu2", "relu3", "relu4", "relu5"]),
        ("resnet50", "layer3", ["relu", "layer1", "layer2", "layer3"]),
        (
            "squeezenet1_1",
            "features.12",
            ["features.1", "features.4", "features.7", "features.12"],
        ),
        ("convnext_tiny", "features.5", ["features.1", "features.3", "features.5"]),
        ("googlenet", "inception4e", ["conv1", "conv3", "inception3b", "inception4e"]),
    ],
)
def test_default_layers_are_the_last_of_each_stride(
    name: str, content: str, style: list[str]
) -> None:
    backbone = backbone_of(name)
    assert [*backbone.default_content_layers] == [backbone.canonical(content)]
    assert [*backbone.default_style_layers] == [backbone.canonical(each) for each in style]
    shares = [*backbone.default_style_layers.values()]
    assert sum(shares) == pytest.approx(1)
    for share, following in itertools.pairwise(shares):
        assert share / following == pytest.approx(2, rel=0.2)


def test_sequences_run_as_chains(file_of: Callable[[str], str]) -> None:
    for name in ("vgg16", "alexnet"):
        backbone = backbone_of(name, weights=file_of(name))
        assert isinstance(backbone.trunk(backbone.default_style_layers), ChainTrunk)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("vit_b_16", {}, "vit_b_16.*any size"),
        ("maxvit_t", {}, "maxvit_t.*any size"),
        ("densenet12", {}, r"densenet12'.*did you mean densenet12"),
        ("convnext_tiny", {"pooling": "average"}, "no effect"),
        ("resnet50", {"weights": "embedded"}, "embedded"),
        ("resnet50", {"weights": "IMAGENET1K_V3"}, r"did you mean IMAGENET1K_V"),
        ("resnet50", {"preprocessing": "caffe"}, "preprocessing"),
    ],
)
def test_a_mistake_is_a_line(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        backbone_of(name, **options)
    assert "\n" not in str(raised.value)


def test_the_model_must_be_named() -> None:
    with pytest.raises(UsageError, match="model is missing"):
        Backbones(load_plugins().registry).get(Choice(name="torchvision"))


def damaged(change: Callable[[dict[str, Tensor]], Any], folder: Path) -> StylectlError:
    state = {
        name: value.clone() for name, value in plain_model("squeezenet1_1").state_dict().items()
    }
    change(state)
    torch.save(state, folder / "own.pth")
    backbone = backbone_of("squeezenet1_1", weights=str(folder / "own.pth"))
    with pytest.raises(WeightsError) as raised:
        backbone.trunk(["features.4.cat"])
    assert "\n" not in str(raised.value)
    return raised.value


def test_weights_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    name = "features.3.squeeze.weight"
    assert f"{name} is missing" in str(damaged(lambda state: state.pop(name), tmp_path))
    wrong = damaged(lambda state: state.update({name: torch.zeros(3, 3)}), tmp_path)
    assert f"{name} is (3, 3), should be (16, 64, 1, 1)" in str(wrong)
    nan = damaged(lambda state: state[name].fill_(float("nan")), tmp_path)
    assert f"{name} holds NaN" in str(nan)
    whole = damaged(lambda state: state.update({name: state[name].int()}), tmp_path)
    assert name in str(whole)


def test_trunks_of_one_backbone_share_nothing(file_of: Callable[[str], str]) -> None:
    backbone = backbone_of("alexnet", weights=file_of("alexnet"))
    first = backbone.trunk(["relu2"])
    backbone.trunk(["relu3"]).half()
    assert {weight.dtype for weight in first.parameters()} == {torch.float32}
    assert first(picture())["relu2"].dtype == torch.float32


def test_only_what_the_layers_need_is_read(tmp_path: Path) -> None:
    state = {
        key: value.half()
        for key, value in plain_model("squeezenet1_1").state_dict().items()
        if key.startswith(("features.0", "features.3."))
    }
    torch.save(state | {"classifier.1.weight": torch.zeros(7, 512, 1, 1)}, tmp_path / "own.pth")
    trunk = backbone_of("squeezenet1_1", weights=str(tmp_path / "own.pth")).trunk(
        ["features.3.cat"]
    )
    assert {weight.dtype for weight in trunk.parameters()} == {torch.float32}
    assert not any(weight.requires_grad for weight in trunk.parameters())


def test_a_missing_file_is_an_error_only_when_weights_are_needed(tmp_path: Path) -> None:
    backbone = backbone_of("alexnet", weights=str(tmp_path / "none.pth"))
    with pytest.raises(UsageError, match="no such weights file"):
        backbone.trunk(["relu1"])


def test_old_densenet_names_are_understood(tmp_path: Path) -> None:
    state = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value
        for key, value in plain_model("densenet121").state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert any(".norm.1." in key for key in state)
    torch.save(state, tmp_path / "old.pth")
    backbone = backbone_of("densenet121", weights=str(tmp_path / "old.pth"))
    backbone.trunk(["features.denseblock1.cat"])


def test_every_published_file_carries_its_hash() -> None:
    models = import_torchvision("torchvision.models")
    for name in models.list_models(module=models):
        for member in models.get_model_weights(name):
            assert re.search(r"-[0-9a-f]{8,}\.pth$", member.url), member.url


class FakeWeights(Enum):
    """As torchvision's enumerations are, with a file that the test puts into the cache."""

    DEFAULT = "own"

    @property
    def value(self) -> Any:
        transforms = SimpleNamespace(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])
        published = hashlib.sha256(SAVED).hexdigest()[:8]
        url = f"http://127.0.0.1:1/own-{published}.pth"
        return SimpleNamespace(url=url, transforms=lambda: transforms)

    @property
    def transforms(self) -> Any:
        return self.value.transforms


SAVED = save({"weight": torch.ones(2)})


def test_published_weights_come_with_their_normalization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path)
    name = FakeWeights.DEFAULT.value.url.rpartition("/")[2].replace(".pth", ".safetensors")
    with pytest.raises(WeightsError, match=r"download failed.*`weights=FILE\.pth`"):
        read_weights(FakeWeights, "torchvision")
    # The same file under a user's own path is recognized by its hash.
    (tmp_path / name).write_bytes(SAVED)
    found = read_weights(FakeWeights, str(tmp_path / name))
    assert (found.mean, found.scale) == ((0.5,) * 3, (0.25,) * 3)
    (tmp_path / "other.safetensors").write_bytes(save({"weight": torch.zeros(2)}))
    assert read_weights(FakeWeights, str(tmp_path / "other.safetensors")).mean == MEAN


def test_a_damaged_file_in_the_cache_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "alexnet-owt-7be5be79.pth").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="wrong SHA-256"):
        backbone_of("alexnet").trunk(["relu1"])


def test_average_pooling_averages_the_same_windows(file_of: Callable[[str], str]) -> None:
    name = file_of("resnet50")
    average, greatest = (
        backbone_of("resnet50", weights=name, pooling=pooling).trunk(["relu", "layer1.0.relu"])
        for pooling in ("average", "max")
    )
    with torch.no_grad():
        assert torch.equal(average(picture())["relu"], greatest(picture())["relu"])
        assert (
            average(picture())["layer1.0.relu"].mean() < greatest(picture())["layer1.0.relu"].mean()
        )


@pytest.mark.subprocess
def test_torchvision_is_not_imported_before_a_model_of_it_is_asked_for() -> None:
    code = (
        "import sys; from stylectl.plugins.manager import load_plugins; load_plugins(); "
        "print({'torchvision', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.subprocess
@pytest.mark.parametrize("name", ["resnet50", "torchvision:densenet121"])
def test_layers_are_listed(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stylectl", "list", "backbones", "--layers", name, "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = json.loads(done.stdout)["layers"]
    assert sum(row["default for"].startswith("content") for row in rows) == 1
    assert done.stderr == ""
