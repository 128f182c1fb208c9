from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from stylectl.tools.queue.upcoming import Upcoming

hashes = st.frozensets(st.sampled_from("abcde"), max_size=4)


@given(tasks=st.lists(hashes, max_size=8), images=hashes, after=st.integers(0, 8))
def test_images_recur_where_a_later_task_has_all_of_them(
    tasks: list[frozenset[str]], images: frozenset[str], after: int
) -> None:
    expected = any(images <= task for task in tasks[after + 1 :])
    assert Upcoming(tasks).recurs(images, after=after) == expected
