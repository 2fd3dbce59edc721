"""Fill the tables of README.md and docs/ and draw figures from recorded results: ``make results``.

Everything between ``<!-- results:NAME -->`` and ``<!-- /results:NAME -->`` is replaced by the table of that name.

``python benchmarks/tables.py noise`` also keeps the trials of a recipe that is not finished, in
``results/begun/bench-noise.json``, for another machine: ``ordhash bench noise.toml --known`` that file does not repeat
them. Runs are not kept: those of two machines cannot be compared query by query.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
import shutil
import statistics
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attention_results import attention
from common import RESULTS, mean_interval, table
from likeness_results import likeness
from PIL import Image
from recall_results import draw_recall, recall
from scale_results import costs, encoding_rates, serving_rates
from typer.testing import CliRunner

from ordhash.bench import BOUNDS, Results, condense, draw_figures, markdown, values_of, with_interval
from ordhash.cli import app
from ordhash.evaluation import draw_curves

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
BEGUN = RESULTS / "begun"
COMMANDS = (
    *("sync", "search", "serve", "duplicates", "verify", "export", "info", "train", "methods", "evaluate", "bench"),
    *("quantize", "encode", "index", "push", "pull", "data", "data list", "data get"),
)

Runs = list[dict[str, Any]]


def mean(runs: Runs, measure: str = "map", digits: int = 3) -> str:
    """Mean over seeds with its 95 % interval; a dash if nothing was measured."""
    if not runs:
        return "-"
    centre, half = mean_interval([run[measure] for run in runs])
    text = f"{centre:.{digits}f}"
    return f"{text} ± {half:.{digits}f}" if len(runs) > 1 else text


def best_and_scores(results: Results, protocol: str) -> tuple[str, int, dict[str, str]]:
    """The best rival at 48 bits by ordinal distance, how many there are, and the mAP of every row."""
    values = {row: values_of(results, protocol, row, 48, "ordinal", "map") for row in {r.row for r in results.runs}}
    score = {row: with_interval(*mean_interval(found)) for row, found in values.items() if found}
    rivals = [
        row.name
        for row in results.rows
        if row.name in score and row.method not in BOUNDS and not row.method.startswith(("ordhash", "doh"))
    ]
    return max(rivals, key=lambda row: statistics.fmean(values[row])), len(rivals), score


def headlines(
    cifar10: dict[str, Any],
    scenes: dict[str, Any],
    encode: dict[str, Any],
    photographs: dict[str, Any],
    search: dict[str, Any],
) -> str:
    """One number of each kind, with the nearest rival's."""
    quality = Results.from_json(cifar10)
    best, rivals, score = best_and_scores(quality, "cifar10")
    best_there, rivals_there, found = best_and_scores(Results.from_json(scenes), "objects-in-scenes")
    floats = next(run.outcome.floats for run in quality.runs if run.row == "raw")
    large = photographs["large"]
    codes = f"{search['codes']:,}"
    rows = [
        ["mAP on CIFAR-10, 48 bits", score["ordhash"], f"{score[best]}: {best}, the best of {rivals} rivals"],
        ["", "", f"{score['itq']}: itq, which needs no labels"],
        ["", "", f"{score['raw']}: the {floats:,} raw features, by cosine"],
        [
            "mAP where an object takes 5 to 40 % of a photograph, 48 bits",
            found["ordhash"],
            f"{found[best_there]}: {best_there}, the best of {rivals_there} rivals",
        ],
        [
            "encoding, images/s",
            f"{encode['ordhash_images_per_second']:.0f}",
            f"{encode['eager_images_per_second']:.0f}: PyTorch, the same network",
        ],
        [
            "encoding JPEG files of 12 megapixels, images/s",
            f"{large['ordhash']:.0f}",
            f"{large['plain']:.0f}: Pillow, then the same network",
        ],
    ]
    for part, what in (("random", f"{codes} random codes"), ("real", f"{codes} codes of CIFAR-10")):
        one = search[part]["one"]
        rows.append([f"exact search in {what}, ms", f"{one['ordhash']:.3g}", f"{one['faiss_one_hot']:.3g}: FAISS"])
    machine = search["machine"]
    note = f"{machine['processor']}, {machine['cores']} cores. Drawn by `make results`."
    return table(["", "ordhash", "for comparison"], rows) + "\n\n" + note


def encode(results: dict[str, Any]) -> str:
    """Images per second of ordhash and PyTorch."""
    layout = "channels last" if results["eager_channels_last"] else "contiguous"
    best = f"PyTorch eager (its best: batches of {results['eager_batch_size']}, {layout})"
    rows = [
        [
            "`ordhash` encoder (ONNX Runtime)",
            f"{results['ordhash_images_per_second']:.0f}",
            f"**{results['ratio']:.1f}**",
        ],
        [best, f"{results['eager_images_per_second']:.0f}", "1"],
    ]
    common = next(t for t in results["eager_tried"] if t["batch_size"] == 32 and not t["channels_last"])
    rows.append(
        [
            "PyTorch eager, usual settings (batches of 32, contiguous; measured once, before the rounds)",
            f"{common['images_per_second']:.0f}",
            f"{common['images_per_second'] / results['eager_images_per_second']:.1f}",
        ]
    )
    machine = results["machine"]
    note = (
        f"Medians of {len(results['rounds'])} alternating rounds over {results['images']:,} CIFAR-10 images, "
        f"decoding and scaling included; the ratio is the median of the rounds' ratios; {results['network']}; "
        f"{machine['processor']}, {machine['cores']} cores. "
        f"Written by `{results['command']}`."
    )
    return table(["encoder", "images/s", "ratio"], rows) + "\n\n" + note


def photographs(results: dict[str, Any]) -> str:
    """Photographs per second of both, and the time of each step."""
    rows = []
    for size, name in (("large", "12 megapixels"), ("small", "0.1 megapixels")):
        found = results[size]
        step = found["parts"]
        rows.append(
            [
                name,
                *(f"{found[one]:.0f}" for one in ("ordhash", "plain", "network")),
                f"**{found['ratio']:.1f}**",
                f"{step['decode']:.1f} + {step['resize']:.1f}",
                f"{step['decode_all_pixels']:.1f} + {step['resize_all_pixels']:.1f}",
            ]
        )
    heading = ["JPEG of", "ordhash, images/s", "plain, images/s", "network alone, images/s", "ratio"]
    heading += ["decode + resize, ms", "plain, ms"]
    machine = results["machine"]
    note = (
        f"Medians of alternating rounds on all cores, and milliseconds of one thread; {results['network']}; "
        f"{machine['processor']}, {machine['cores']} cores. Written by `{results['command']}`."
    )
    return table(heading, rows) + "\n\n" + note


def serve(results: dict[str, Any]) -> str:
    """Latencies of the service, and its memory over the soak."""
    rows = []
    for part, name in (("by_key", "by key"), ("with_uploads", "one in ten by upload"), ("soak", "the same, soak")):
        found = results[part]
        times = [f"{found[one]:.1f}" for one in ("p50", "p95", "p99", "p100", "encode_p50")]
        rows.append([name, f"{found['requests']:,}", *times])
    sizes, minutes = results["soak"]["megabytes"], results["soak"]["minutes"]
    machine = results["machine"]
    note = (
        f"Milliseconds from when a request is due to its answer, less the encoder's time (its network saw "
        f"squares of 160 px); {results['images']:,} photographs, {results['rate']} requests a second, top "
        f"{results['top_k']}; client and service on the same {machine['cores']} cores ({machine['processor']}). "
        f"In the {minutes:.0f} minutes of the soak the service's own memory was {sizes[0]:.0f} MB at the start, "
        f"{max(sizes):.0f} MB at most and {sizes[-1]:.0f} MB at the end. Written by `make bench-serve`."
    )
    return table(["searches", "requests", "median", "95 %", "99 %", "longest", "encoder, median"], rows) + "\n\n" + note


def search(results: dict[str, Any]) -> str:
    """Milliseconds a query of ordhash and its rivals."""
    names = {
        "faiss_one_hot": "FAISS IndexBinaryFlat, one-hot codes (same answer)",
        "faiss_plain_bits": "FAISS IndexBinaryFlat, plain bits (another distance)",
        "faiss_fast_scan": "FAISS IndexPQFastScan (rounded tables)",
    }
    codes, bits, k = f"{results['codes']:,}", results["code_bits"], results["top_k"]
    batch = f"{results['batch']} queries at once, per query"
    rows = []
    for part, what in (
        ("random", f"{codes} random codes"),
        ("real", f"{codes} codes of CIFAR-10, {results['real']['stats']['distinct'] or 0:,} distinct"),
        ("asymmetric", f"{codes} random codes, asymmetric distance"),
    ):
        for number, label in (("one", "one query"), ("batch", batch)):
            times = results[part][number]
            for rival in names:
                if rival in times:
                    ratio = times[rival] / times["ordhash"]
                    cells = [f"{times['ordhash']:.3g}", f"{times[rival]:.3g}", f"**{ratio:.1f}**"]
                    rows.append([f"{what}: {label}", names[rival], *cells])
    tables, label = results["sublinear"], f"{results['sublinear']['codes']:,} random codes, top {{}}: one query"
    cells = [f"{tables['tables']:.3g}", f"{tables['scan']:.3g}", f"**{tables['scan'] / tables['tables']:.1f}**"]
    rows.append([label.format(tables["top_k"]), "the scan of `ordhash`, against its tables", *cells])
    machine, memory = results["machine"], results["memory"]
    note = (
        f"Exact top {k}, {bits} bits, K = {results['arity']}; medians of {results['rounds']} alternating rounds, the "
        f"same threads; {machine['processor']}, {machine['cores']} cores, FAISS {machine['faiss']}. FastScan's "
        f"rounded tables find {results['asymmetric']['found_by_rounded_tables']:.1%} of the exact asymmetric results. "
        f"A plain sum reads the codes at {results['bandwidth']['sum']:.1f} GB/s, a search for the nearest at "
        f"{results['bandwidth']['search']:.1f}. {memory['codes']:,} codes open in "
        f"{memory['open']['seconds_to_open']:.3f} s from a file of {memory['file_bytes'] / 1e9:.2f} GB; a process that "
        f"searches them uses {memory['search']['resident_bytes'] / 1e9:.2f} GB, of which "
        f"{memory['open']['resident_bytes'] / 1e9:.2f} GB before the search. With tables, codes "
        f"take {tables['bytes_a_code']:.0f} bytes each; tables take {tables['seconds_to_build']:.0f} s to build. "
        f"Written by `{results['command']}`."
    )
    return table(["work", "rival", "ordhash, ms", "rival, ms", "times faster"], rows) + "\n\n" + note


def search_parts(results: dict[str, Any]) -> str:
    """How many times longer a search with parts takes."""
    rows = []
    for one in results["parts"]:
        ratios = [
            f"{one[number][f'{kind}, parts'] / one[number][kind]:.1f}"
            for kind in ("ordinal", "asymmetric")
            for number in ("one", "batch")
        ]
        rows.append([f"{1 + one['parts']}", *ratios, f"{one['bytes_an_item']:.0f}"])
    batch = f"{results['batch']} at once"
    heading = ["codes an item", "ordinal, one query", f"ordinal, {batch}", "asymmetric, one query"]
    heading += [f"asymmetric, {batch}", "bytes an item"]
    note = (
        f"How many times longer than without parts: {results['parts'][0]['codes']:,} random items of "
        f"{results['code_bits']} bits, exact top {results['top_k']}, medians of {results['rounds']} alternating "
        f"rounds; {_processor(results)}. Written by `{results['command']}`."
    )
    return table(heading, rows) + "\n\n" + note


def experiments(results: dict[str, Any]) -> str:
    """What was tried for the default objective."""
    runs: Runs = results["runs"]
    lengths = sorted({run["code_bits"] for run in runs})
    names = list(dict.fromkeys(run["variant"] for run in runs))
    rows = []
    for name in names:
        cells = []
        for bits in lengths:
            mine = [run for run in runs if run["variant"] == name and run["code_bits"] == bits]
            cells += [mean(mine, digits=4), mean(mine, "map_asymmetric", 4).partition(" ")[0]]
        posterior = mean([run for run in runs if run["variant"] == name], "map_posterior", 4).partition(" ")[0]
        rows.append([name, *cells, posterior])
    heading = ["variant", *(f"{bits} bits{part}" for bits in lengths for part in ("", ", asymmetric")), "posteriors"]
    note = (
        "Tie-aware mAP among 1,500 held-out training images, "
        f"mean of {len({r['seed'] for r in runs})} seeds ± 95 % interval; {results['network']}. *Posteriors* ranks by "
        f"the classifier's p_i . p_j, without codes. Written by `{results['command']}`."
    )
    return table(heading, rows) + "\n\n" + note


def demo(report: dict[str, Any]) -> str:
    """Results of the demo."""
    rows = [
        [
            name,
            with_interval(q["map"], q["interval"]),
            f"{q['map_worst']:.3f} to {q['map_best']:.3f}",
            f"{q['precision_at_10']:.3f}",
        ]
        for name, q in report["results"].items()
    ]
    note = (
        f"{report['n_query']} queries in {report['n_database']} photographs, {report['code_bits']} bits; protocol "
        f"`{report['protocol']}` ({report['protocol_hash']}); ordhash: mean of {report['seeds']} seeds, "
        "with its 95 % interval. Written by `make demo`."
    )
    return table(["method", "mAP", "worst to best tie order", "precision@10"], rows) + "\n\n" + note


def general(results: dict[str, Any]) -> str:
    """Scores on small folders, by their size."""
    runs: Runs = results["runs"]
    names = {"general": "general model, 256 bits", "itq": "ITQ fitted to them, 48 bits"}
    sizes = sorted({run["size"] for run in runs})
    rows = []
    for method, name in names.items():
        mine = [run for run in runs if run["method"] == method]
        rows.append([name, *(mean([run for run in mine if run["size"] == n]) for n in sizes)])
    note = (
        "Photographs of Corel-5K, which the general model was not fitted to. Each is searched among the others; "
        "tie-aware mAP by ordinal distance, on labels that no method saw; "
        f"means of {len({run['draw'] for run in runs})} draws ± 95 % interval. Written by `{results['command']}`."
    )
    return table(["model", *(f"{n} photographs" for n in sizes)], rows) + "\n\n" + note


def int8(results: dict[str, Any]) -> str:
    """Speed and mAP of 8-bit models and of their originals."""
    runs, machine = results["runs"], results["machine"]
    protocols = sorted({run["protocol"] for run in runs})
    rows = []
    for method in ("float32", "int8"):
        cells = [
            mean([run for run in runs if (run["protocol"], run["method"]) == (name, method)], measure)
            for name in protocols
            for measure in ("map", "map_asymmetric")
        ]
        rows.append([method, f"{results['images_per_second'][method]:.0f}", *cells])
    note = (
        f"{results['network']}, frozen, 48 bits; images a second are medians of {len(results['rounds'])} alternating "
        f"rounds, decoding included ({results['times_as_fast']:.2f} times as fast); {machine['processor']}, "
        f"{machine['cores']} cores. mAP: means of {len({run['seed'] for run in runs})} seeds ± 95 % interval. "
        f"Written by `{results['command']}`."
    )
    heads = [f"{name}, {distance}" for name in protocols for distance in ("ordinal", "asymmetric")]
    return table(["backbone", "images/s", *heads], rows) + "\n\n" + note


def backbones(results: dict[str, Any]) -> str:
    """Quality and speed of backbones and sizes."""
    rows = [
        [
            f"`{row['backbone']}`",
            f"{row['image_size']}",
            row["fit"],
            mean(row["runs"], "validation"),
            mean(row["runs"], "ordinal"),
            mean(row["runs"], "asymmetric"),
            f"{row['images_per_second']:.0f}",
        ]
        for row in results["rows"]
    ]
    seeds = max(len(row["runs"]) for row in results["rows"])
    note = (
        f"`{results['protocol']}`, the default network, frozen, 48 bits, {results['epochs']} epochs: means of {seeds} "
        "seeds ± 95 % interval; without one, a single run. Images a second with ONNX Runtime, decoding included; "
        f"{_processor(results)}. Written by `{results['command']}`."
    )
    head = ["backbone", "px", "fit", "mAP, validation", "mAP, ordinal", "mAP, asymmetric", "images/s"]
    return table(head, rows) + "\n\n" + note


def scenes(results: dict[str, Any]) -> str:
    """What finds objects in scenes, by one code an image and with parts."""
    variants: dict[str, Runs] = {}
    for run in results["runs"]:
        variants.setdefault(json.dumps(run["variant"], sort_keys=True), []).append(run)
    rows = []
    for text, runs in variants.items():
        variant = json.loads(text)
        what = "trained without scenes" if not variant["scenes"] else f"attention {variant['attention']}"
        if variant["fitted"]:
            what += f", {variant['fitted']:.0%} of the segments fitted"
        small = [{"map": run["scenes"]["share 5-10 %"]} for run in runs]
        cells = [mean([run[kind] for run in runs]) for kind in ("scenes", "cut", "plain", "three")]
        parted = [mean([run[f"{kind}, parts"] for run in runs]) for kind in ("scenes", "plain", "three")]
        number = statistics.fmean(run["three, parts"]["parts"] for run in runs)
        rows.append([f"{variant['size']}", what, cells[0], mean(small), *cells[1:], *parted, f"{number:.1f}"])
    heading = ["px", "network", "scenes", "5-10 % of the area", "cut out", "plain", "three"]
    heading += ["scenes, parts", "plain, parts", "three, parts", "parts of a scene of three"]
    seeds = [len(runs) for runs in variants.values()]
    count = f"{max(seeds)} seeds" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)} seeds"
    count = "one seed" if max(seeds) == 1 else f"{count} ± 95 % interval"
    note = (
        f"mAP by ordinal distance, 48 bits, Lite0, frozen, whole photographs, {results['epochs']} epochs; {count}. "
        "On training images alone: the validation images of `grocery` search. Written by "
        f"`{results['command']}`."
    )
    return table(heading, rows) + "\n\n" + note


def _processor(results: dict[str, Any]) -> str:
    return f"{results['machine']['processor']}, {results['machine']['cores']} cores"


def command_line() -> str:
    """The help of every command, at 80 columns."""
    commands = ("", *COMMANDS)
    runner = CliRunner(env={"COLUMNS": "80"})
    sections = []
    for command in commands:
        shown = runner.invoke(app, [*command.split(), "--help"], prog_name="ordhash").output
        lines = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        sections.append(f"## ordhash {command}".rstrip() + f"\n\n```text\n{lines}\n```")
    return "\n" + "\n\n".join(sections) + "\n"


RECIPES = sorted(path.stem for path in (ROOT / "benchmarks" / "recipes").glob("*.toml"))


def take_over(name: str, *, begun: bool) -> None:
    """Copy the results of a recipe that `ordhash bench` ran here, and those of its figures that pages show."""
    ran = ROOT / "runs" / "bench" / name / "results.json"
    if not ran.exists():
        return
    results = Results.from_json(json.loads(ran.read_text()))
    kept = BEGUN / f"bench-{name}.json"
    if not results.complete:
        if begun:
            write_condensed(kept, dataclasses.replace(results, runs=[], comparisons=[]))
        advice = "" if begun else f", or name {name} to keep its trials"
        print(f"{ran.relative_to(ROOT)} is not complete; go on with it{advice}")
        return
    kept.unlink(missing_ok=True)
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    for figure in draw_figures(results, IMAGES):
        if figure.name not in pages:
            figure.unlink()
    write_condensed(RESULTS / f"bench-{name}.json", results)


def write_condensed(path: Path, results: Results) -> None:
    """Write condensed results, a run to a line."""
    text = json.dumps(condense(results).to_json(), sort_keys=True, separators=(",", ":"))
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace('{"arity"', '\n{"arity"') + "\n")


def bench_tables(results: dict[str, Any]) -> str:
    """Tables of a recipe."""
    return markdown(Results.from_json(results))


def ridge(results: dict[str, Any]) -> str:
    """Quality of ITQ-CCA on held-out training images by its ridge."""
    runs: Runs = results["runs"]
    ridges = sorted({run["ridge"] for run in runs})
    rows = []
    for protocol in dict.fromkeys(run["protocol"] for run in runs):
        for bits in sorted({run["code_bits"] for run in runs}):
            means = [
                statistics.fmean(
                    run["map"]
                    for run in runs
                    if (run["protocol"], run["code_bits"], run["ridge"]) == (protocol, bits, value)
                )
                for value in ridges
            ]
            cells = [f"**{mean:.3f}**" if mean == max(means) else f"{mean:.3f}" for mean in means]
            rows.append([f"{protocol}, {bits} bits", *cells])
    note = (
        "Tie-aware mAP of held-out training images among each other, by Hamming distance; means of "
        f"{len({run['seed'] for run in runs})} seeds. Written by `{results['command']}`."
    )
    return table(["", *(f"{value:g}" for value in ridges)], rows) + "\n\n" + note


# Table -> files of results it is drawn from.
TABLES: dict[str, tuple[str | tuple[str, ...], Callable[..., str]]] = {
    "headlines": (
        ("bench-cifar10.json", "bench-objects-in-scenes.json", "encode.json", "photographs.json", "search.json"),
        headlines,
    ),
    "encode": ("encode.json", encode),
    "photographs": ("photographs.json", photographs),
    "search": ("search.json", search),
    "serve": ("serve.json", serve),
    "recall": ("recall.json", recall),
    "likeness": ("likeness.json", likeness),
    "attention": ("attention.json", attention),
    "experiments": ("experiments.json", experiments),
    "ridge": ("ridge.json", ridge),
    "demo": ("demo.json", demo),
    "general": ("general.json", general),
    "int8": ("int8.json", int8),
    "search-parts": ("search.json", search_parts),
    "backbones": ("backbones.json", backbones),
    "scenes": ("scenes.json", scenes),
    "scale-encoding": ("scale.json", encoding_rates),
    "scale-serving": ("scale.json", serving_rates),
    "scale-costs": ("scale.json", costs),
    **{f"bench-{name}": (f"bench-{name}.json", bench_tables) for name in RECIPES},
}


def search_growth(results: dict[str, Any]) -> None:
    """Figure of the time of a search against the number of codes."""
    points = results["growth"]
    sizes = [point["codes"] for point in points]
    lines = {}
    for name, label in (("one", "one query"), ("batch", f"{results['batch']} at once, per query")):
        times = [point[name] for point in points]
        slope = math.log10(times[-1] / times[-2]) / math.log10(sizes[-1] / sizes[-2])
        lines[f"{label} (slope {slope:.2f} at the end)"] = (sizes, times, [0.0] * len(sizes))
    draw_curves(
        IMAGES / "search-growth.png", lines, x="codes", y="milliseconds", title="Exact top 100, 48 bits", log="xy"
    )


def wrapped(text: str) -> str:
    """Wrap prose at 120 columns; tables and headings stay as they are."""
    return "\n".join(
        line
        if line.startswith(("|", "#"))
        else textwrap.fill(line, 120, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def fill(text: str, name: str, values: str) -> str:
    """Replace what is between the two marks of that name."""
    block = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    return block.sub(lambda found: f"{found[1]}\n{values}\n{found[2]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("begun", nargs="*", metavar="RECIPE", help="keep its trials though it goes on")
    begun = parser.parse_args().begun
    if unknown := set(begun) - set(RECIPES):
        parser.error(f"no recipe is named {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}")
    if (ROOT / "demo" / "report.json").exists():
        shutil.copyfile(ROOT / "demo" / "report.json", RESULTS / "demo.json")
        IMAGES.mkdir(parents=True, exist_ok=True)
        # Readers of README download this: JPEG is a quarter of the size.
        with Image.open(ROOT / "demo" / "results.png") as figure:
            figure.convert("RGB").save(IMAGES / "demo.jpg", quality=82)
    for name in RECIPES:
        take_over(name, begun=name in begun)
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text()
        for name, (files, draw) in TABLES.items():
            paths = [RESULTS / file for file in ((files,) if isinstance(files, str) else files)]
            if f"<!-- results:{name} -->" in text and all(path.exists() for path in paths):
                values = draw(*(json.loads(path.read_text()) for path in paths))
                text = fill(text, f"results:{name}", wrapped(values))
        text = fill(text, "help", command_line())
        if text != page.read_text():
            page.write_text(text)
            print(f"filled {page.relative_to(ROOT)}")
    if (RESULTS / "search.json").exists():
        search_growth(json.loads((RESULTS / "search.json").read_text()))
    if (RESULTS / "recall.json").exists():
        draw_recall(IMAGES / "search-recall.png", json.loads((RESULTS / "recall.json").read_text()))


if __name__ == "__main__":
    main()
