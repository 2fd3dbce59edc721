"""The OpenAPI document: what FastAPI draws from the routes, and what it cannot see."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from ordhash.service import messages
from ordhash.service.guard import COOKIE

__all__ = ["document"]

_REFERENCE = "#/components/schemas/{model}"


def document(made: dict[str, Any], *, token: bool) -> dict[str, Any]:
    """The document of the service.

    Args:
        made: What FastAPI draws from the routes; it is completed in place.
        token: Whether clients must send one.
    """
    parts = made.setdefault("components", {})
    # Bodies that routes parse themselves.
    _, found = models_json_schema([(messages.SearchRequest, "validation")], ref_template=_REFERENCE)
    parts.setdefault("schemas", {}).update(found["$defs"])
    parts["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The token of `ordhash serve --token`."},
        "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "The same, as the page sends it."},
    }
    made["security"] = [{"bearer": []}, {"cookie": []}, *([] if token else [{}])]
    made["paths"]["/v1/health"]["get"]["security"] = []
    return made
