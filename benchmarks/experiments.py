"""What was tried on the way to the default objective: ``make bench-quality`` runs this first.

CIFAR-10's 5,000 training images alone: 3,500 learn, 1,500 are searched among each other. No query and no database image
of the protocol is touched. The global stream alone on pooled features, so that a training takes seconds; every variant
gets the same images, epochs, batches and seeds. First the features and the network under the default objective, then
objectives on the features and the network that won. docs/experiments.md has the tables and what they taught.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from common import CIFAR_CONFIG, RESULTS, machine
from torch import Tensor
from torch.nn import functional

from ordhash.codes import CodeSpec, OrdinalCodes, asymmetric_distances
from ordhash.data import ImageSet, load_protocol
from ordhash.evaluation import average_precision
from ordhash.learn import HashingHead, HeadOutput, exported_backbone
from ordhash.learn.objectives import DOH, DOHMixup, Objective, Task, class_loss, label_similarity, relaxed_code
from ordhash.learn.objectives.doh import pair_difference_loss
from ordhash.learn.validation import held_out_mask, labels_of, leave_one_out_map
from ordhash.model import FeatureStore
from ordhash.support import write_json

LENGTHS, SEEDS = (12, 48), 3
BATCH, RATE, DECAY = 64, 1e-3, 1e-2

Loss = Callable[[HeadOutput, Tensor, Task], Tensor]


@functools.cache
def codewords(task: Task, trials: int = 300) -> Tensor:
    """One K-ary codeword a class, balanced in every segment, the best of some draws in minimal distance."""
    rng = np.random.default_rng(task.seed)
    even = np.arange(task.n_classes) % task.spec.arity
    books = [np.stack([rng.permutation(even) for _ in range(task.spec.n_segments)], axis=1) for _ in range(trials)]
    others = ~np.eye(task.n_classes, dtype=bool)

    def smallest_distance(book: npt.NDArray[np.int64]) -> int:
        return int((book[:, None] != book[None]).sum(axis=2)[others].min())

    return torch.from_numpy(max(books, key=smallest_distance))


def straight_through(scores: Tensor) -> Tensor:
    """Winners in value, relaxed code in gradient (Bengio et al., arXiv:1308.3432)."""
    relaxed = torch.softmax(scores, dim=2)
    winners = functional.one_hot(scores.argmax(dim=2), scores.shape[2]).to(relaxed.dtype)
    return (winners + (relaxed - relaxed.detach())).flatten(1)


def straight_through_codewords(output: HeadOutput, labels: Tensor, task: Task) -> Tensor:
    """Difference loss and class codewords on straight-through winners, as hash centres do it for bits (CSQ)."""
    winners, segments = straight_through(output.scores), task.spec.n_segments
    words = functional.one_hot(codewords(task), task.spec.arity).float().flatten(1)
    logits = 16.0 * winners @ words.T / segments
    pairs = pair_difference_loss(winners, label_similarity(labels), segments)
    return 3.0 * pairs + functional.cross_entropy(logits, labels) + class_loss(output, labels, multilabel=False)


def segment_cross_entropy(output: HeadOutput, labels: Tensor, task: Task, *, offset: float = 0.0) -> Tensor:
    """Every segment classifies the symbol of the class's codeword; ``offset`` shifts each segment's decision.

    The offsets are fixed Gumbel noise, so that doubtful images change sides in some segments and not in others.
    """
    rng = np.random.default_rng(task.seed)
    noise = offset * rng.gumbel(size=(task.spec.n_segments, task.spec.arity)).astype(np.float32)
    scores = output.scores - torch.from_numpy(noise - noise.mean(axis=1, keepdims=True))
    targets = codewords(task)[labels.argmax(dim=1)]
    segments = functional.cross_entropy(scores.flatten(0, 1), targets.flatten())
    return segments + class_loss(output, labels, multilabel=False)


def tie_aware_ap(output: HeadOutput, labels: Tensor, task: Task) -> Tensor:
    """1 - tie-aware AP of the batch over soft histograms of distances (He et al., arXiv:1705.08562), plus pairs."""
    codes, similarity, segments = relaxed_code(output.scores), label_similarity(labels), task.spec.n_segments
    distances = (segments - codes @ codes.T).clamp(0, segments)
    others = 1 - torch.eye(len(codes))
    weights = (1 - (distances[..., None] - torch.arange(segments + 1.0)).abs()).clamp_min(0) * others[..., None]
    counts, relevant = weights.sum(dim=1), (weights * similarity[..., None]).sum(dim=1)
    upto, relevant_upto = counts.cumsum(dim=1), relevant.cumsum(dim=1)
    precision = (2 * relevant_upto - relevant + 1) / (2 * upto - counts + 1)
    quality = (relevant * precision).sum(dim=1) / relevant.sum(dim=1).clamp_min(1e-6)
    pairs = pair_difference_loss(codes, similarity, segments)
    return 1 - quality.mean() + pairs + class_loss(output, labels, multilabel=False)


def against_winners(output: HeadOutput, labels: Tensor, task: Task) -> Tensor:
    """Difference loss between the relaxed code of one image and the winners of the other, which the index holds."""
    relaxed, winners = relaxed_code(output.scores), straight_through(output.scores).detach()
    unequal = 1 - torch.eye(len(relaxed))
    differences = label_similarity(labels) - relaxed @ winners.T / task.spec.n_segments
    pairs = (unequal * differences**2).sum() / unequal.sum()
    return pairs + class_loss(output, labels, multilabel=False)


def of(objective: Objective) -> Loss:
    """The loss of an objective of the package."""
    return lambda output, labels, task: torch.stack(list(objective.build(task)(output, labels).values())).sum()


ONE_WAY, BOTH_WAYS, JOINED = "last map, one way", "last map, both ways", "three maps, both ways"
ROOTS = "signed roots of three maps, both ways, standardised"
PLAIN, MIXED = DOH(), DOHMixup()  # the first leaves batches as they are
DEFAULT_LOSS = of(MIXED)


@dataclass(frozen=True)
class Variant:
    """Something that was tried, and where it differs from what is shipped."""

    name: str
    loss: Loss = DEFAULT_LOSS
    blend: Objective = MIXED
    features: str = JOINED
    hidden: int = CIFAR_CONFIG.hidden
    hidden_dropout: float = CIFAR_CONFIG.hidden_dropout
    epochs: int = 12
    share: float = 1.0
    soften: float = 0.0


VARIANTS = (
    Variant("last map, one way, 512 wide without inner dropout", features=ONE_WAY, hidden=512, hidden_dropout=0.0),
    Variant("last map, one way", features=ONE_WAY),
    Variant("last map, both ways averaged", features=BOTH_WAYS),
    Variant("three maps, both ways averaged: shipped as stages and mirror"),
    Variant("20 epochs", epochs=20),
    Variant("40 epochs", epochs=40),
    Variant("nine tenths of the images to learn from", share=0.9),
    Variant("standardised signed roots of the features", features=ROOTS),
    Variant("labels softened by kernel ridge regression", soften=0.5),
    Variant("doh: the paper's objective, whole images", of(PLAIN), blend=PLAIN),
    Variant("doh, pair weight 3", of(DOH(pair_weight=3.0)), blend=PLAIN),
    Variant("doh-mixup, pair weight 3", of(DOHMixup(pair_weight=3.0))),
    Variant("doh-mixup, similar pairs weigh 4", of(DOHMixup(similar_weight=4.0))),
    Variant("against winners", against_winners, blend=PLAIN),
    Variant("against winners, mixed images", against_winners),
    Variant("straight-through winners and class codewords", straight_through_codewords, blend=PLAIN),
    Variant("cross entropy of every segment on codewords", segment_cross_entropy, blend=PLAIN),
    Variant("the same with Gumbel offsets", lambda o, y, t: segment_cross_entropy(o, y, t, offset=1.0), blend=PLAIN),
    Variant("tie-aware AP of the batch, and pairs", tie_aware_ap, blend=PLAIN),
)


@dataclass(frozen=True)
class Pooled:
    """Pooled features of the training images, by name; one way is a picture and its mirror image."""

    images: ImageSet
    views: dict[str, list[npt.NDArray[np.float32]]]


def pooled_features(root: Path, cache: Path) -> Pooled:
    images = load_protocol("cifar10", root).train
    pooled = {}
    for way in (False, True):
        backbone, frozen = exported_backbone(dataclasses.replace(CIFAR_CONFIG, mirror=way), cache)
        for flipped in (False,) if way else (False, True):
            view = dataclasses.replace(frozen, preprocessing=dataclasses.replace(frozen.preprocessing, mirror=flipped))
            maps = FeatureStore(cache / "features").maps(images, view, progress=True).at_least_one()
            pooled[way, flipped] = maps.pooled()
    last = backbone.last_channels
    return Pooled(
        images,
        {
            ONE_WAY: [pooled[False, False][:, :last], pooled[False, True][:, :last]],
            BOTH_WAYS: [pooled[True, False][:, :last]],
            JOINED: [pooled[True, False]],
            ROOTS: [standardised(np.sign(pooled[True, False]) * np.sqrt(np.abs(pooled[True, False])))],
        },
    )


def standardised(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6), dtype=np.float32)


def ridge_posteriors(features: npt.NDArray[np.float32], labels: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """What kernel ridge regression on the other images says of each image, float32 (n, n_classes), rows sum to 1.

    The leave-one-out predictions are y - (A y) / diag(A) with A the inverse of the regularised kernel matrix.
    """
    x = standardised(features)
    squares = (x**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0).astype(np.float64)
    inverse = np.linalg.inv(np.exp(-2 * distances / np.median(distances)) + 0.1 * np.eye(len(x)))
    predictions = labels - inverse @ labels.astype(np.float64) / np.diag(inverse)[:, None]
    return torch.softmax(4 * torch.from_numpy(predictions), dim=1).float().numpy()


def run(data: Pooled, variant: Variant, code_bits: int, seed: int) -> dict[str, Any]:
    """Train a variant and search the held-out images among each other."""
    torch.set_num_threads(1)  # two trainings at once beat one on two threads: these layers are small
    torch.manual_seed(seed)
    held = held_out_mask(data.images, 0.3, seed)
    rows, held_rows = np.flatnonzero(~held), np.flatnonzero(held)
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[: round(variant.share * len(rows))])
    labels = labels_of(data.images)
    task = Task(CodeSpec(code_bits, 4), labels.shape[1], seed=seed)
    views = data.views[variant.features]
    head = HashingHead(
        views[0].shape[1],
        task.n_classes,
        task.spec,
        use_local=False,
        hidden=variant.hidden,
        hidden_dropout=variant.hidden_dropout,
    )
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    inputs, targets = torch.from_numpy(np.stack(views)), torch.from_numpy(labels).float()
    if variant.soften:
        softer = torch.from_numpy(ridge_posteriors(views[0][rows], labels[rows]))
        targets[rows] = torch.lerp(targets[rows], softer, variant.soften)
    steps, step = variant.epochs * (len(rows) // BATCH), 0
    for _ in range(variant.epochs):
        order = torch.from_numpy(rows)[torch.randperm(len(rows))]
        for batch in order[: len(rows) // BATCH * BATCH].reshape(-1, BATCH):
            done = step / steps
            rate = done / 0.1 if done < 0.1 else 0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))
            for group in optimizer.param_groups:
                group["lr"] = RATE * rate
            features = inputs[torch.randint(0, len(views), (BATCH,)), batch][:, :, None, None]
            features, wanted = variant.blend.blend(features, targets[batch])
            optimizer.zero_grad()
            torch.autograd.backward(variant.loss(head(features), wanted, task))
            optimizer.step()
            step += 1
    head.eval()
    with torch.inference_mode():
        output = head(torch.from_numpy(views[0][held_rows])[:, :, None, None])
    scores, mine = output.scores.numpy(), labels[held_rows]
    codes = OrdinalCodes.from_scores(scores)
    return {
        "variant": variant.name,
        "code_bits": code_bits,
        "seed": seed,
        "map": leave_one_out_map(codes, mine),
        "map_asymmetric": among_others(asymmetric_distances(scores, codes), mine),
        "map_posterior": among_others(-posterior_agreement(output.class_logits[0]), mine),
        "distinct_codes": len(np.unique(codes.symbols, axis=0)),
    }


def posterior_agreement(logits: Tensor) -> npt.NDArray[np.float32]:
    """Probability that two images are of one class, if the classifier is right: what a perfect code would rank by."""
    probabilities = torch.softmax(logits, dim=1).numpy()
    return np.asarray(probabilities @ probabilities.T, dtype=np.float32)


def among_others(distances: npt.NDArray[np.float32], labels: npt.NDArray[np.bool_]) -> float:
    """MAP of every image searched among the others."""
    others = ~np.eye(len(distances), dtype=bool)
    relevance = labels.astype(np.float32) @ labels.T.astype(np.float32) > 0
    shape = (len(distances), -1)
    return float(average_precision(distances[others].reshape(shape), relevance[others].reshape(shape)).mean())


_data: Pooled | None = None


def _run_shared(position: int, code_bits: int, seed: int) -> dict[str, Any]:
    if _data is None:
        raise RuntimeError("the features are loaded before the workers start")
    return run(_data, VARIANTS[position], code_bits, seed)


def main() -> None:
    global _data
    torch.set_num_threads(1)  # threads do not survive the fork below
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    path = RESULTS / "experiments.json"
    if path.exists() and {entry["variant"] for entry in json.loads(path.read_text())["runs"]} == {
        v.name for v in VARIANTS
    }:
        print(f"{path} has every variant; delete it to measure again")
        return
    _data = pooled_features(options.root, options.cache)
    jobs = [(position, bits, seed) for position in range(len(VARIANTS)) for seed in range(SEEDS) for bits in LENGTHS]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        runs = pool.starmap(_run_shared, jobs, chunksize=1)
    values = {
        "command": "make bench-quality",
        "data": "cifar10 training images: 3,500 learn, 1,500 are searched among each other",
        "network": f"global stream on pooled features of {CIFAR_CONFIG.backbone}, {CIFAR_CONFIG.image_size} px, K = 4",
        "machine": machine(),
        "runs": runs,
    }
    write_json(path, values)


if __name__ == "__main__":
    main()
