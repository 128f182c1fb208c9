"""Places of the options in a job's plain values.

A table is a job before validation, with its short forms written out. `put` changes it; `holds`
says whether a validation error, located as by pydantic, belongs to the option.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from ...errors import UsageError
from ..tables import Table, choice_table, current_style, init_table, merged_choice, written_out

Location = tuple[int | str, ...]


class Place(ABC):
    """Place of an option's value in a job's table."""

    @abstractmethod
    def put(self, table: Table, value: Any, option: str) -> None:
        """Set the option's value.

        Raises UsageError for a value that has no effect or is not possible.
        """

    @abstractmethod
    def holds(self, location: Location, table: Table) -> bool:
        """Return whether the value at `location` is the option's."""

    def get(self, table: Table) -> Any:
        """Return the option's value in a complete table, or None if it has no single value."""
        return None


@dataclass(frozen=True)
class JobKey(Place):
    """A key of the job."""

    key: str

    def put(self, table: Table, value: Any, option: str) -> None:
        """Set the job's key. See Place.put."""
        table[self.key] = value

    def get(self, table: Table) -> Any:
        """Return the key's value. See Place.get."""
        return table.get(self.key)

    def holds(self, location: Location, table: Table) -> bool:
        """Return whether `location` is in the key's value. See Place.holds."""
        return location[:1] == (self.key,)


@dataclass(frozen=True)
class ChoiceKey(Place):
    """An option of one of the job's choices, such as the backend's device."""

    choice: str
    key: str

    def put(self, table: Table, value: Any, option: str) -> None:
        """Set the choice's option. See Place.put."""
        table[self.choice] = {**chosen(table, self.choice), self.key: value}

    def get(self, table: Table) -> Any:
        """Return the value of the choice's option. See Place.get."""
        return table[self.choice].get(self.key)

    def holds(self, location: Location, table: Table) -> bool:
        """Return whether `location` is in the choice's option. See Place.holds."""
        return location[:2] == (self.choice, self.key)


@dataclass(frozen=True)
class ChoiceName(Place):
    """The name of a choice: NAME, NAME:MODEL where there are models, or a table.

    Another name drops the options of the former one, except those in `common`, which all choices of
    the kind have.
    """

    choice: str
    common: tuple[str, ...] = ()

    def put(self, table: Table, value: Any, option: str) -> None:
        """Set the choice and its options. See Place.put."""
        former = chosen(table, self.choice)
        choice = self.table_of(value)
        common_options = {key: former[key] for key in self.common if key in former}
        table[self.choice] = merged_choice(former, choice, common_options)

    def get(self, table: Table) -> Any:
        """Return the choice's name. See Place.get."""
        return table[self.choice]["name"]

    def holds(self, location: Location, table: Table) -> bool:
        """Return whether `location` is the choice or its name. See Place.holds."""
        return location in ((self.choice,), (self.choice, "name"))

    def table_of(self, value: Any) -> Table:
        """Return the choice that a value of the option stands for. Raises UsageError."""
        if isinstance(value, str):
            return choice_table(value)
        return written_out(value, "name", self.choice)


@dataclass(frozen=True)
class Start(ChoiceName):
    """The start of a run: the name of an initialiser, an image file, or a table."""

    def table_of(self, value: Any) -> Table:
        """Return the start that a value of the option stands for. Raises UsageError."""
        if isinstance(value, str | PathLike):
            return init_table(str(value))
        return written_out(value, "name", self.choice)


@dataclass(frozen=True)
class TermKey(Place):
    """A key of a loss term; setting the weight of a term that the job lacks adds the term."""

    term: str
    key: str

    def put(self, table: Table, value: Any, option: str) -> None:
        """Set the term's key. See Place.put."""
        for term in table["terms"]:
            if term.get("name") == self.term:
                term[self.key] = value
                if self.key == "layers" and term.get("weight") == 0:
                    raise UsageError(
                        f"`{option}` has no effect: the term {self.term} has no weight"
                    )
                return
        if self.key != "weight":
            raise UsageError(
                f"`{option}` has no effect: the job has no term {self.term}; "
                f"add it with `term={self.term}`"
            )
        table["terms"].append({"name": self.term, self.key: value})

    def get(self, table: Table) -> Any:
        """Return the value of the term's key. See Place.get."""
        return next((term[self.key] for term in table["terms"] if term["name"] == self.term), None)

    def holds(self, location: Location, table: Table) -> bool:
        """Return whether `location` is in the term's key. See Place.holds."""
        match location:
            case ("terms", int(index), str(key), *_):
                return (table["terms"][index].get("name"), key) == (self.term, self.key)
        return False


@dataclass(frozen=True)
class AddedTerms(Place):
    """Loss terms to add, or other settings for terms that the job has: names or tables."""

    def put(self, table: Table, value: Any, option: str) -> None:
        """Add or update the terms. See Place.put."""
        for choice in [value] if isinstance(value, str | Mapping) else value:
            settings = written_out(choice, "name", "term")
            for term in table["terms"]:
                if term.get("name") == settings.get("name"):
                    term.update(settings)
                    break
            else:
                table["terms"].append(settings)

    def holds(self, location: Location, table: Table) -> bool:
        """Return False: errors are reported by the term's name. See Place.holds."""
        return False


@dataclass(frozen=True)
class StyleImages(Place):
    """The style images: a path or a table, or a list of them."""

    def put(self, table: Table, value: Any, option: str) -> None:
        """Replace the style images. See Place.put."""
        images = [value] if isinstance(value, str | PathLike | Mapping) else value
        table["styles"] = [current_style(written_out(image, "image", option)) for image in images]

    def holds(self, location: Location, table: Table) -> bool:
        """Return whether `location` is the list of styles or an image in it. See Place.holds."""
        return location == ("styles",) or (
            location[:1] == ("styles",) and location[2:] == ("image",)
        )


@dataclass(frozen=True)
class Texture(StyleImages):
    """The style images of a texture, which has no content image."""

    def put(self, table: Table, value: Any, option: str) -> None:
        """Replace the style images and remove the content image. See Place.put."""
        super().put(table, value, option)
        table["content"] = None


@dataclass(frozen=True)
class EachStyle(Place):
    """A key of all style images, with one value for each; "none" stands for None.

    `one_for_all`: a single value is that of all of them. `needs_several`: a job with a single style
    image is an error.
    """

    key: str
    one_for_all: bool = False
    needs_several: bool = False

    def put(self, table: Table, value: Any, option: str) -> None:
        """Set the key of each style image. See Place.put."""
        from ..model import Job  # imported late: the help texts need no pydantic

        default = Job.model_fields["styles"].default[0].image
        styles = table.get("styles") or [{"image": default}]
        values = self.values_of(value)
        if self.needs_several and len(styles) == 1:
            raise UsageError(f"`{option}` has no effect with a single style image")
        if self.one_for_all and len(values) == 1:
            values *= len(styles)
        if len(styles) != len(values):
            raise UsageError(f"`{option}` has {len(values)} values for {len(styles)} style images")
        table["styles"] = [
            {**style, self.key: style_value}
            for style, style_value in zip(styles, values, strict=True)
        ]

    def values_of(self, value: Any) -> list[Any]:
        """Return the value of each style image, or the single one."""
        values = value if isinstance(value, list | tuple) else [value]
        return [None if style_value == "none" else style_value for style_value in values]

    def holds(self, location: Location, table: Table) -> bool:
        """Return whether `location` is the key of a style image. See Place.holds."""
        if self.needs_several and location == ("styles",):  # the weights are all zero
            return True
        return location[:1] == ("styles",) and location[2:] == (self.key,)


@dataclass(frozen=True)
class EachCrop(EachStyle):
    """Crop of each style image, a word or four numbers."""

    def values_of(self, value: Any) -> list[Any]:
        """Return the value of each style image, or the single one; four numbers are one value."""
        if not isinstance(value, list | tuple) or _are_numbers(value):
            return [value]
        return list(value)


def _are_numbers(values: Sequence[Any]) -> bool:
    return bool(values) and not any(isinstance(value, str | list | tuple) for value in values)


@dataclass(frozen=True)
class RegionMaps(Place):
    """The maps of regions: that of the content image, then one for each style image."""

    def put(self, table: Table, value: Any, option: str) -> None:
        """Set the maps. See Place.put."""
        if isinstance(value, str | PathLike | Mapping) or len(value) < 2:
            raise UsageError(
                f"`{option}` needs the content's map and one for each style image, "
                f'such as {option}=["content-map.png", "style-map.png"]'
            )
        content, *maps = value
        table["regions"] = {"content": content, "styles": maps}

    def holds(self, location: Location, table: Table) -> bool:
        """Return whether `location` is in the maps. See Place.holds."""
        return location[:1] == ("regions",)


def chosen(table: Table, choice: str) -> Table:
    """Return the table of a choice, or of the job's default choice if there is none."""
    from ..model import Job

    choice_values: Table = table.get(choice) or {"name": Job.model_fields[choice].default.name}
    return choice_values
