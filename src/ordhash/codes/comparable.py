"""Whether codes can be compared: they need the same spec and the same model."""

from __future__ import annotations

from typing import Protocol

from ordhash.codes.spec import CodeSpec
from ordhash.errors import InputError, OtherModelError

__all__ = ["Described", "check_comparable", "check_same_model"]


class Described(Protocol):
    """What decides whether codes can be compared; OrdinalCodes, indexes and CodeFacts have it."""

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""

    @property
    def model_id(self) -> str | None:
        """The model that made them; None if unknown."""


def check_same_model(
    given: str | None,
    wanted: str | None,
    *,
    what: str = "the queries",
    of: str = "the index",
    hint: str = "encode both with the same model",
) -> None:
    """Refuse to compare what two models made. An unknown model (None) is never refused.

    Args:
        given: Id of the model that made what the caller gave.
        wanted: Id of the model that made what it is compared with.
        what: What the caller gave, for the message.
        of: What it is compared with, for the message.
        hint: What to do about it, for the message.

    Raises:
        OtherModelError: The two models differ.

    >>> check_same_model("a1", "a1")
    >>> check_same_model("a1", "b2")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ordhash.errors.OtherModelError: the model of the queries is 'a1', that of the index is 'b2'; ...
    """
    if given is not None and wanted is not None and given != wanted:
        raise OtherModelError(
            f"the model of {what} is {given!r}, that of {of} is {wanted!r}; codes of two models cannot be compared: "
            f"{hint}"
        )


def check_comparable(
    given: Described, wanted: Described, *, what: str = "the queries", of: str = "the database"
) -> None:
    """Refuse codes whose distances would mean nothing.

    Args:
        given: The codes that the caller gave, or anything else with a spec and a model.
        wanted: The codes that they are compared with.
        what: As in [check_same_model][ordhash.codes.check_same_model].
        of: As in check_same_model.

    Raises:
        InputError: The specs differ.
        OtherModelError: Both models are known and differ.
    """
    if given.spec != wanted.spec:
        raise InputError(
            f"{what} have {given.spec} and {of} has {wanted.spec}; only equal specs can be compared: encode both with "
            "the same model"
        )
    check_same_model(given.model_id, wanted.model_id, what=what, of=of)
