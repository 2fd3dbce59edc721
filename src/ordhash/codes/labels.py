"""The labels of an item, kept as one text: ``sea;people`` in the column ``labels``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

__all__ = ["LABELS", "composed", "has_label", "has_label_with", "is_label", "joined_labels", "labels_in"]

LABELS = "labels"
"""The column of metadata with the labels of each item."""

_BETWEEN = ";"


def composed(text: str) -> str:
    r"""Text with composed accents (Unicode's NFC): those that are typed are composed, those of file names may not be.

    >>> composed("cafe\N{COMBINING ACUTE ACCENT}") == "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def labels_in(text: str) -> list[str]:
    """The labels that a text names.

    >>> labels_in("sea; people;")
    ['sea', 'people']
    """
    # Composed first, since U+037E, a Greek question mark, is composed into a semicolon.
    return [label for part in composed(text).split(_BETWEEN) if (label := part.strip())]


def is_label(name: str) -> bool:
    """Whether a name can be a label: what separates labels is not in it.

    >>> is_label("sea"), is_label("sea;people")
    (True, False)
    """
    return _BETWEEN not in composed(name)


def joined_labels(labels: Iterable[str]) -> str:
    """Invert [labels_in][ordhash.codes.labels_in], for names that [can be labels][ordhash.codes.is_label].

    >>> joined_labels(["sea", "people"])
    'sea;people'
    """
    return _BETWEEN.join(labels)


def has_label(text: str, wanted: str) -> bool:
    """Whether an item with the labels of ``text`` has all labels of ``wanted``; none are wanted of one without labels.

    >>> has_label("sea;people", "sea"), has_label("season", "sea"), has_label("sea;people", "people;sea")
    (True, False, True)
    >>> has_label("", ""), has_label("sea", "")
    (True, False)
    """
    return set(labels_in(wanted) or [""]) <= set(labels_in(text) or [""])


def has_label_with(text: str, wanted: str) -> bool:
    """As [has_label][ordhash.codes.has_label], but a label need only contain the words, in upper or lower case.

    >>> has_label_with("North Sea", "sea"), has_label_with("season", "sea")
    (True, False)
    """
    labels = [label.casefold() for label in labels_in(text)] or [""]
    return all(any(_has_words(label, words.casefold()) for label in labels) for words in labels_in(wanted) or [""])


def _has_words(label: str, words: str) -> bool:
    """Whether a label contains words, none of them as a part of a longer one."""
    at = label.find(words)
    while at >= 0:
        end = at + len(words)
        if not (_goes_on(label[at - 1 : at], words[:1]) or _goes_on(words[-1:], label[end : end + 1])):
            return True
        at = label.find(words, at + 1)
    return False


def _goes_on(left: str, right: str) -> bool:
    """Whether two characters that follow each other are of one word.

    Scripts without upper and lower case are left out: many put no space between words.
    """
    return all(one and (one.isdigit() or one.lower() != one.upper()) for one in (left, right))
