import itertools

import numpy as np
import pytest

from ordhash.learn.objectives.linear_codes import largest_distance


def distance_of(generator):
    """Minimum distance of the code that the rows of a matrix generate: the least weight of a word that is not 0."""
    words = np.array(list(itertools.product((0, 1), repeat=len(generator))))[1:]
    return int((words @ generator % 2).sum(axis=1).min())


def shifted(polynomial, dimension, length):
    """Generator of a cyclic code."""
    first = np.array([*polynomial, *[0] * (length - len(polynomial))])
    return np.stack([np.roll(first, shift) for shift in range(dimension)])


def test_no_code_of_few_bits_is_better():
    # All codes of dimension 3 and length up to 7, by their columns: order and columns of zeros change nothing.
    columns = [column for column in itertools.product((0, 1), repeat=3) if any(column)]
    for length in range(3, 8):
        best = max(
            distance_of(np.array(chosen).T) for chosen in itertools.combinations_with_replacement(columns, length)
        )
        assert largest_distance(length, 3) == best


@pytest.mark.parametrize(
    ("generator", "distance"),
    [
        (shifted([1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1], 5, 15), 7),  # BCH codes
        (shifted([1, 1, 1, 0, 1, 0, 0, 0, 1], 7, 15), 5),
        (np.array([[1] * 32, *([point >> bit & 1 for point in range(32)] for bit in range(5))]), 16),  # Reed-Muller
        (np.array([[point >> bit & 1 for point in range(1, 64)] for bit in range(6)]), 32),  # simplex
    ],
)
def test_famous_codes_reach_it(generator, distance):
    assert distance_of(generator) == distance == largest_distance(generator.shape[1], len(generator))


def test_it_grows_with_the_length_and_falls_with_the_dimension():
    found = np.array([[largest_distance(length, dimension) for length in range(1, 257)] for dimension in range(1, 9)])
    assert set(np.diff(found, axis=1).flat) == {0, 1}
    assert (np.diff(found, axis=0) <= 0).all()
    assert largest_distance(4, 5) == 0


@pytest.mark.parametrize(
    ("length", "dimension", "distance"), [(12, 5, 4), (13, 5, 5), (24, 6, 10), (32, 7, 14), (48, 9, 20), (16, 9, 4)]
)
def test_codes_of_brouwers_tables(length, dimension, distance):
    assert largest_distance(length, dimension) == distance
