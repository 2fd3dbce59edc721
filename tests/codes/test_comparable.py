import pytest

from ordhash.codes import CodeFacts, CodeSpec, OrdinalCodes, check_comparable, check_same_model
from ordhash.errors import InputError


@pytest.mark.parametrize(("given", "wanted"), [("m1", "m1"), (None, "m1"), ("m1", None), (None, None)])
def test_the_same_model_or_an_unknown_one_is_accepted(given, wanted):
    check_same_model(given, wanted)


def test_another_model_is_refused_in_the_words_of_the_caller():
    with pytest.raises(InputError, match=r"the query is 'm2'.*a\.index is 'm1'.*: give model m1$"):
        check_same_model("m2", "m1", what="the query", of="a.index", hint="give model m1")


def test_codes_are_compared_with_whatever_has_a_spec_and_a_model():
    codes = OrdinalCodes.from_symbols([[0, 1, 2]], arity=4, model_id="m1")
    check_comparable(codes, CodeFacts(CodeSpec(6, 4), None, None))
    with pytest.raises(InputError, match=r"'m1'.*'m2'"):
        check_comparable(codes, CodeFacts(CodeSpec(6, 4), "m2", None))
    with pytest.raises(InputError, match=r"code_bits=6.*the file has.*code_bits=6, arity=2"):
        check_comparable(codes, CodeFacts(CodeSpec(6, 2), "m1", None), of="the file")
