import pytest

from ordhash.codes.spec import CodeSpec
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
