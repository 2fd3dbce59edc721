import os

import pytest

pytest.importorskip("ray", reason="needs ordhash[cluster]")

from ray._private import ray_constants, services

from ordhash.ray.here import only_here


def test_ray_is_as_it_was_afterwards():
    before = services.start_api_server, dict(os.environ)
    with only_here():
        assert services.get_node_ip_address() == "127.0.0.1"  # what Ray's processes tell each other
        assert services.start_api_server("anything") == (None, None)
        assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert (services.start_api_server, dict(os.environ)) == before
    assert ray_constants.ENABLE_RAY_CLUSTER
