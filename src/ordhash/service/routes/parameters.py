"""Types of parameters that several routes have."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

__all__ = ["Key", "Version", "Where"]

Key = Annotated[str, Query(description="Key of a photograph: its path below the folder of the collection.")]
Version = Annotated[str | None, Query(description="Of the photograph; with it the picture may be cached for ever.")]
Where = Annotated[list[str], Query(max_length=16, description="Conditions on the metadata, as in `folder~beach`.")]
