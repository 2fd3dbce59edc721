"""A Ray cluster of this machine alone, which listens at the loopback address and asks nobody anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from ray._private import ray_constants, services

__all__ = ["only_here"]


@contextmanager
def only_here() -> Iterator[None]:
    """Keep a cluster that is started inside the block to this machine.

    Ray has no settings for this. Otherwise it listens at the address that other machines reach, and starts a process
    that asks which cloud it is in (an address of the network and a look-up), even if reports on its use are switched
    off; without a dashboard that process does nothing else.
    """
    with (
        mock.patch.object(services, "start_api_server", return_value=(None, None)),
        # What Ray does on other systems than Linux: the node has the loopback address. Its processes read the variable.
        mock.patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False),
        mock.patch.dict(os.environ, {ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"}),
    ):
        yield
