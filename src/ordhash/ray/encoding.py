"""Encoding with Ray Data: a list of images in shards, actors that load the model once, a file of codes for each shard.

One actor encodes a shard and writes it atomically, so every shard in the folder is finished: a killed worker loses the
shard it was at, and a restarted job does the missing ones. The result does not depend on the workers: shards are cut at
multiples of the encoder's batch, and together they hold what one machine would write.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

# Set before Ray is loaded: by default it logs internals of its actors to stderr.
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
import ray.data

import ordhash
from ordhash.codes import LIST, MODEL, Plan, is_leftover, read_failures, shard_name, write_shard
from ordhash.data import ClassFolders, ImageSet, ImageSource, find_file, manifest_set
from ordhash.errors import DataError, ImageError, InputError, ServerError, first_line
from ordhash.model import Encoder, Model, check_sees_all, load_model
from ordhash.ray.here import only_here
from ordhash.ray.listing import ImageRows, Listed, list_images
from ordhash.support import Location, name_of, progress_bar

__all__ = ["SHARD_SIZE", "EncodeReport", "encode_on_ray"]

SHARD_SIZE = 1024
"""Images of a shard: some seconds of work, which are lost if a worker is killed."""

_BATCH = 8  # of Encoder; other shard sizes would give other batches than on one machine
_MOST_BLOCKS = 10_000  # Ray keeps each in its head's memory
_NOT_THERE = r"(?i)not found|no such|access.?denied|forbidden|^550 "  # how file systems report one unusable file
_OF_RAY = "\nThe above exception was the direct cause"
_PATIENCE = 10  # seconds to wait for a connection
_READERS = 16  # files read at once over a network


@dataclass(frozen=True)
class EncodeReport:
    """What was encoded.

    Attributes:
        written: Codes in the folder.
        failures: The images that could not be used, and folders that could not be read.
        shards: How many files of codes there are.
        encoded: How many of them this run made.
        of_then: Number of images in the list of the run that began the folder, if the images have changed since; else
            None.
        unread: Number of images in formats that cannot be read, and of videos, by suffix.
    """

    written: int
    failures: list[ImageError]
    shards: int
    encoded: int
    of_then: int | None
    unread: Mapping[str, int] = field(default_factory=dict)


# What to encode, with what, to where and on which machines: every argument is an option of the command.
def encode_on_ray(
    source: str | ImageSet,
    model: str | Path,
    out: str,
    *,
    address: str | None = None,
    workers: int | None = None,
    shard_size: int | None = None,
    classes: ClassFolders = "auto",
    exclude: Sequence[str] = (),
    parts: bool = False,
    force: bool = False,
    progress: bool = False,
) -> EncodeReport:
    """Encode images on a Ray cluster into a folder of shards; continues an earlier run that was interrupted.

    Every machine needs this version of the package, and the folders of images and shards under the same name: a file
    system that they share, or an address.

    Args:
        source: Address or path of a folder, of a manifest, of a Parquet file that holds images, or of a folder of such
            files; or images here, of which files are.
        model: The model.
        out: Address or path of the folder for the shards.
        address: Of the cluster, as 10.0.0.1:6379 or "auto"; None starts one on this machine.
        workers: Most actors, each on one core; None is every core of the cluster.
        shard_size: Images of a shard, a multiple of 8; None is that of the folder, or SHARD_SIZE for a new one.
        classes: Which sub-folders of a folder name classes, as [read_folder][ordhash.data.read_folder] takes it.
        exclude: Patterns of files and folders of a folder to leave out, as in a .gitignore.
        parts: Whether to encode parts of the images too.
        force: Whether to start again in a folder of another encoding.
        progress: Whether to show a bar.

    Raises:
        InputError: Wrong arguments, or a folder of another encoding.
        DataError: The images cannot be listed, or the folder cannot be written.
        ServerError: The cluster cannot be reached, or failed.
    """
    if shard_size is not None and (shard_size < 1 or shard_size % _BATCH):
        raise InputError(f"shard_size is {shard_size}; allowed are positive multiples of {_BATCH}, as {SHARD_SIZE}")
    loaded, folder = load_model(model), Location(out)
    if folder.is_file():
        raise InputError(f"{folder} is a file; give a folder for the shards")
    if parts:
        check_sees_all(loaded)
    listed = list_images(source, classes=classes, exclude=exclude)
    wanted = _wanted(listed, loaded, shard_size, parts)
    plan, found = _plan(wanted, listed, folder, shard_size, force=force)
    missing = list(range(plan.n_shards)) if found is None else plan.missing(folder)
    if missing:
        with _cluster(address):  # before anything is deleted or written
            if found is None:
                _begin(plan, listed, loaded, folder)
            job = _Job(plan, folder, listed.rows(folder), listed.images, listed.name)
            _encode_missing(job, missing, workers, progress=progress)
        lost = plan.missing(folder)
        if lost:
            raise ServerError(f"{len(lost)} of {plan.n_shards} shards are missing in {folder}; run the same again")
    with ThreadPoolExecutor(_READERS if folder.shares_connections else 1) as pool:
        failed = pool.map(lambda number: read_failures(folder, number, plan), range(plan.n_shards))
        failures = [failure for of_shard in failed for failure in of_shard]
    of_then = plan.n_images if plan.images != wanted.images else None
    written, failures = plan.n_images - len(failures), [*listed.passed_over.failures, *failures]
    return EncodeReport(written, failures, plan.n_shards, len(missing), of_then, listed.passed_over.unread)


@dataclass(frozen=True)
class _Job:
    """What a worker needs to know."""

    plan: Plan
    folder: Location
    rows: ImageRows
    images: Location | None
    name: str
    version: str = ordhash.__version__

    def images_of(self, number: int) -> tuple[ImageSet, list[ImageError | str]]:
        """The images of a shard, and what messages call each, or why it cannot be read."""
        start = number * self.plan.shard_size
        table = self.rows.take(start, min(start + self.plan.shard_size, self.plan.n_images))
        if self.images is None:
            images = manifest_set(table, self.name, self._beside, first_row=start)
            return images, [images.name(row) for row in range(len(images))]
        paths = table["path"].to_pylist()
        metadata = table.drop_columns(["path", "key"])
        sources: list[ImageSource]
        said: list[ImageError | str] = list(paths)
        if self.images.is_local:
            sources = list(map(Path, paths))
        else:
            location = self.images
            with ThreadPoolExecutor(_READERS if location.shares_connections else 1) as pool:
                read = list(pool.map(lambda path: _content(location, path), paths))
            # What cannot be read stays, as an empty file, so that batches are as they are on one machine.
            sources = [b"" if isinstance(one, ImageError) else one for one in read]
            said = [one if isinstance(one, ImageError) else path for one, path in zip(read, paths, strict=True)]
        keys = table["key"].to_numpy()
        if keys.dtype == object:
            keys = keys.astype(np.str_)
        return ImageSet(sources, keys, metadata=metadata if metadata.num_columns else None), said

    def _beside(self, path: str) -> ImageSource:
        """The image of a row that gives a path, relative to its table, instead of the contents."""
        table = self.rows.files[0]  # all are in one folder
        if table.is_local:
            return find_file(Path(table.path).parent, path)
        read = _content(table, table.beside(path))
        return b"" if isinstance(read, ImageError) else read


class _ShardEncoder:
    """A worker: it has the model in memory and encodes one shard after the other."""

    def __init__(self, job: _Job) -> None:
        if ordhash.__version__ != job.version:
            raise ServerError(
                f"a machine of the cluster has ordhash {ordhash.__version__}, and this one {job.version}; install the "
                "same version"
            )
        self._job = job
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            path.write_bytes(job.folder.below(MODEL).read())
            self._encoder = Encoder(path, batch_size=_BATCH, threads=1)

    def __call__(self, shards: dict[str, npt.NDArray[np.int64]]) -> dict[str, Any]:
        done = []
        for number in shards["number"].tolist():
            # A shard that was written just before its worker was killed comes once more.
            if not self._job.folder.below(shard_name(number)).is_file():
                self._encode(number)
            done.append(number)
        return {"number": np.array(done)}

    def _encode(self, number: int) -> None:
        plan = self._job.plan
        images, names = self._job.images_of(number)
        table, failures = self._encoder.tabulate(images, parts=plan.parts, model_path=plan.model_path)
        known = {images.name(row): name for row, name in enumerate(names)}
        said = []
        for failure in failures:
            name = known[failure.source]
            said.append(name if isinstance(name, ImageError) else ImageError(name, failure.reason))
        write_shard(self._job.folder, number, table, said, worker=f"{socket.gethostname()} {os.getpid()}")


def _wanted(listed: Listed, model: Model, shard_size: int | None, parts: bool) -> Plan:
    """The plan of this call."""
    return Plan(
        source=listed.name,
        images=listed.digest(),
        n_images=listed.n_images,
        shard_size=shard_size or SHARD_SIZE,
        code_bits=model.info.spec.code_bits,
        arity=model.info.spec.arity,
        model_id=model.id,
        model_path=str(model.path.absolute()),
        parts=parts,
    )


def _plan(
    wanted: Plan, listed: Listed, folder: Location, shard_size: int | None, *, force: bool
) -> tuple[Plan, Plan | None]:
    """The plan to follow, and that of the folder if the encoding is already begun."""
    if listed.name == name_of(folder):
        raise InputError(f"{folder} holds the images; give another folder for the codes")
    found = Plan.of(folder)
    if found is None:
        others = [name for name in folder.names() or () if name not in (LIST, MODEL) and not is_leftover(name)]
        if others:
            raise InputError(f"{folder} holds other files, as {others[0]}; give a new folder")
        return wanted, None
    if force:
        return wanted, None
    if found.model_id != wanted.model_id or found.source != wanted.source:
        raise InputError(
            f"{folder} holds codes of {found.source} by model {found.model_id}, and {wanted.source} by "
            f"{wanted.model_id} was asked for; give another folder, or --force to start again"
        )
    if shard_size not in (None, found.shard_size):
        raise InputError(
            f"{folder} was begun with shards of {found.shard_size} images, not {shard_size}; leave --shard-size out, "
            "or give --force to start again"
        )
    if found.parts != wanted.parts:
        begun = "with" if found.parts else "without"
        raise InputError(f"{folder} was begun {begun} parts; ask for the same, or give --force to start again")
    if found.images != wanted.images and not (found.missing(folder) and listed.table is not None):
        raise InputError(
            f"{folder} was begun with the {found.n_images} images that {found.source} had then; it now has "
            f"{wanted.n_images}, and not the same ones; give another folder, or --force to start again"
        )
    return found, found


def _begin(plan: Plan, listed: Listed, model: Model, folder: Location) -> None:
    """Prepare a folder: delete an earlier encoding and write the plan."""
    try:
        old = Plan.of(folder)
        shards = set() if old is None else set(map(shard_name, range(old.n_shards)))
        for name in folder.names() or ():
            if is_leftover(name) or name in shards:
                folder.below(name).remove()
        folder.make()
        Plan.remove(folder)  # before the list changes: what is interrupted here has not begun
        listed.write(folder, plan.shard_size)
        folder.below(MODEL).write(model.graph)
        plan.write(folder)  # last: a folder that has a plan has all of it
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({first_line(error)}); check address and permissions") from error


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Connect to a cluster; an existing connection of this process is used and kept."""
    if ray.is_initialized():
        with _failures_as_one_sentence():
            yield
        return
    try:
        _look_for(address)
        with only_here() if address is None else nullcontext():
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                include_dashboard=False if address is None else None,
            )
    except (OSError, ValueError, RuntimeError) as error:
        if address is None:
            raise ServerError(f"Ray could not be started on this machine ({first_line(error)})") from error
        raise ServerError(
            f"there is no Ray cluster at {address} ({first_line(error)}); start one with `ray start --head`, set "
            "RAY_AUTH_MODE=token if it wants a token, or leave --address out"
        ) from error
    except ray.exceptions.RayError as error:  # one that wants another token, for example
        raise ServerError(
            f"the Ray cluster at {address or 'this machine'} refused the connection ({_reason(error)})"
        ) from error
    try:
        with _failures_as_one_sentence():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _failures_as_one_sentence() -> Iterator[None]:
    try:
        yield
    except ray.exceptions.RayError as error:
        raise ServerError(
            f"the Ray cluster failed ({_reason(error)}); what was written stays: correct that, then run the same again"
        ) from error


def _look_for(address: str | None) -> None:
    """Check that something listens at an address; Ray itself would try for minutes.

    Raises:
        OSError: Nothing listens there.
    """
    place = urlsplit(f"//{(address or '').removeprefix('ray://')}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=_PATIENCE).close()


def _encode_missing(job: _Job, missing: list[int], workers: int | None, *, progress: bool) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
    most = min(workers or cores, len(missing))
    shards = ray.data.from_items(
        [{"number": number} for number in missing], override_num_blocks=min(len(missing), _MOST_BLOCKS)
    )
    done = shards.map_batches(
        _ShardEncoder,
        batch_size=1,
        num_cpus=1,
        # A pool that may shrink: a worker of a machine that is gone starts again where another one has ended.
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
        fn_constructor_kwargs={"job": job},
    )
    size, n = job.plan.shard_size, job.plan.n_images
    there = n - sum(min(size, n - number * size) for number in missing)
    with progress_bar("Encoding", n, show=progress, done=there) as advance:
        for row in done.iter_rows():
            advance(min(size, n - row["number"] * size))


def _content(location: Location, path: str) -> bytes | ImageError:
    """Content of an image, or why it cannot be read; if the network fails, the shard fails."""
    try:
        return location.read_inside(path)
    except OSError as error:
        if isinstance(error, FileNotFoundError | PermissionError) or re.search(_NOT_THERE, str(error)):
            return ImageError(path, f"cannot be read ({error.strerror or first_line(error)}); check the file")
        raise


def _reason(error: BaseException) -> str:
    """The error of a worker: the last line of its traceback, which Ray gives before its own."""
    own = str(error).partition(_OF_RAY)[0]
    lines = [line for line in own.splitlines() if line.strip()] or [type(error).__name__]
    return re.sub(r"^ordhash\.errors\.\w+: ", "", lines[-1])
