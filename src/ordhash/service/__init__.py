"""The HTTP service: a collection to look at and to search, for programs and on a web page."""

from ordhash.service.app import create_app
from ordhash.service.library import Library
from ordhash.service.server import run
from ordhash.service.settings import ServiceSettings, is_loopback
from ordhash.service.stopping import end_process

__all__ = ["Library", "ServiceSettings", "create_app", "end_process", "is_loopback", "run"]
