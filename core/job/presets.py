"""Presets: named starting values of a job, each of which can be overridden."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, did_you_mean
from .tables import Table, plain_copy, regular

#: The source's own settings (Gatys, Ecker and Bethge 2015), exactly.
PAPER: dict[str, Any] = {
    "scales": 1,
    "iterations": 500,
    "backbone": {"name": "vgg19", "pooling": "average"},
    "init": "content+noise",
    "optimizer": {"name": "lbfgs"},
    "terms": [
        {
            "name": "content",
            "weight": 1.0,
            "layers": {"relu4_2": 1.0},
            "normalization": "paper",
        },
        {
            "name": "style",
            "weight": 1000.0,
            "layers": dict.fromkeys(["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], 0.2),
            "normalization": "paper",
        },
    ],
}

#: The best-looking result for the time, as of version 0.1.
BALANCED_0_1: dict[str, Any] = {
    "scales": "auto",
    "iterations": 300,
    "backbone": {"name": "vgg19", "pooling": "max"},
    "init": "content+noise",
    "optimizer": {"name": "lbfgs"},
    "terms": [
        {"name": "content", "weight": 1.0, "normalization": "relative"},
        {"name": "style", "weight": 30.0, "normalization": "relative"},
        {"name": "tv", "weight": 10.0, "power": 2, "reduction": "mean"},
    ],
}

#: The best-looking result for the time. Beside version 0.1 it has fewer objects of the style image,
#: and smooths what is flat in the content image alone (docs/quality.md has the figures).
BALANCED: dict[str, Any] = BALANCED_0_1 | {
    "motifs": 0.5,
    "terms": [
        {"name": "content", "weight": 1.0, "normalization": "relative"},
        {"name": "style", "weight": 45.0, "normalization": "relative"},
        {"name": "tv", "weight": 12.0, "power": 2, "reduction": "mean", "flat": 0.02},
    ],
}

#: A first impression within seconds.
DRAFT: dict[str, Any] = BALANCED | {"size": 256, "iterations": 70}

#: The settings of Kolkin et al. 2022, "Neural Neighbor Style Transfer", with VGG-19 for VGG-16: 200
#: steps at each of the four scales of 512 px, and in the final pass.
NNST: dict[str, Any] = {
    "scales": "octaves",
    "final_pass": True,
    "iterations": 1000,
    "backbone": {"name": "vgg19", "pooling": "max"},
    "init": {"name": "content", "detail": False},
    "color": "chroma",
    "optimizer": {"name": "adam", "step_size": 0.002, "beta2": 0.999, "averaging": 0.0},
    "parametrization": {"name": "laplacian", "levels": 8},
    "terms": [
        {
            "name": "nnst",
            "weight": 1.0,
            # The layers of VGG-16 up to relu4_3.
            "layers": dict.fromkeys(
                [
                    *("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"),
                    *("relu3_2", "relu3_3", "relu4_1", "relu4_2", "relu4_3"),
                ],
                0.1,
            ),
            "alpha": 0.75,
        },
    ],
}

#: The settings of Kolkin et al. 2019, "Style Transfer by Relaxed Optimal Transport and
#: Self-Similarity", with VGG-19 for VGG-16 and Adam for RMSprop: 250 steps at each of the four
#: scales of 512 px.
STROTSS: dict[str, Any] = {
    "scales": "octaves",
    "iterations": 1000,
    "backbone": {"name": "vgg19", "pooling": "max"},
    "init": {"name": "color+detail"},
    "optimizer": {
        "name": "adam",
        "step_size": 0.002,
        "beta1": 0.0,
        "beta2": 0.99,
        "averaging": 0.9,
    },
    "parametrization": {"name": "laplacian", "levels": 5},
    "terms": [
        {
            "name": "strotss",
            "weight": 1.0,
            "layers": dict.fromkeys(
                [
                    *("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"),
                    *("relu3_2", "relu3_3", "relu4_3", "relu5_3"),
                ],
                1.0,
            ),
            "content": 1.0,
            "content_side": 1024,
            "redraw": 1,
        },
    ],
}

#: What replaces the values of `balanced` and `draft` where there is no content image.
_TEXTURE: dict[str, Any] = {
    "init": {"name": "style"},
    "motifs": 1.0,
    "terms": BALANCED_0_1["terms"][1:],
}

DEFAULT_PRESET = "balanced"

#: Keys of a job that a preset has no values of.
_NOT_IN_A_PRESET = ("content", "styles", "content_mask", "regions", "preset", "plugins")


class _Copies(Mapping[str, dict[str, Any]]):
    """Tables by name; each look-up returns a copy, so that nobody changes the tables."""

    def __init__(self, tables: Mapping[str, dict[str, Any]]) -> None:
        self._tables = tables

    def __getitem__(self, name: str) -> dict[str, Any]:
        table: dict[str, Any] = plain_copy(self._tables[name])
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


#: Values of the built-in presets, by name.
PRESETS: Mapping[str, dict[str, Any]] = _Copies(
    {
        "balanced": BALANCED,
        "balanced-0.1": BALANCED_0_1,
        "draft": DRAFT,
        "nnst": NNST,
        "paper": PAPER,
        "strotss": STROTSS,
    }
)

#: Values that replace these in textures.
_TEXTURES: Mapping[str, dict[str, Any]] = _Copies({"balanced": _TEXTURE, "draft": _TEXTURE})


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Starting values of a job, in the form of a job file.

    `texture` has the values that replace those of `table` where the result is a texture, which has
    no content image. None: such a result starts from `style`, in the colors of the style, without
    the terms that need the content image: `content`, and `tv` with the option `flat`.
    """

    table: Mapping[str, Any]
    texture: Mapping[str, Any] | None = None

    def values(self, is_texture: bool) -> Table:
        """Return a copy of the values, with short forms written out."""
        table = regular(plain_copy(self.table))
        if not is_texture:
            return table
        if self.texture is not None:
            return table | regular(plain_copy(self.texture))
        terms = [term for term in table["terms"] if not _needs_content(term)]
        table.pop("color", None)
        return table | {"init": {"name": "style"}, "terms": terms}

    def check(self) -> None:
        """Check that the values, with the images of a job, are those of a job.

        Raises UsageError, and TypeError for values that are not plain.
        """
        for values in (self.table, self.texture or {}):
            if not isinstance(values, Mapping):
                raise UsageError(f"its values should be a table, got {values!r}")
            if images := [key for key in _NOT_IN_A_PRESET if key in values]:
                raise UsageError(f"{images[0]} belongs to a job, not to a preset")
        _check_job(self.values(is_texture=False))
        if self.texture is not None:
            _check_job({**self.values(is_texture=True), "content": None})


def _needs_content(term: Table) -> bool:
    return term.get("name") == "content" or (term.get("name") == "tv" and "flat" in term)


def _check_job(values: Table) -> None:
    from pydantic import ValidationError

    from ..validation import described
    from .model import Job  # imported late: the help texts need no pydantic

    try:
        Job.model_validate(values)
    except ValidationError as error:
        raise UsageError(described(error, Job.model_fields)) from None


#: Name -> preset. Raises UsageError for an unknown name.
FindPreset = Callable[[str], Preset]


def built_in_preset(name: str) -> Preset:
    """Return the built-in preset of that name. Raises UsageError for an unknown name."""
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; {did_you_mean(name, PRESETS)}")
    return Preset(table=PRESETS[name], texture=_TEXTURES.get(name))
