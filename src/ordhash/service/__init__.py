"""The HTTP service: a collection to look at and to search, for programs and on a web page."""

from ordhash.service.app import create_app
from ordhash.service.settings import ServiceSettings

__all__ = ["ServiceSettings", "create_app"]
