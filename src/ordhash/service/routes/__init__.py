"""Routes of the API and of the page, a router a file."""

from ordhash.service.routes.page import page, static_files
from ordhash.service.routes.photographs import photographs
from ordhash.service.routes.search import search
from ordhash.service.routes.service import service

__all__ = ["page", "photographs", "search", "service", "static_files"]
