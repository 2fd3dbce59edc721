"""Routes about the service itself: health, status, metrics, sync."""

from __future__ import annotations

from typing import Annotated, Literal

import pyarrow as pa
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import ordhash
from ordhash.service import messages
from ordhash.service.served import Served, SharedState, failures, may_change

__all__ = ["service"]

service = APIRouter(tags=["service"])


@service.get("/v1/health", operation_id="health", responses=failures())
async def health() -> messages.Health:
    """Whether the service answers."""
    return messages.Health()


@service.get("/v1/status", operation_id="status", responses=failures())
async def status(served: Served) -> messages.Status:
    """What is served, and the progress of a running sync."""
    return await served.showing(_status, served)


@service.get("/v1/failures", operation_id="list_failures", responses=failures())
async def unusable(served: Served, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> messages.Failures:
    """Files of the folder that cannot be used, and why."""
    found = await served.showing(served.library.failures)
    some = [messages.Failure(key=one.source, reason=one.reason) for one in found[:limit]]
    return messages.Failures(total=len(found), failures=some)


@service.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **failures()},
)
async def metrics(served: Served) -> Response:
    """Numbers for Prometheus."""
    numbers = served.numbers
    numbers.photographs.set(len(served.library))
    numbers.under_way.labels("search").set(served.searching.under_way)
    numbers.under_way.labels("picture").set(served.showing.under_way)
    numbers.under_way.labels("change").set(served.changing.under_way)
    return Response(generate_latest(numbers.registry), media_type=CONTENT_TYPE_LATEST)


@service.post(
    "/v1/sync",
    operation_id="start_sync",
    status_code=202,
    responses=failures(409),
    dependencies=[Depends(may_change)],
)
async def sync(served: Served) -> messages.Status:
    """Start a sync of the collection with its folder; the status shows its progress."""
    return await served.changing(_start_sync, served)


def _start_sync(served: SharedState) -> messages.Status:
    served.library.start_sync()
    return _status(served)


def _status(served: SharedState) -> messages.Status:
    library = served.library
    info, progress = library.encoder.info, library.progress()
    return messages.Status(
        name=library.folder.name,
        version=ordhash.__version__,
        count=len(library),
        unusable=library.n_failures,
        generation=library.generation,
        code_bits=info.spec.code_bits,
        segments=info.spec.n_segments,
        backbone=info.backbone,
        calibrated=info.asymmetric_calibration is not None,
        parts=info.sees_all,
        changes=served.settings.changes,
        columns=[
            messages.Column(name=name, kind=_kind(kind), values=values) for name, kind, values in library.columns()
        ],
        sync=None
        if progress is None
        else messages.Progress(done=progress.done, total=progress.total, seconds=progress.seconds),
        problem=library.problem,
    )


def _kind(kind: pa.DataType) -> Literal["text", "number", "time", "truth", "other"]:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_temporal(kind):
        return "time"
    return "truth" if pa.types.is_boolean(kind) else "other"
