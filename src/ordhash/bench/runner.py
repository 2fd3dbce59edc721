"""Run a recipe: every method, length and seed, in several processes, resuming after an interruption."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import platform
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import ordhash
from ordhash.bench.comparing import compare
from ordhash.bench.condensed import known_entries
from ordhash.bench.jobs import Job, adopt, alike, files_digest, inputs_digest, lengths_of, runs_of, trials_of
from ordhash.bench.learning import (
    Learned,
    check_trials,
    learn_everything,
    learn_network,
    learn_shallow,
    try_network,
    try_shallow,
)
from ordhash.bench.measuring import keep, measure, measure_compressed, measure_raw_features
from ordhash.bench.prepared import Prepared, prepare_protocol
from ordhash.bench.recipe import RAW_FEATURES, Method, Recipe
from ordhash.bench.results import FinishedRun, Outcome, ProtocolFacts, Results, Row
from ordhash.bench.workers import Workers
from ordhash.data.protocols import Protocol, load_protocol
from ordhash.errors import DivergedError, InputError, OrdhashError
from ordhash.learn import DEFAULT_CACHE, DOHConfig, correct_labels, labelled, labels_of, looks_at_labels
from ordhash.learn.objectives import Task, find_objective
from ordhash.support import available_cores, grouped, write_json

__all__ = ["run_recipe"]


_NOT_TUNED = "Default settings."
_TUNED = "Settings of every objective: the best of a grid at the shortest and at the longest length."

Training = tuple[Job, ...]
"""A job for each protocol that shares one training."""


@dataclass(frozen=True)
class _Common:
    """Data that all trainings share: protocols with the same training images; each worker process has a copy."""

    protocols: tuple[Protocol, ...]
    prepared: tuple[Prepared, ...]
    cache: Path

    @property
    def features(self) -> tuple[Prepared, ...]:
        """Features of the frozen backbone."""
        if not self.prepared:
            raise InputError("trials, shallow methods and raw features need a frozen backbone; leave mode out")
        return self.prepared


_common: _Common | None = None


def run_recipe(  # one parameter for every option of `ordhash bench`, all by name and with a default
    recipe: Recipe,
    out: Path,
    *,
    root: Path = Path("data"),
    cache: Path = DEFAULT_CACHE,
    processes: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    most_images: int | None = None,
    known: Results | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> Results:
    """Do the missing runs; writes ``out/results.json`` after each run, but not if ``seed`` is given.

    Args:
        recipe: The benchmark.
        out: Folder of the results, of codes and scores of every run, and of trials.
        root: Folder of data sets.
        cache: Folder of feature maps and exported backbones.
        processes: Number of parallel runs, each in one thread; None uses all cores. Fine-tuning runs one at a time.
        minutes: Start no run after this time, but finish those that were started; 0 only collects finished runs.
        seed: Do only the runs of this seed, so that several calls can share a folder; None does all seeds.
        most_images: Limit every part of a protocol to this number of images, for a rehearsal; None uses all.
        known: Results of the recipe from another machine, condensed or not. Their runs and trials are not repeated if
            version, images and settings are the same; their codes are not available.
        say: Called with one line per run.
        progress: Whether to show bars while features are computed.

    Returns:
        The contents of ``results.json``; ``complete`` tells whether every run is done, ``failures`` what failed.

    Raises:
        InputError: Methods of the recipe have different backbones, or no run has the seed.
        DataError: A data set is missing, or one of its images cannot be used.
        OrdhashError: A process was killed.
    """
    global _common
    seeds = max(recipe.seeds, *(method.seeds or 0 for method in recipe.methods))
    if seed is not None and not 0 <= seed < seeds:
        raise InputError(f"recipe {recipe.name} has no seed {seed}; it has 0 to {seeds - 1}")
    ends = None if minutes is None else time.perf_counter() + 60 * minutes
    config = _shared_backbone(recipe)
    of_methods = [lengths_of(method, recipe) for method in recipe.methods]
    lengths = list(dict.fromkeys(itertools.chain(recipe.code_bits, *of_methods)))
    results = _nothing_yet(recipe, lengths)
    finetune = _finetunes(recipe)
    workers = 1 if finetune else processes or available_cores()
    complete = True

    def note(entry: FinishedRun) -> None:
        results.runs.append(entry)
        if seed is None:
            write_json(out / "results.json", results.to_json())

    for protocols in _sharing_trainings(load_protocol(name, root) for name in recipe.protocols):
        if most_images is not None:
            protocols = tuple(protocol.thinned(most_images) for protocol in protocols)
        first = protocols[0]
        prepared = (
            () if finetune else tuple(prepare_protocol(one, config, cache, progress=progress) for one in protocols)
        )
        _common = _Common(protocols, prepared, cache)
        facts = _facts(_common, config)
        results.protocols |= facts
        folders = {name: f"{name}-{inputs_digest(of_one.hash, config)}" for name, of_one in facts.items()}
        pool = Workers(workers, _start, (protocols, config, cache))
        elsewhere = {
            name: []
            if known is None
            else known_entries(known, name, one.hash, files=one.files, scenes=first.backgrounds is not None)
            for name, one in facts.items()
        }
        methods = list(_suited(recipe.methods, first, prepared))
        trials: list[Job] = []
        for method in methods:
            if recipe.tuning.search:
                trials += trials_of(method, recipe, out / "trials" / folders[first.name])
        if trials and most_images is None:
            check_trials(prepared[0], trials[0].training)
        adopted = adopt(trials, elsewhere[first.name])
        done = _work(alike(trials), _try, pool, ends, say, results.failures)
        results.trials += done
        of_protocols: list[list[Job]] = []
        for protocol in protocols:
            jobs: list[Job] = []
            for method in methods:
                mine = [entry for entry in done if entry.row == method.name]
                if len(mine) == sum(job.row == method.name for job in trials):
                    jobs += runs_of(method, mine, recipe, out / "runs" / folders[protocol.name])
            if seed is not None:
                jobs = [job for job in jobs if job.training.seed == seed]
            # The first seed of every method at the first length comes first: most useful if time runs out.
            jobs.sort(key=lambda job: (job.training.seed, lengths.index(job.config.code_bits)))
            adopted += adopt(jobs, elsewhere[protocol.name])
            of_protocols.append(jobs)
        if known is not None:
            say(f"{', '.join(facts)}: {adopted} trials and runs of another machine taken over")
        trainings = list(zip(*of_protocols, strict=True))
        finished = _work(trainings, _do, pool, ends, say, results.failures, note)
        complete &= len(done) == len(trials) and len(finished) == sum(map(len, trainings))
    results.complete = complete
    results.comparisons = compare(results.runs, results.rows, known)
    if seed is None:
        write_json(out / "results.json", results.to_json())
    return results


def _nothing_yet(recipe: Recipe, lengths: list[int]) -> Results:
    """Empty results."""
    return Results(
        recipe=recipe.name,
        title=recipe.title,
        version=ordhash.__version__,
        machine={"processor": platform.processor() or platform.machine(), "cores": available_cores()},
        torch=torch.__version__,
        tuning=_TUNED if recipe.tuning.search else _NOT_TUNED,
        code_bits=sorted(lengths),
        seeds=recipe.seeds,
        rows=[Row(method.name, method.method) for method in recipe.methods],
        published=list(recipe.published),
    )


def _shared_backbone(recipe: Recipe) -> DOHConfig:
    names = ("backbone", "weights", "image_size", "fit", "stages", "mirror", "normalisation", "tensor")
    backbones = {tuple(getattr(method.config, name) for name in names) for method in recipe.methods}
    if len(backbones) > 1:
        raise InputError(
            f"recipe {recipe.name} has methods with different backbones; compare methods on one, and write "
            "a recipe for each backbone"
        )
    return recipe.methods[0].config


def _finetunes(recipe: Recipe) -> bool:
    """Whether the recipe fine-tunes backbones, which all its methods then have to do."""
    modes = {method.training.mode == "finetune" for method in recipe.methods}
    if modes == {True} and not recipe.tuning.search and all(method.learns for method in recipe.methods):
        return True
    if True in modes:
        raise InputError(
            f"recipe {recipe.name} fine-tunes; trials, shallow methods, raw features and other modes need a frozen "
            "backbone: leave them out, or write a recipe for them"
        )
    return False


def _sharing_trainings(protocols: Iterable[Protocol]) -> list[tuple[Protocol, ...]]:
    """Group protocols with the same images and labels to learn from: what is learned for one serves the others."""
    loaded = list(protocols)
    groups = grouped([protocol.training_hash() for protocol in loaded])
    return [tuple(loaded[row] for row in group) for group in groups]


def _suited(methods: Iterable[Method], protocol: Protocol, prepared: tuple[Prepared, ...]) -> Iterator[Method]:
    """Methods with the objective that each selects for the images and features, and whose settings are tuned.

    Without backgrounds there are no scenes, whatever the settings say.
    The features' accuracy is estimated once, on all images, including those that a training holds out.
    """
    images, accuracy = labelled(protocol.train).without_empty_classes(), None
    for method in methods:
        if protocol.backgrounds is None:
            method = dataclasses.replace(method, training=dataclasses.replace(method.training, scenes=0))
        if not method.learns or method.training.from_neighbourhoods:
            yield method
            continue
        scenes = method.training.scenes > 0
        task = Task(method.config.spec, len(images.class_names), images.multilabel, n_images=len(images), scenes=scenes)
        asked = find_objective(method.config.objective)
        objective = asked.suited(task)
        if objective is not asked and prepared and looks_at_labels(objective, task):
            if accuracy is None:
                classes = labels_of(images).argmax(axis=1)
                accuracy = correct_labels(prepared[0].train.averages(), classes).accuracy
            objective = asked.suited(dataclasses.replace(task, accuracy=accuracy))
        yield dataclasses.replace(method, config=dataclasses.replace(method.config, objective=objective))


def _start(protocols: tuple[Protocol, ...], config: DOHConfig, cache: Path) -> None:
    """Initialise a worker."""
    global _common
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interrupts and ends the workers
    _common = _Common(protocols, tuple(prepare_protocol(one, config, cache) for one in protocols), cache)


def _work(
    trainings: list[Training],
    work: Callable[[Training], list[FinishedRun]],
    workers: Workers,
    ends: float | None,
    say: Callable[[str], None],
    failures: list[str],
    note: Callable[[FinishedRun], None] = lambda _: None,
) -> list[FinishedRun]:
    """Results of trainings, including those of earlier calls; fewer if the time is up, or if some fail."""
    done: list[FinishedRun] = []
    todo = []
    for training in trainings:
        entries = [entry for job in training if (entry := job.entry) is not None]
        done += entries
        for entry in entries:
            note(entry)
        if len(entries) < len(training):
            todo.append(training)
    if not todo:
        return done
    started = time.perf_counter()
    for count, found in enumerate(workers.results(functools.partial(_attempt, work), todo, ends), start=1):
        left = (time.perf_counter() - started) / count * (len(todo) - count)
        at = f"({len(trainings) - len(todo) + count} of {len(trainings)}, {left / 60:.0f} minutes left)"
        if isinstance(found, str):
            failures.append(found)
            say(f"failed: {found} {at}")
            continue
        for entry in found:
            note(entry)
            say(f"{entry.sentence} {at}")
        done += found
    return done


def _attempt(work: Callable[[Training], list[FinishedRun]], training: Training) -> list[FinishedRun] | str:
    """What a training gives, or why it fails: the others go on."""
    job, threads = training[0], torch.get_num_threads()
    if job.training.mode != "finetune":  # one thread, however many processes: sums and times are the same
        torch.set_num_threads(1)
    try:
        return work(training)
    except OrdhashError as error:
        what = f"seed {job.training.seed}" if job.trial is None else f"trial {job.trial}"
        return f"{job.row}, {job.config.code_bits} bits, {what}: {error}"
    finally:
        torch.set_num_threads(threads)


def _try(training: Training) -> list[FinishedRun]:
    """A trial of one row or several: train, and record the validation mAP."""
    started = time.perf_counter()
    job, features = training[0], _shared().features[0]
    known = next((entry for one in training if (entry := one.entry) is not None), None)
    if known is not None:
        outcome = known.outcome
    elif job.shallow is not None:
        outcome = try_shallow(features, job.shallow, job.config.code_bits, job.training)
    else:
        try:
            outcome = try_network(features, job.config, job.training)
        except DivergedError:  # these settings are not chosen
            outcome = Outcome()
    adopted = known is not None and known.adopted
    protocol = _shared().protocols[0]
    return [_written(one, protocol, outcome, started, adopted=adopted) for one in training if one.entry is None]


def _do(training: Training) -> list[FinishedRun]:
    """Runs: train once, store codes and scores for every protocol, measure them; only what is missing."""
    started = time.perf_counter()
    missing = [row for row, job in enumerate(training) if job.entry is None]
    unlearned = [row for row in missing if not training[row].kept.exists()]  # may exist if measuring was interrupted
    if training[0].learns and unlearned:
        for row, learned in zip(unlearned, _learned(training[unlearned[0]], unlearned), strict=True):
            keep(training[row].kept, learned, seconds=time.perf_counter() - started)
    entries = []
    for row in missing:
        job, protocol, started = training[row], _shared().protocols[row], time.perf_counter()
        if job.learns:
            outcome = measure(job.kept, protocol)
        elif job.method == RAW_FEATURES:
            outcome = measure_raw_features(_shared().features[row])
        else:
            outcome = measure_compressed(_shared().features[row], job.method, job.config)
        entries.append(_written(job, protocol, outcome, started))
        shutil.rmtree(job.path, ignore_errors=True)  # the checkpoint, not needed any longer
    return entries


def _learned(job: Job, rows: list[int]) -> list[Learned]:
    """What a job learns, applied to the protocols at ``rows``."""
    protocols = [_shared().protocols[row] for row in rows]
    if job.training.mode == "finetune":
        return learn_everything(protocols, job.config, job.training, job.path, _shared().cache)
    features = [_shared().features[row] for row in rows]
    if job.shallow is not None:
        return learn_shallow(features, job.shallow, job.config.code_bits, job.training, parts=job.parts)
    return learn_network(features, job.config, job.training, parts=job.parts)


def _shared() -> _Common:
    if _common is None:
        raise RuntimeError("shared data must be loaded before trainings start")
    return _common


def _written(job: Job, protocol: Protocol, outcome: Outcome, started: float, *, adopted: bool = False) -> FinishedRun:
    seconds = round(outcome.seconds + time.perf_counter() - started, 1)
    entry = FinishedRun(
        **job.to_json(),
        protocol=protocol.name,
        version=ordhash.__version__,
        outcome=dataclasses.replace(outcome, seconds=seconds),
        adopted=adopted,
    )
    job.finish(entry)
    return entry


def _facts(common: _Common, config: DOHConfig) -> dict[str, ProtocolFacts]:
    mode = "frozen" if common.prepared else "fine-tuned"
    hashes = [one.hash for one in common.prepared] or [protocol.hash() for protocol in common.protocols]
    return {
        protocol.name: ProtocolFacts(
            hash=found,
            citation=protocol.citation,
            note=protocol.note,
            cutoff=protocol.cutoff,
            graded=protocol.coarse is not None,
            train=len(protocol.train),
            query=len(protocol.query),
            database=len(protocol.database),
            backbone=f"{config.backbone} at {config.image_size} px, {mode}",
            single=protocol.single,
            files=files_digest(config),
        )
        for protocol, found in zip(common.protocols, hashes, strict=True)
    }
