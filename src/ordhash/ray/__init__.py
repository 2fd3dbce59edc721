"""Encoding on a Ray cluster; the only room that names Ray. Needs the extra ``ordhash[cluster]``."""

from ordhash.ray.encoding import encode_on_ray

__all__ = ["encode_on_ray"]
