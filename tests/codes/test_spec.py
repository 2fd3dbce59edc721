import dataclasses
import json

import numpy as np
import pytest

from ordhash.codes import OrdinalCodes, PartCodes, Searched, part_margin
from ordhash.codes.spec import MAX_ARITY, MAX_CODE_BITS, CodeSpec
from ordhash.errors import InputError


@pytest.mark.parametrize(
    ("code_bits", "arity", "n_segments", "packed_bytes"),
    [(48, 4, 24, 6), (48, 16, 12, 6), (12, 2, 12, 2), (9, 8, 3, 2), (8, 256, 1, 1), (1, 2, 1, 1)],
)
def test_spec_counts_segments_and_bytes(code_bits, arity, n_segments, packed_bytes):
    spec = CodeSpec(code_bits, arity)
    assert (spec.n_segments, spec.packed_bytes) == (n_segments, packed_bytes)
    assert CodeSpec.of_segments(n_segments, arity) == spec


@pytest.mark.parametrize("arity", [-2, 0, 1, 3, 6, 512])
def test_spec_refuses_an_arity_that_is_no_power_of_two(arity):
    with pytest.raises(InputError, match="powers of two from 2 to 256"):
        CodeSpec(48, arity)
    with pytest.raises(InputError, match="powers of two from 2 to 256"):
        CodeSpec.of_segments(12, arity)


@pytest.mark.parametrize(("code_bits", "arity", "near"), [(47, 4, 48), (0, 2, 1), (-4, 4, 2), (10, 16, 8), (1, 8, 3)])
def test_spec_refuses_part_of_a_segment_and_suggests_a_length(code_bits, arity, near):
    with pytest.raises(InputError, match=f"code_bits is {code_bits}; .* try {near}$"):
        CodeSpec(code_bits, arity)


@pytest.mark.parametrize("number", [np.int64, np.uint8, np.array])
def test_numbers_of_numpy_become_those_of_python(number):
    for spec in (CodeSpec(number(48), number(4)), CodeSpec.of_segments(number(24), number(4))):
        assert (spec.n_segments, spec.packed_bytes) == (24, 6)
        assert json.loads(json.dumps(dataclasses.asdict(spec))) == {"code_bits": 48, "arity": 4}
    assert CodeSpec.of_segments(number(200), number(16)).code_bits == 800


@pytest.mark.parametrize("value", [48.0, "48", None, np.float32(48), np.array([48])])
def test_other_values_are_refused(value):
    for make in (CodeSpec, CodeSpec.of_segments):
        with pytest.raises(InputError, match="whole number"):
            make(value, 4)
        with pytest.raises(InputError, match="arity is"):
            make(48, value)


@pytest.mark.parametrize("arity", [2, 4, MAX_ARITY])
def test_the_largest_distance_fits_its_type(arity):
    spec = CodeSpec(MAX_CODE_BITS, arity)
    most = np.iinfo(np.uint16).max
    assert spec.n_segments + part_margin(spec) <= most
    zeros, ones = (OrdinalCodes(np.full((1, spec.n_segments), value, np.uint8), spec) for value in (0, 1))
    assert Searched(ones, PartCodes(ones, [0], [[0, 0, 9, 9]])).ordinal(zeros).tolist() == [[spec.n_segments]]
    with pytest.raises(InputError, match="at most 60,000"):
        CodeSpec.of_segments(most + 1, arity)
