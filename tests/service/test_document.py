"""The OpenAPI document, and answers to calls that are made up from it."""

import re
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from ordhash.service.app import create_app
from ordhash.service.library import Library
from ordhash.service.settings import ServiceSettings

TOKEN = "a-secret-of-twenty-four"


@pytest.fixture
def library(photo_collection, monkeypatch):
    library = Library(photo_collection, pixels=1_000_000)
    library.warm_up()  # as a server does, or the first search compiles
    monkeypatch.setattr(library, "start_sync", lambda: None)  # one for every call would take for ever
    yield library
    library.close()


def test_what_it_says(library):
    document = create_app(library, ServiceSettings(token=TOKEN)).openapi()
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names)
    assert {"search", "search_by_image", "list_images", "original", "start_sync", "delete_image"} < set(names)
    assert all(name.isidentifier() and len(name) < 20 for name in names)
    assert document["components"]["securitySchemes"]["bearer"] == {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of `ordhash serve --token`.",
    }
    assert {"bearer": []} in document["security"]
    assert {} not in document["security"]
    assert {} in create_app(library).openapi()["security"]  # at a loopback address no token is needed
    problem = {"$ref": "#/components/schemas/Problem"}
    for operation in operations.values():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert answer["content"] == {"application/json": {"schema": problem}}
    assert "HTTPValidationError" not in str(document)
    body = operations["POST /v1/search"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/SearchRequest"}
    assert "agreeing" in document["components"]["schemas"]["SearchRequest"]["properties"]
    assert "where" in [one["name"] for one in operations["POST /v1/search/image"]["parameters"]]


def test_conditions_in_descriptions_are_on_columns_that_there_are(library):
    app = create_app(library)
    described = [
        one["description"]
        for one in app.openapi()["paths"]["/v1/images"]["get"]["parameters"]
        if one["name"] == "where"
    ]
    serving = Path(__file__).parents[2] / "docs" / "serving.md"
    conditions = re.findall(r"`(\S+)`", described[0]) + re.findall(r"`where=(\S+)`", serving.read_text())
    assert len(conditions) == 2
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for condition in conditions:
            assert client.get("/v1/images", params={"where": condition}).status_code == 200


def test_every_operation_but_one_asks_for_the_token(library):
    app = create_app(library, ServiceSettings(token=TOKEN))
    with TestClient(app) as client:
        for path, methods in app.openapi()["paths"].items():
            for method, operation in methods.items():
                status = client.request(method, path).status_code
                assert (path, status) == (path, 401 if operation.get("security") != [] else 200)


def fuzz(library, examples):
    """Statuses of answers by operation; the document knows all of them, and their bodies."""
    app = create_app(library, ServiceSettings(originals=True))
    headers = {"host": "localhost"}
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app, headers=headers)
    seen = set()
    # Not by schemathesis's own decorator, which does not know this version of pytest. That what fits the document is
    # accepted is not asked: no document can say which bytes are an image.
    for operation in (result.ok() for result in schema.get_all_operations()):

        @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
        @given(case=operation.as_strategy())
        def check(case):
            answer = case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance], timeout=120)
            seen.add((case.operation.label, answer.status_code))

        check()
    return seen


@pytest.mark.slow  # hundreds of requests
def test_every_answer_is_as_it_says(library):
    seen = fuzz(library, 15)
    assert {label for label, _ in seen} >= {"POST /v1/search", "GET /v1/thumbnail", "DELETE /v1/images"}
    assert {("GET /v1/images", 200), ("GET /v1/status", 200), ("POST /v1/sync", 202)} <= seen


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_answer_to_many_calls_is_as_it_says(library):
    assert {status for _, status in fuzz(library, 200)} <= {200, 201, 202, 400, 404, 405, 422}
