"""Backbone of a traced torchvision model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from enum import Enum
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ....core.errors import UsageError, did_you_mean
from ....core.interfaces.backbone import Backbone, LayerInfo
from ....core.interfaces.trunk import Trunk
from ..default_layers import default_layers
from ..padding import set_padding
from .graph_trunk import extract, make_trunk
from .loading import import_torchvision
from .names import own_defaults, own_names
from .options import TorchvisionOptions
from .pooling import average_pooling
from .traced import TracedModel, traced
from .weights import assign, check_weights, published_file, read_weights
from .windows import with_any_size

#: Arguments of two models. Their weights were trained on images normalised in another way than all
#: others', which `transform_input` corrects in the model; and drawing random weights, which are
#: not used, takes them seconds.
_ARGUMENTS: Mapping[str, dict[str, bool]] = {
    name: {"transform_input": True, "init_weights": False} for name in ("googlenet", "inception_v3")
}


class TorchvisionBackbone(Backbone):
    """Traced model, whose layers are its activations and the outputs of its blocks."""

    def __init__(self, model: str, label: str, options: TorchvisionOptions) -> None:
        """Trace the model, without its weights.

        Raises UsageError for an unknown model or weights, or a model that cannot be used.
        """
        models = import_torchvision("torchvision.models")
        known = models.list_models(module=models)
        if model not in known:
            raise UsageError(
                f"unknown torchvision classification model {model!r}; {did_you_mean(model, known)}"
            )
        self.name = label
        self._members: type[Enum] = models.get_model_weights(model)
        self._word = options.weights
        check_weights(self._members, self._word, model)
        self._published: dict[str, str] = {}
        if self._word == "torchvision" or self._word in self._members.__members__:
            self._published = published_file(self._members, self._word)
            self.source = f"torchvision, the weights {self._word} of {model}"
            self.license = "see https://github.com/pytorch/vision#pre-trained-model-license"
        else:
            self.source = "a file of the user"
        self._traced = _traced(models, model, options, label)
        self.wraps = self._traced.wraps
        self._paths = own_names(model, self._traced)
        self._describe(model)

    @property
    def published(self) -> Mapping[str, str]:
        """See Backbone.published."""
        return self._published

    def trunk(self, layers: Collection[str]) -> Trunk:
        """See Backbone.trunk."""
        maps = {info.name: self._traced.maps[self._paths[info.name]] for info in self.layers}
        maps = {name: feature_map for name, feature_map in maps.items() if name in layers}
        network = extract(
            self._traced.root,
            {name: feature_map.node for name, feature_map in maps.items()},
            [name for name, feature_map in maps.items() if feature_map.channels_last],
        )
        network = deepcopy(
            with_any_size(network)
        )  # on the meta device; each trunk gets its own weights
        weights = read_weights(self._members, self._word)
        assign(network, weights, self.name)
        return make_trunk(network.eval(), weights.mean, weights.scale)

    def _describe(self, model: str) -> None:
        """Set the layers with their aliases and defaults."""
        maps = self._traced.maps
        infos = {
            name: LayerInfo(
                name,
                maps[path].channels,
                maps[path].geometry.stride,
                maps[path].geometry.receptive_field,
                maps[path].geometry.smallest_side,
            )
            for name, path in self._paths.items()
        }
        self.layers = tuple(infos.values())
        names = {path: name for name, path in self._paths.items()}
        ends = {prefix: names[path] for prefix, path in self._traced.ends.items() if path in names}
        paths = {path: name for path, name in names.items() if path != name}
        papers = {
            name.replace("relu", "conv"): name for name in infos if paths and name[:4] == "relu"
        }
        self.aliases = ends | paths | papers
        stages = {maps[path].stage: infos[name] for name, path in self._paths.items()}
        content, style = own_defaults(model) or default_layers(stages.values())
        self.default_content_layers, self.default_style_layers = content, style


class _EmptyOnMeta(TorchFunctionMode):
    """Mode in which `torch.empty` creates tensors on the meta device.

    Models would fill them with random numbers; on the meta device that takes neither time nor
    memory. Other tensors are not affected: RegNet computes its shapes from their values.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        return func(*args, **(kwargs | {"device": "meta"} if func is torch.empty else kwargs))


def _traced(models: Any, model: str, options: TorchvisionOptions, label: str) -> TracedModel:
    with _EmptyOnMeta():
        network: nn.Module = models.get_model(model, weights=None, **_ARGUMENTS.get(model, {}))
    if not set_padding(network, options.padding) and options.padding != "zeros":
        raise UsageError(f"backbone {label}: padding has no effect: none of its convolutions pads")
    traced_model = traced(network.to("meta"), label)
    if not traced_model.maps:
        raise UsageError(f"{label} cannot be a backbone: it has no feature maps")
    if options.pooling == "average" and not average_pooling(traced_model.root, traced_model.graph):
        raise UsageError(f"backbone {label}: pooling has no effect: the model has no max pooling")
    return traced_model
