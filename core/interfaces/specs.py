"""Contributions of a plugin: one frozen dataclass for each kind.

What `create` gets is one frozen object, so that later versions can add to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from ..deprecation import take_one_argument, warn_deprecated
from ..errors import PluginError, UsageError
from ..job.presets import Preset
from ..job.tables import plain_copy
from ..shown import one_line
from .backbone import Backbone
from .backend import BackendDevice, BackendOptions, FeatureBackend
from .optimizer import Initializer, Optimizer, Parametrization
from .terms import LossTerm
from .video.flow import FlowEstimator
from .writer import Writer


class NoOptions(BaseModel):
    """Options of a contribution that has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


#: Letters and digits of ASCII, ``_``, ``-`` and ``+``, which jobs and flags can have unquoted.
_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_+-]*")

#: The name of a preset may have dots too, since no option is written after it.
_PRESET_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.+-]*")

#: Lower case, with its dot; one part, as in `Path.suffix`.
_SUFFIX = re.compile(r"\.[a-z0-9_+-]+")

#: Keys of the job itself, which an option of the same name would hide.
_JOB_KEYS = ("name", "weight", "layers")


O_co = TypeVar("O_co", bound=BaseModel, covariant=True)
O = TypeVar("O", bound=BaseModel)  # noqa: E741


class _FormerOptions:
    """The fields of the options, which version 0.1 handed over in place of the arguments."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") or name == "options":
                raise AttributeError(name)
            value = getattr(self.options, name)
            kind = type(self).__name__
            warn_deprecated(
                f"create(options) of a {kind.removesuffix('Arguments')}Spec",
                f"take one argument, a {kind}, and read arguments.options.{name}",
            )
            return value


@dataclass(frozen=True, kw_only=True)
class BackboneArguments(_FormerOptions, Generic[O_co]):
    """Argument of `BackboneSpec.create`: the validated `options`."""

    options: O_co


@dataclass(frozen=True, kw_only=True)
class WriterArguments(_FormerOptions, Generic[O_co]):
    """Argument of `WriterSpec.create`: the validated `options`."""

    options: O_co


@dataclass(frozen=True, kw_only=True)
class LossTermArguments(Generic[O_co]):
    """Argument of `LossTermSpec.create`.

    - `layers`: the weight of each of the term's layers in the backbone, by the layer's name; empty
      for a term that reads the pixels alone.
    - `options`: the validated options.
    """

    layers: Mapping[str, float]
    options: O_co


@dataclass(frozen=True, kw_only=True)
class BackendArguments(Generic[O_co]):
    """Argument of `BackendSpec.create`: a backbone, some of its layers, the validated options."""

    backbone: Backbone
    layers: tuple[str, ...]
    options: O_co


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of all contributions: the name in a job, a one-line summary, the options' model.

    A name has letters and digits of ASCII, ``_``, ``-`` and ``+``; neither of the last two comes
    first. That of a preset may also have dots. An option may not be called ``name``, ``weight`` or
    ``layers``, which are keys of the job itself. The model rejects unknown options
    (``extra="forbid"``). Raises PluginError where that is not so.
    """

    name: str
    summary: str
    options: type[BaseModel] = NoOptions
    #: What the options extend.
    model: ClassVar[type[BaseModel]] = BaseModel

    def __post_init__(self) -> None:
        """Check the fields that all contributions have. Raises PluginError."""
        label = f"{type(self).__name__} {one_line(repr(self.name))}"
        pattern = _PRESET_NAME if isinstance(self, PresetSpec) else _NAME
        if not isinstance(self.name, str) or not pattern.fullmatch(self.name):
            raise PluginError(
                f"{label}: a name has letters and digits of ASCII, '_', '-' and '+', and begins "
                "with none of the last two"
            )
        if not isinstance(self.summary, str) or len(self.summary.splitlines()) > 1:
            raise PluginError(f"{label}: `summary` should be one line of text")
        if not isinstance(self.options, type) or not issubclass(self.options, BaseModel):
            raise PluginError(f"{label}: `options` should be a pydantic model")
        if not issubclass(self.options, self.model):
            raise PluginError(f"{label}: `options` should extend {self.model.__name__}")
        if self.options.model_config.get("extra") != "forbid":
            raise PluginError(
                f"{label}: its options should reject unknown names; give their model "
                'model_config = ConfigDict(frozen=True, extra="forbid")'
            )
        hiding = [key for key in _JOB_KEYS if key in self.options.model_fields]
        if hiding:
            raise PluginError(
                f"{label}: an option may not be called {hiding[0]!r}, a key of the job"
            )


@dataclass(frozen=True, kw_only=True)
class BackendSpec(Spec, Generic[O]):
    """A backend.

    `create` returns a backend that is ready to run the layers of its `BackendArguments`; it raises
    BackendError when this machine cannot. `options` extends `BackendOptions`. `devices` returns
    those of this machine, and may return others with the reason why they cannot be used.
    """

    create: Callable[[BackendArguments[O]], FeatureBackend]
    # Stated for type checkers alone: there, options that do not match `create` are an error.
    if TYPE_CHECKING:
        options: type[O]
    else:
        options: type[BackendOptions] = BackendOptions
    devices: Callable[[], Iterable[BackendDevice]] | None = None
    model: ClassVar[type[BaseModel]] = BackendOptions

    def __post_init__(self) -> None:
        """Adapt a former `create` as well. Raises PluginError."""
        super().__post_init__()
        take_one_argument(self, "backbone", "layers", "options")


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Spec, Generic[O]):
    """A backbone.

    `create` makes it from its `BackboneArguments`.
    """

    create: Callable[[BackboneArguments[O]], Backbone]
    if TYPE_CHECKING:
        options: type[O]


@dataclass(frozen=True, kw_only=True)
class LossTermSpec(Spec, Generic[O]):
    """A loss term.

    - `create` makes it from its `LossTermArguments`.
    - `layers_from`: which of the backbone's default layers the term takes when a job names none;
      ``"image"``: it reads the pixels alone and has no layers to choose.
    - `least_stride`, in pixels: default layers of a smaller stride are left out, unless all are.
    - `random`: whether the term draws random numbers, so that the job's seed matters.
    """

    create: Callable[[LossTermArguments[O]], LossTerm]
    layers_from: Literal["content", "style", "image"]
    least_stride: int = 1
    random: bool = False
    if TYPE_CHECKING:
        options: type[O]

    def __post_init__(self) -> None:
        """Check `layers_from` as well. Raises PluginError."""
        super().__post_init__()
        if self.layers_from not in ("content", "style", "image"):
            raise PluginError(
                f"LossTermSpec {self.name!r}: `layers_from` should be content, style or image"
            )
        take_one_argument(self, "layers", "options")


@dataclass(frozen=True, kw_only=True)
class WriterSpec(Spec, Generic[O]):
    """A file format and its writer.

    - `suffixes`: in lower case, with the dot.
    - `create` is called before the run, with `WriterArguments`; it raises UsageError when something
      that it needs is not installed.
    - `keeps_alpha`: whether the format keeps transparency.
    - `longest_side`: the longest side in pixels that the format can hold (None: any).
    """

    suffixes: tuple[str, ...]
    create: Callable[[WriterArguments[O]], Writer]
    keeps_alpha: bool = False
    longest_side: int | None = None
    if TYPE_CHECKING:
        options: type[O]

    def __post_init__(self) -> None:
        """Check the suffixes as well. Raises PluginError."""
        super().__post_init__()
        suffixes = self.suffixes
        if not isinstance(suffixes, tuple) or not suffixes or not all(map(_is_suffix, suffixes)):
            raise PluginError(
                f"WriterSpec {self.name!r}: `suffixes` should be a tuple of suffixes in lower "
                "case, each with its dot, such as ('.ppm',)"
            )


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec(Spec):
    """An optimizer.

    `options` is the optimizer's class: its fields are its options.
    """

    options: type[Optimizer]
    model: ClassVar[type[BaseModel]] = Optimizer


@dataclass(frozen=True, kw_only=True)
class InitializerSpec(Spec):
    """An initialiser.

    `options` is the initialiser's class: its fields are its options.
    """

    options: type[Initializer]
    model: ClassVar[type[BaseModel]] = Initializer


@dataclass(frozen=True, kw_only=True)
class ParametrizationSpec(Spec):
    """A parametrisation of the result.

    `options` is the parametrisation's class: its fields are its options.
    """

    options: type[Parametrization]
    model: ClassVar[type[BaseModel]] = Parametrization


@dataclass(frozen=True, kw_only=True)
class FlowArguments(Generic[O_co]):
    """Argument of `FlowSpec.create`: the validated `options`."""

    options: O_co


@dataclass(frozen=True, kw_only=True)
class FlowSpec(Spec, Generic[O]):
    """An estimator of optical flow.

    - `create` is called before the first frame, with `FlowArguments`; it raises UsageError when
      something that it needs is not installed.
    """

    create: Callable[[FlowArguments[O]], FlowEstimator]
    if TYPE_CHECKING:
        options: type[O]


@dataclass(frozen=True, kw_only=True)
class PresetSpec(Preset, Spec):
    """A preset, named starting values of a job.

    - `table`: values in the form of a job file, without the images. It states `scales`,
      `iterations`, `init`, `optimizer` and `terms`, which have no other default.
    - `texture`: values that replace those of `table` where the result is a texture; see Preset.
    """

    def __post_init__(self) -> None:
        """Check the values, and keep a copy of them. Raises PluginError."""
        super().__post_init__()
        if self.options is not NoOptions:
            raise PluginError(f"PresetSpec {self.name!r}: a preset has no options")
        try:
            self.check()
            object.__setattr__(self, "table", plain_copy(self.table))
            object.__setattr__(self, "texture", plain_copy(self.texture))
        except (TypeError, UsageError) as error:
            raise PluginError(f"PresetSpec {self.name!r}: {one_line(str(error))}") from None


def _is_suffix(suffix: object) -> bool:
    return isinstance(suffix, str) and _SUFFIX.fullmatch(suffix) is not None
