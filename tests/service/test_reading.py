"""JSON bodies become messages, whatever they contain."""

import json
import time

import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

from fastapi.exceptions import RequestValidationError

from ordhash.service.messages import SearchRequest
from ordhash.service.reading import NotJsonError, parsed

GOOD = {"examples": [{"key": "a.jpg"}]}


def body(**fields):
    return json.dumps({**GOOD, **fields}).encode()


def test_a_request():
    wanted = parsed(body(top_k=3), SearchRequest)
    assert (wanted.examples[0].key, wanted.top_k) == ("a.jpg", 3)
    assert parsed(b"\xef\xbb\xbf" + body(), SearchRequest).top_k == 50


def test_a_large_image_is_no_problem():
    assert len(parsed(body(examples=[{"image": "A" * 30_000_000}]), SearchRequest).examples[0].image) == 30_000_000


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff{}", "UTF-8"),
        (json.dumps(GOOD).encode("utf-16"), "UTF-8"),
        (b'{"top_k": NaN}', "NaN"),
        (b'{"top_k": [-Infinity]}', "-Infinity"),
        (b'{"top_k": ' + b"9" * 1_000_000 + b"}", "digits"),
        (b"[" * 15_000, "nested"),
        (b'{"a":' * 9000, "nested"),
        (b"[" * 1_000_000, "more than"),
        (b"{" + b",".join(b'"%x":1' % n for n in range(400_000)) + b"}", "more than"),
        (b'{"examples": [' + b",".join([b'{"key":"a"}'] * 100_000) + b"]}", "more than"),
        (b'{"top_k": 1, "top_k": 2}', "'top_k' is given twice"),
        (b'{"%s": 1, "%s": 2}' % (b"x" * 1_000_000, b"x" * 1_000_000), "(1,000,000 characters) is given twice"),
    ],
)
def test_what_is_no_json_is_refused_at_once(content, word):
    started = time.process_time()
    with pytest.raises(NotJsonError) as caught:
        parsed(content, SearchRequest)
    assert word in str(caught.value)
    assert len(str(caught.value)) < 400
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[]",
        b'"text"',
        b"1e999",
        body(top_k=1e300),
        body(top_k=10**4000),
        body(top_k="9" * 5000),
        body(examples=[GOOD["examples"][0]] * 17),
        body(filters=[{"column": "a", "value": "b"}] * 17),
        body(filters=[{"column": "a", "value": "b" * 100_000}]),
        body(examples=[{"key": "a" * 31_000_000}]),
        body(examples=[{"key": "\ud800"}]),
        body(**{str(number): 1 for number in range(5000)}),
        body(**{"x" * 31_000_000: 1}),
    ],
)
def test_what_is_no_request_has_few_errors(content):
    with pytest.raises(RequestValidationError) as caught:
        parsed(content, SearchRequest)
    assert 1 <= len(caught.value.errors()) <= 3
    assert all("input" not in error for error in caught.value.errors())
