"""Where an option goes in a job's plain values.

A table is a job before validation, its short forms written out. `put` changes it; `holds` says
whether the location of a validation error, as pydantic gives it, is the option's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from ..errors import UsageError
from .tables import Table, choice_table, init_table, merged_choice, written_out

Location = tuple[int | str, ...]


class Place(ABC):
    """Where an option goes."""

    @abstractmethod
    def put(self, table: Table, value: Any, option: str) -> None:
        """Set the option's value. Raises UsageError for one that has no effect or cannot be."""

    @abstractmethod
    def holds(self, location: Location, table: Table) -> bool:
        """Whether a value at `location` is the option's."""

    def get(self, table: Table) -> Any:
        """The option's value in a complete table; None, if it has no single one."""
        return None


@dataclass(frozen=True)
class JobKey(Place):
    """A key of the job."""

    key: str

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place."""
        table[self.key] = value

    def get(self, table: Table) -> Any:
        """See Place."""
        return table.get(self.key)

    def holds(self, location: Location, table: Table) -> bool:
        """See Place."""
        return location[:1] == (self.key,)


@dataclass(frozen=True)
class ChoiceKey(Place):
    """An option of one of the job's choices, such as the backend's device."""

    choice: str
    key: str

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place."""
        table[self.choice] = {**chosen(table, self.choice), self.key: value}

    def get(self, table: Table) -> Any:
        """See Place."""
        return table[self.choice].get(self.key)

    def holds(self, location: Location, table: Table) -> bool:
        """See Place."""
        return location[:2] == (self.choice, self.key)


@dataclass(frozen=True)
class ChoiceName(Place):
    """What a choice is: a name, NAME:MODEL where it has models, or a table. Another name drops the
    options of the former one, but for those in `common`, which all of the kind have."""

    choice: str
    common: tuple[str, ...] = ()

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place."""
        before = chosen(table, self.choice)
        after = self._written_out(value)
        kept = {key: before[key] for key in self.common if key in before}
        table[self.choice] = merged_choice(before, after, kept)

    def get(self, table: Table) -> Any:
        """See Place."""
        return table[self.choice]["name"]

    def holds(self, location: Location, table: Table) -> bool:
        """See Place."""
        return location in ((self.choice,), (self.choice, "name"))

    def _written_out(self, value: Any) -> Table:
        if isinstance(value, str):
            return choice_table(value)
        return written_out(value, "name", self.choice)


@dataclass(frozen=True)
class Start(ChoiceName):
    """What a run starts from: a name, an image file, or a table."""

    def _written_out(self, value: Any) -> Table:
        if isinstance(value, str | PathLike):
            return init_table(str(value))
        return written_out(value, "name", self.choice)


@dataclass(frozen=True)
class TermKey(Place):
    """A key of a loss term, which is added to the job if its weight is set."""

    term: str
    key: str

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place."""
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
        """See Place."""
        return next((term[self.key] for term in table["terms"] if term["name"] == self.term), None)

    def holds(self, location: Location, table: Table) -> bool:
        """See Place."""
        match location:
            case ("terms", int(number), str(key), *_):
                return (table["terms"][number].get("name"), key) == (self.term, self.key)
        return False


@dataclass(frozen=True)
class AddedTerms(Place):
    """Further loss terms, or other settings for those that the job has: names or tables."""

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place."""
        for added in [value] if isinstance(value, str | Mapping) else value:
            settings = written_out(added, "name", "term")
            for term in table["terms"]:
                if term.get("name") == settings.get("name"):
                    term.update(settings)
                    break
            else:
                table["terms"].append(settings)

    def holds(self, location: Location, table: Table) -> bool:
        """See Place. Its errors are named after the term."""
        return False


@dataclass(frozen=True)
class StyleImages(Place):
    """The style images: a path or a table, or a list of them."""

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place."""
        images = [value] if isinstance(value, str | PathLike | Mapping) else value
        table["styles"] = [written_out(image, "image", option) for image in images]

    def holds(self, location: Location, table: Table) -> bool:
        """See Place."""
        return location == ("styles",) or (
            location[:1] == ("styles",) and location[2:] == ("image",)
        )


@dataclass(frozen=True)
class Texture(StyleImages):
    """The style images of a texture, which has no content image."""

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place."""
        super().put(table, value, option)
        table["content"] = None


@dataclass(frozen=True)
class EachStyle(Place):
    """A key of each style image: one value for each, or `one_for_all`."""

    key: str
    one_for_all: bool = False
    needs_several: bool = False

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place. A value "none" is none."""
        from .model import Job  # not before it is needed: help needs no pydantic

        default = Job.model_fields["styles"].default[0].image
        styles = table.get("styles") or [{"image": default}]
        values = list(value) if isinstance(value, list | tuple) else [value]
        if self.needs_several and len(styles) == 1:
            raise UsageError(f"`{option}` has no effect with a single style image")
        if self.one_for_all and len(values) == 1:
            values *= len(styles)
        if len(styles) != len(values):
            raise UsageError(f"`{option}` has {len(values)} values for {len(styles)} style images")
        table["styles"] = [
            {**style, self.key: None if value == "none" else value}
            for style, value in zip(styles, values, strict=True)
        ]

    def holds(self, location: Location, table: Table) -> bool:
        """See Place."""
        if self.needs_several and location == ("styles",):  # all of them are zero
            return True
        return location[:1] == ("styles",) and location[2:] == (self.key,)


@dataclass(frozen=True)
class RegionMaps(Place):
    """The map of the content's regions, then one for each style image."""

    def put(self, table: Table, value: Any, option: str) -> None:
        """See Place."""
        if isinstance(value, str | PathLike | Mapping) or len(value) < 2:
            raise UsageError(
                f"`{option}` needs the content's map and one for each style image, "
                f'such as {option}=["content-map.png", "style-map.png"]'
            )
        content, *maps = value
        table["regions"] = {"content": content, "styles": maps}

    def holds(self, location: Location, table: Table) -> bool:
        """See Place."""
        return location[:1] == ("regions",)


def chosen(table: Table, choice: str) -> Table:
    """A choice's table; the job's default, if there is none."""
    from .model import Job

    found: Table = table.get(choice) or {"name": Job.model_fields[choice].default.name}
    return found
