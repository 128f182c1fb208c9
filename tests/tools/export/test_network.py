"""Networks as ONNX files: sizes, opsets, precisions, and the card."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from stylectl import UsageError
from stylectl.backends.onnx_export.card import card_of, opset_of
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from stylectl.plugins.testing.network import KinkedBackbone, TinyBackbone
from stylectl.tools.export.network import export_network
from stylectl.tools.export.variant import Precision, Variant, read_precision, read_size

LAYERS = ["relu1_1", "relu2_1"]


def exported(**variant: Any) -> onnx.ModelProto:
    return export_network(KinkedBackbone(), LAYERS, Variant(**variant)).model


def features(model: onnx.ModelProto, height: int, width: int) -> list[np.ndarray[Any, Any]]:
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).numpy()
    session = onnxruntime.InferenceSession(model.SerializeToString())
    outputs: list[np.ndarray[Any, Any]] = session.run(LAYERS, {"image": image})
    return outputs


def test_a_fixed_size_is_stated_for_the_image_and_the_layers() -> None:
    model = exported(size=(30, 46))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert session.get_inputs()[0].shape == [1, 3, 30, 46]
    assert [output.shape for output in session.get_outputs()] == [[1, 6, 30, 46], [1, 8, 15, 23]]
    for fixed, dynamic in zip(features(model, 30, 46), features(exported(), 30, 46), strict=True):
        np.testing.assert_array_equal(fixed, dynamic)


@pytest.mark.parametrize("opset", [14, 17, 20, 22])
def test_the_features_are_the_same_in_other_opsets(opset: int) -> None:
    model = exported(opset=opset)
    assert opset_of(model) == opset == int(card_of(model)["opset"])
    for other, plain in zip(features(model, 20, 24), features(exported(), 20, 24), strict=True):
        np.testing.assert_allclose(other, plain, rtol=1e-6, atol=1e-6)


def test_int8_weights_are_close_to_those_that_they_are_rounded_from() -> None:
    plain, rounded = exported(), exported(precision="int8")
    assert rounded.ByteSize() < plain.ByteSize()
    types = {tensor.data_type for tensor in rounded.graph.initializer if len(tensor.dims) == 4}
    assert onnx.TensorProto.INT8 in types
    for other, expected in zip(features(rounded, 20, 24), features(plain, 20, 24), strict=True):
        # Each weight is rounded by at most 1/254 of its channel's largest.
        distance = np.linalg.norm(other - expected) / np.linalg.norm(expected)
        assert 0 < distance < 0.02


def test_int8_weights_of_a_network_that_is_no_chain() -> None:
    exported = export_network(TinyBackbone(), ["smooth2_1"], Variant(precision="int8"))
    assert any(node.op_type == "DequantizeLinear" for node in exported.model.graph.node)
    assert exported.distances["smooth2_1"] < 1e-5


def test_the_card_states_source_license_and_precision() -> None:
    layers = ["relu1_1"]
    card = card_of(
        export_network(VGG19(VGG19Options()), layers, Variant(precision="float16")).model
    )
    assert card["license"] == "CC-BY-4.0"
    assert "Simonyan" in card["source"]
    assert card["precision"] == "float16"
    assert len(card["weights_sha256"]) == 64
    assert card_of(exported())["license"] == "unknown"


def test_a_size_below_the_networks_smallest_is_refused() -> None:
    with pytest.raises(UsageError, match="relu5_1 needs 16 px"):
        export_network(VGG19(VGG19Options()), ["relu5_1"], Variant(size=(12, 64)))


@pytest.mark.parametrize("opset", [1, 6, 99])
def test_an_opset_out_of_range_is_refused(opset: int) -> None:
    with pytest.raises(UsageError, match=f"`opset={opset}`: give one from 7"):
        exported(opset=opset)


def test_an_opset_that_onnx_cannot_convert_to_is_refused_with_its_reason() -> None:
    with pytest.raises(UsageError, match=r"cannot convert the model from 18: .*Sub"):
        exported(opset=13)


@pytest.mark.parametrize(
    ("dtype", "fp16", "int8", "expected"),
    [
        (None, False, False, "float32"),
        ("fp16", False, False, "float16"),
        ("float16", True, False, "float16"),
        (None, False, True, "int8"),
    ],
)
def test_flags_name_a_precision(
    dtype: str | None, fp16: bool, int8: bool, expected: Precision
) -> None:
    assert read_precision(dtype, fp16, int8) == expected


@pytest.mark.parametrize(
    ("dtype", "fp16", "int8", "complaint"),
    [
        (None, True, True, "exclude each other"),
        ("float32", False, True, "exclude each other"),
        ("float64", False, False, "no convolution of float64"),
        ("bfloat16", False, False, "opset 22"),
        ("int4", False, False, "give float32, float16 or int8"),
    ],
)
def test_other_precisions_are_refused(
    dtype: str | None, fp16: bool, int8: bool, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        read_precision(dtype, fp16, int8)


def test_a_size_is_two_numbers_or_a_word() -> None:
    assert read_size("640x480") == (480, 640)
    assert read_size("dynamic") is None
    for text in ("640", "0x3", "axb", "640x", "640x480x3", "-1x5", "²x3"):
        with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
            read_size(text)
