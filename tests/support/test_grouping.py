"""Groups of equal values."""

from hypothesis import given
from hypothesis import strategies as st

from ordhash.support import grouped


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3))))
def test_groups_are_all_positions_of_a_shape(shapes):
    groups = grouped(shapes)
    assert sorted(position for group in groups for position in group) == list(range(len(shapes)))
    assert len({shapes[group[0]] for group in groups}) == len(groups) == len(set(shapes))
    assert all({shapes[position] for position in group} == {shapes[group[0]]} for group in groups)
    assert all(sorted(group) == group.tolist() for group in groups)
