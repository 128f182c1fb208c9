from __future__ import annotations

import functools
import hashlib
import http.server
import pickle
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from stylectl.core.errors import StylectlError, UsageError, WeightsError
from stylectl.plugins.backbones import vgg19_weights as module
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from stylectl.plugins.backbones.vgg19_weights import Weights, load_weights
from stylectl.plugins.backbones.weight_files import download
from torch import Tensor

#: The places of VGG-19's convolutions in torchvision's `features`, counted by hand: each is
#: followed by a rectifier, and each block by a pooling.
INDICES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)


def hollow_state(fill: float = 0.5) -> dict[str, Tensor]:
    """True names and shapes over one number each: torch.save writes that number alone."""
    state: dict[str, Tensor] = {}
    for at, inputs, outputs in zip(INDICES, CHANNELS, CHANNELS[1:], strict=False):
        state[f"features.{at}.weight"] = torch.tensor(fill).expand(outputs, inputs, 3, 3)
        state[f"features.{at}.bias"] = torch.tensor(fill).expand(outputs)
    return state


def one_line(error: BaseException) -> bool:
    return "\n" not in str(error)


@pytest.fixture(scope="module")
def embedded() -> Weights:
    return load_weights("embedded", None)


@pytest.fixture(scope="module")
def files(embedded: Weights, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The embedded weights under torchvision's names, 80 MB in each format, made once."""
    state: dict[str, Tensor] = {}
    for at, (kernel, bias) in zip(INDICES, embedded.convolutions, strict=True):
        state |= {f"features.{at}.weight": kernel, f"features.{at}.bias": bias}
    folder = tmp_path_factory.mktemp("weights")
    made = {suffix: folder / f"own{suffix}" for suffix in (".safetensors", ".pth", ".pt")}
    save_file(state, made[".safetensors"])
    torch.save(state | {"classifier.0.bias": torch.zeros(4096)}, made[".pth"])
    made[".pt"].hardlink_to(made[".pth"])
    return made


def test_embedded_weights_are_complete(embedded: Weights) -> None:
    assert embedded.preprocessing == "caffe"
    assert len(embedded.convolutions) == 16
    for (kernel, bias), inputs, outputs in zip(
        embedded.convolutions, CHANNELS, CHANNELS[1:], strict=False
    ):
        assert kernel.shape == (outputs, inputs, 3, 3)
        assert bias.shape == (outputs,)
        for tensor in (kernel, bias):
            assert tensor.dtype == torch.float32
            assert torch.isfinite(tensor).all()
            assert tensor.std() > 0
        # 8-bit codes: each kernel has at most 256 different numbers, and makes use of them.
        assert 200 < np.unique(kernel.numpy()).size <= 256


def test_embedded_weights_with_a_flipped_bit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(module.EMBEDDED_FILE.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / module.EMBEDDED_FILE.name
    damaged.write_bytes(data)
    monkeypatch.setattr(module, "EMBEDDED_FILE", damaged)
    with pytest.raises(WeightsError, match="damaged") as raised:
        load_weights("embedded", None)
    assert str(damaged) in str(raised.value)
    assert one_line(raised.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_weights_files_round_trip(files: dict[str, Path], embedded: Weights, suffix: str) -> None:
    loaded = load_weights(str(files[suffix]), "caffe")
    assert loaded.preprocessing == "caffe"
    for (kernel, bias), (kernel_before, bias_before) in zip(
        loaded.convolutions, embedded.convolutions, strict=True
    ):
        assert torch.equal(kernel, kernel_before)
        assert torch.equal(bias, bias_before)


def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    path = tmp_path / "half.pth"
    torch.save({name: value.half() for name, value in hollow_state().items()}, path)
    for kernel, bias in load_weights(str(path), "torchvision").convolutions:
        assert kernel.dtype == bias.dtype == torch.float32
        assert kernel[0, 0, 0, 0] == 0.5


def test_preprocessing_must_be_stated_for_unknown_files(tmp_path: Path) -> None:
    path = tmp_path / "unknown.pth"
    torch.save(hollow_state(), path)
    with pytest.raises(UsageError, match="preprocessing") as raised:
        load_weights(str(path), None)
    assert "caffe" in str(raised.value)
    assert "torchvision" in str(raised.value)
    for stated in ("caffe", "torchvision"):
        assert load_weights(str(path), stated).preprocessing == stated


@pytest.mark.parametrize("source", ["embedded", "torchvision"])
def test_preprocessing_is_refused_where_it_is_known(source: str) -> None:
    with pytest.raises(UsageError, match="no effect"):
        load_weights(source, "caffe")


@pytest.mark.parametrize("source", ["embeded", "vgg19.onnx", "weights"])
def test_unknown_words_are_an_error(source: str) -> None:
    with pytest.raises(UsageError, match=source):
        load_weights(source, None)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such"):
        load_weights(str(tmp_path / "nothing.pth"), "caffe")


def refused(path: Path) -> StylectlError:
    with pytest.raises(WeightsError) as raised:
        load_weights(str(path), "caffe")
    assert path.name in str(raised.value)
    assert one_line(raised.value), str(raised.value)
    return raised.value


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = hollow_state()
    del state["features.34.bias"]
    torch.save(state, tmp_path / "own.pth")
    assert "features.34.bias" in str(refused(tmp_path / "own.pth"))


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    state = hollow_state()
    state["features.16.weight"] = torch.zeros(256, 128, 3, 3)
    torch.save(state, tmp_path / "own.pth")
    assert "features.16.weight" in str(refused(tmp_path / "own.pth"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    state = hollow_state()
    state["features.5.bias"] = torch.zeros(128).index_fill_(0, torch.tensor([7]), value)
    torch.save(state, tmp_path / "own.pth")
    assert "features.5.bias" in str(refused(tmp_path / "own.pth"))


def test_whole_numbers_are_refused(tmp_path: Path) -> None:
    torch.save({name: value.int() for name, value in hollow_state().items()}, tmp_path / "own.pth")
    refused(tmp_path / "own.pth")


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "own.safetensors")
    assert "not VGG-19" in str(refused(tmp_path / "own.safetensors"))


@pytest.mark.parametrize("content", [[torch.zeros(3)], torch.zeros(3), 5, {}, {0: 1}], ids=repr)
def test_other_contents_are_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "own.pth")
    refused(tmp_path / "own.pth")


def with_tensor(tensor: Tensor, path: Path) -> Path:
    torch.save(hollow_state() | {"features.0.weight": tensor}, path)
    return path


KERNEL = torch.full((64, 3, 3, 3), 0.5)
ODD_TENSORS = {
    "float8": lambda: KERNEL.to(torch.float8_e4m3fn),
    "sparse": lambda: KERNEL.to_sparse(),
    "huge sparse": lambda: torch.sparse_coo_tensor(
        torch.zeros(4, 1, dtype=torch.int64), [1.0], (64, 3, 3, 10**9)
    ),
    "compressed sparse": lambda: torch.zeros(64, 3).to_sparse_csr(),
    "meta": lambda: torch.empty(64, 3, 3, 3, device="meta"),
    "huge meta": lambda: torch.empty(10**9, 10**6, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([KERNEL[0], KERNEL[1]]),
    "quantized": lambda: torch.quantize_per_tensor(KERNEL, 0.1, 0, torch.qint8),
    "complex": lambda: KERNEL.to(torch.complex64),
    "boolean": lambda: KERNEL.bool(),
}


@pytest.mark.filterwarnings("ignore")  # torch's, about prototypes
@pytest.mark.parametrize("made", ODD_TENSORS.values(), ids=ODD_TENSORS)
def test_tensors_that_are_no_plain_arrays_are_named(
    tmp_path: Path, made: Callable[[], Tensor]
) -> None:
    message = str(refused(with_tensor(made(), tmp_path / "own.pth")))
    assert "features.0.weight" in message or "plain tensors" in message


def test_small_numbers_in_safetensors_are_named(tmp_path: Path) -> None:
    state = {name: value.contiguous() for name, value in hollow_state().items()}
    state["features.0.weight"] = KERNEL.to(torch.float8_e5m2)
    save_file(state, tmp_path / "own.safetensors")
    assert "features.0.weight is torch.float8" in str(refused(tmp_path / "own.safetensors"))


@pytest.mark.parametrize("how", ["compressed", "overlapping"])
def test_archives_that_grow_when_they_are_read_are_refused(tmp_path: Path, how: str) -> None:
    plain, path = tmp_path / "plain.pth", tmp_path / "own.pth"
    torch.save({"a": torch.zeros(1_000_000)}, plain)
    if how == "compressed":
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
            for member in source.infolist():
                target.writestr(member.filename, source.read(member), zipfile.ZIP_DEFLATED)
    else:
        data = plain.read_bytes()
        # The member's length, as the directory at the end states it, twice: sizes are 32 bits.
        at = data.rindex((4_000_000).to_bytes(4, "little"))
        path.write_bytes(data[:at] + (2_000_000_000).to_bytes(4, "little") + data[at + 4 :])
    assert "unpacks to" in str(refused(path))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("length", [1, 100, 5000, -100])
def test_truncated_files_are_refused(
    files: dict[str, Path], tmp_path: Path, suffix: str, length: int
) -> None:
    path = tmp_path / f"short{suffix}"
    path.write_bytes(files[suffix].read_bytes()[:length])
    refused(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"These are no weights.\nNot at all.\n", id="text"),
        pytest.param(b"<!DOCTYPE html>\n<html><body>404</body></html>\n", id="html"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", id="lfs"),
        pytest.param(bytes(range(256)) * 40, id="bytes"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(100), id="image"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="zip"),
        pytest.param(pickle.dumps({"a": 1}), id="pickle"),
        pytest.param(b"\x80\x02}q\x00.", id="old pickle"),
        pytest.param(b"\x80\x02q\x00h\x05.", id="broken pickle"),
        pytest.param(b"\x80\x02" + b"0" * 10 + b".", id="underflowing pickle"),
    ],
)
def test_files_that_hold_something_else_are_refused(
    tmp_path: Path, suffix: str, data: bytes
) -> None:
    path = tmp_path / f"own{suffix}"
    path.write_bytes(data)
    refused(path)


@pytest.mark.parametrize("name", ["vgg19-dcbb9e9d.pth", "vgg19-d01eb7cb.pth"])
def test_a_well_known_name_with_other_contents_is_refused(tmp_path: Path, name: str) -> None:
    torch.save(hollow_state(), tmp_path / name)
    assert "SHA-256" in str(refused(tmp_path / name))


class Touches:
    """Unpickling it makes a file: a stand-in for anything that code could do."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sentinel,)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("way", ["zip", "legacy", "pickle", "beside good tensors"])
def test_code_in_a_file_is_not_run(tmp_path: Path, suffix: str, way: str) -> None:
    sentinel, path = tmp_path / "sentinel", tmp_path / f"own{suffix}"
    harm = Touches(sentinel)
    match way:
        case "zip":
            torch.save(harm, path)
        case "legacy":
            torch.save({"a": harm}, path, _use_new_zipfile_serialization=False)
        case "pickle":
            path.write_bytes(pickle.dumps(harm))
        case _:
            torch.save(hollow_state() | {"harm": harm}, path)
    refused(path)
    assert not sentinel.exists()
    # The file would have: the test tests something.
    pickle.loads(pickle.dumps(harm))
    assert sentinel.exists()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/short.pth":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"a beginning")
            return
        super().do_GET()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serves one file, weights.pth, on 127.0.0.1."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "weights.pth").write_bytes(b"weights")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def test_a_download_with_the_right_hash_is_moved_into_place(server: str, cache: Path) -> None:
    published = hashlib.sha256(b"weights").hexdigest()[:8]
    download(f"{server}/weights.pth", cache / "weights.pth", published, "try")
    assert (cache / "weights.pth").read_bytes() == b"weights"
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("name", ["weights.pth", "short.pth", "missing.pth"])
def test_a_download_that_goes_wrong_leaves_nothing(server: str, cache: Path, name: str) -> None:
    with pytest.raises(WeightsError) as raised:
        download(f"{server}/{name}", cache / "weights.pth", "00000000", "try")
    assert name in str(raised.value)
    assert one_line(raised.value)
    assert list(cache.iterdir()) == []


def test_a_server_that_does_not_answer_is_an_error(server: str, cache: Path) -> None:
    # Port 1 of this machine: nobody listens there.
    with pytest.raises(WeightsError, match="download failed"):
        download("http://127.0.0.1:1/weights.pth", cache / "weights.pth", "00000000", "try")
    assert list(cache.iterdir()) == []


def picture(height: int = 8, width: int = 9) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_caffe_preprocessing_is_bgr_from_0_to_255_minus_the_mean(
    files: dict[str, Path], embedded: Weights
) -> None:
    kernel, bias = embedded.convolutions[0]
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    prepared = picture().flip(1) * 255 - mean
    expected = torch.nn.functional.conv2d(prepared, kernel, bias, padding=1).relu()
    stated = VGG19Options(weights=str(files[".safetensors"]), preprocessing="caffe")
    for options in (VGG19Options(), stated):
        got = VGG19(options).trunk(["relu1_1"])(picture())["relu1_1"]
        # One convolution of 27 products, float32; the inputs reach 150 and their mean is taken
        # out before or after the scaling.
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-3)


def test_torchvision_preprocessing_is_rgb_normalised(
    files: dict[str, Path], embedded: Weights
) -> None:
    kernel, bias = embedded.convolutions[0]
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    prepared = (picture() - mean) / deviation
    expected = torch.nn.functional.conv2d(prepared, kernel, bias, padding=1).relu()
    options = VGG19Options(weights=str(files[".safetensors"]), preprocessing="torchvision")
    got = VGG19(options).trunk(["relu1_1"])(picture())["relu1_1"]
    # One convolution of 27 products of about 1, float32.
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def vgg19() -> VGG19:
    return VGG19(VGG19Options(pooling="average"))


def test_layers_are_the_papers_sixteen(vgg19: VGG19) -> None:
    assert [info.name for info in vgg19.layers] == [
        *("relu1_1", "relu1_2", "relu2_1", "relu2_2"),
        *("relu3_1", "relu3_2", "relu3_3", "relu3_4"),
        *("relu4_1", "relu4_2", "relu4_3", "relu4_4"),
        *("relu5_1", "relu5_2", "relu5_3", "relu5_4"),
    ]
    assert tuple(info.channels for info in vgg19.layers) == CHANNELS[1:]
    assert vgg19.default_content_layers == {"relu4_2": 1.0}
    assert list(vgg19.default_style_layers) == [f"relu{block}_1" for block in range(1, 6)]
    assert sum(vgg19.default_style_layers.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("asked", "name"), [("relu4_2", "relu4_2"), ("conv4_2", "relu4_2"), ("conv1_1", "relu1_1")]
)
def test_layers_go_by_the_papers_names_too(vgg19: VGG19, asked: str, name: str) -> None:
    assert vgg19.canonical(asked) == name


@pytest.mark.parametrize(("asked", "near"), [("relu42", "relu4_2"), ("conv4-2", "conv4_2")])
def test_an_unknown_layer_suggests_the_nearest(vgg19: VGG19, asked: str, near: str) -> None:
    with pytest.raises(UsageError, match=rf"{asked}.*vgg19.*did you mean {near}\?"):
        vgg19.canonical(asked)


@pytest.mark.parametrize("asked", ["relu3_5", "pool1", "", "RELU", "image"])
def test_an_unknown_layer_is_an_error(vgg19: VGG19, asked: str) -> None:
    with pytest.raises(UsageError, match="unknown layer"):
        vgg19.canonical(asked)


def test_the_deepest_layer_is_found_in_any_order(vgg19: VGG19) -> None:
    assert vgg19.deepest(["relu4_2", "relu1_1", "relu3_4"]).name == "relu4_2"


@pytest.mark.parametrize(
    "layer", ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu4_1"]
)
def test_strides_and_receptive_fields_are_those_of_the_gradients_support(
    vgg19: VGG19, layer: str
) -> None:
    # Average pooling, since a maximum sees only one of its four.
    (info,) = (each for each in vgg19.layers if each.name == layer)
    assert info.receptive_field is not None
    trunk, side = vgg19.trunk([layer]), 3 * info.receptive_field
    leaf = picture(side, side).requires_grad_()
    maps = trunk(leaf)[layer]
    middle = maps.shape[-1] // 2
    bounds = []
    for position in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(
            maps[0, :, middle, position].sum(), leaf, retain_graph=True
        )
        seen = gradient[0].abs().sum(0).nonzero()
        low, high = seen.min(0).values, seen.max(0).values
        assert (high - low + 1).tolist() == [info.receptive_field] * 2
        bounds.append(low)
    assert (bounds[1] - bounds[0]).tolist() == [0, info.stride]


def test_the_smallest_side_leaves_one_position(vgg19: VGG19) -> None:
    trunk = vgg19.trunk(["relu3_1"])
    (info,) = (each for each in vgg19.layers if each.name == "relu3_1")
    assert trunk(picture(info.smallest_side, info.smallest_side))["relu3_1"].shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        trunk(picture(info.smallest_side - 1, info.smallest_side))


def test_weights_have_no_gradients(vgg19: VGG19) -> None:
    assert not any(weight.requires_grad for weight in vgg19.trunk(["relu2_1"]).parameters())


def test_a_trunk_gives_exactly_the_layers_it_was_asked_for(vgg19: VGG19) -> None:
    assert set(vgg19.trunk(["relu2_1", "relu1_2"])(picture())) == {"relu2_1", "relu1_2"}


def test_creating_a_backbone_reads_no_weights(tmp_path: Path) -> None:
    backbone = VGG19(VGG19Options(weights=str(tmp_path / "nothing.pth")))
    with pytest.raises(UsageError):
        backbone.trunk(["relu1_1"])
