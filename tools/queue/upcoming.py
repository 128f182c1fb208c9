"""Index of the images that later tasks need again."""

from __future__ import annotations

from collections.abc import Collection, Sequence


class Upcoming:
    """Index of the images of tasks, in the order in which the tasks are done."""

    def __init__(self, images: Sequence[Collection[str]]) -> None:
        """Index the hashes of each task's images."""
        self._count = len(images)
        self._tasks: dict[str, set[int]] = {}
        for number, hashes in enumerate(images):
            for sha256 in hashes:
                self._tasks.setdefault(sha256, set()).add(number)

    def recurs(self, images: Collection[str], *, after: int) -> bool:
        """Return whether a task after the one numbered `after` has all of the images."""
        uses = sorted((self._tasks.get(sha256, set()) for sha256 in images), key=len)
        if not uses:
            return after + 1 < self._count
        rarest, *others = uses
        return any(
            number > after and all(number in numbers for numbers in others) for number in rarest
        )
