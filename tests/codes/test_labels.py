import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.codes.labels import composed, has_label, has_label_with, joined_labels, labels_in

TEXTS = st.text(st.sampled_from("aAbß; é\u0301\u0308\u037e1海-"), max_size=12)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("sea", ["sea"]),
        (" sea ;; people; ", ["sea", "people"]),
        ("", []),
        (" ; ", []),
        ("Mo\u0308we", ["M\xf6we"]),
        ("a\u037eb", ["a", "b"]),  # a Greek question mark, which Unicode holds to be a semicolon
    ],
)
def test_labels_of_a_text(text, labels):
    assert labels_in(text) == labels


@given(TEXTS)
def test_labels_are_joined_and_taken_apart(text):
    labels = labels_in(text)
    assert labels_in(joined_labels(labels)) == labels
    assert all(label == label.strip() == unicodedata.normalize("NFC", label) != "" for label in labels)
    assert labels_in(composed(text)) == labels


@given(TEXTS, TEXTS)
def test_an_item_has_the_labels_that_are_wanted(text, wanted):
    ours, theirs = set(labels_in(text)), set(labels_in(wanted))
    assert has_label(text, wanted) == (theirs <= ours if theirs else not ours)
    if has_label(text, wanted) and theirs:
        assert has_label_with(text, wanted)


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("North Sea", "sea", True),
        ("season", "sea", False),
        ("overseas", "sea", False),
        ("sea2", "sea", False),
        ("deep-sea", "SEA", True),
        ("season;undersea;the sea", "sea", True),
        ("seasea sea", "sea", True),
        ("Straße", "STRASSE", True),
        ("sea;people", "a;p", False),
        ("sea;people", "people;sea", True),
        ("sea;people", "people;boat", False),
        ("海岸", "海", True),  # no spaces are written there
        ("sea", "", True),
        ("", "sea", False),
    ],
)
def test_words_in_labels(text, words, found):
    assert has_label_with(text, words) == found
