import numpy as np
import pytest
from PIL import Image

from ordhash.bench import report
from ordhash.bench.report import markdown_table, mean_interval
from ordhash.bench.results import Results


def markdown(values):
    return report.markdown(Results.from_json(values))


def draw_figures(values, folder):
    return report.draw_figures(Results.from_json(values), folder)


def quality(value):
    return {
        **{"map": value, "map_best": value, "map_worst": value, "ndcg": value / 2},
        **{"precision_at": {}, "precision_within": {}, "precision": np.linspace(1, value, 101).tolist()},
    }


MADE = {"method": "doh", "arity": 4, "trial": None, "version": "0.1.0", "seconds": 2.0}


@pytest.fixture
def results():
    runs = [
        {
            **MADE,
            **{"protocol": "cifar10", "row": row, "code_bits": bits, "seed": seed, "train_seconds": 1.0 + seed},
            **{"ordinal": quality(value + 0.01 * seed), "asymmetric": quality(value + 0.02)},
        }
        for row, value in (("ordhash", 0.9), ("dpsh", 0.7), ("near", 0.895), ("classifier", 0.95))
        for bits in (12, 24)
        for seed in (0, 1)
        if (row, bits) != ("dpsh", 24)
    ]
    raw = {"protocol": "cifar10", "row": "raw", "code_bits": None, "seed": 0, "ordinal": quality(0.5)}
    runs.append({**MADE, **raw})
    names = ("raw", "classifier", "dpsh", "near", "ordhash")
    return {
        **{"recipe": "ours", "title": "", "version": "0.1.0", "machine": {}, "torch": "2"},
        "code_bits": [12, 24],
        "seeds": 2,
        "tuning": "Default settings.",
        "rows": [{"name": name, "method": "doh" if name == "near" else name} for name in names],
        "trials": [],
        "runs": runs,
        "published": [{"protocol": "cifar10", "name": "SRE", "source": "a paper", "values": {"24": 0.817}}],
        "protocols": {
            "cifar10": {
                **{"query": 1000, "train": 5000, "database": 59000, "citation": "somebody", "backbone": "a net"},
                **{"hash": "abc", "note": "", "cutoff": None, "graded": False},
            }
        },
    }


def test_intervals_are_students():
    assert mean_interval([0.5]) == (0.5, 0.0)
    mean, half = mean_interval([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.303 / np.sqrt(3), rel=1e-3))


def test_a_table():
    assert markdown_table(["a", "b"], [["x", "1"]]).splitlines() == ["| a | b |", "| --- | ---: |", "| x | 1 |"]


def test_tables_show_means_and_mark_the_best(results):
    text = markdown(results)
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    half = 12.706 * 0.01 * np.sqrt(0.5) / np.sqrt(2)
    assert lines[0] == ["method", "12 bits", "24 bits"]
    assert lines[2] == ["raw", "0.500", "0.500"]
    assert lines[3][1] == f"0.955 ± {half:.3f}"  # a bound is never marked
    assert lines[4] == ["dpsh", f"0.705 ± {half:.3f}", "-"]
    assert lines[5][1] == f"**0.900 ± {half:.3f}**"  # within the interval of the best
    assert lines[6][1] == f"**0.905 ± {half:.3f}**"
    assert lines[7] == ["*SRE, as published (a paper)*", "-", "*0.817*"]
    asymmetric = lines[8:]
    assert [line[0] for line in asymmetric[2:]] == ["classifier", "dpsh", "near", "ordhash"]
    assert asymmetric[-1][1:] == ["**0.920 ± 0.000**"] * 2 or asymmetric[-1][1:] == ["**0.920**"] * 2
    assert "NDCG" not in text
    assert "Default settings." in text
    assert "Means of up to 2 seeds" in text
    results["protocols"]["cifar10"]["graded"] = True
    assert "NDCG" in markdown(results)


def test_the_verdict_says_where_we_are_first_and_where_not(results):
    results.update(seeds=2)
    assert "Our default is level at 12 (with near), 24 (with near) bits." in markdown(results)
    for run in results["runs"]:
        if run["row"] == "near" and run["code_bits"] == 24:
            run["ordinal"] = quality(0.91)
        if run["row"] == "dpsh":
            run["ordinal"] = quality(0.99 + 0.001 * run["seed"])
    text = markdown(results)
    assert "Our default is level at 24 (near 0.005 ahead) bits; behind at 12 (dpsh 0.085 ahead) bits." in text


def test_paired_intervals_decide_where_they_are_known(results):
    best = {"protocol": "cifar10", "distance": "ordinal", "best": "ordhash"}
    results["comparisons"] = [
        {**best, "code_bits": 12, "row": "near", "mean": 0.005, "half": 0.002},
        {**best, "code_bits": 12, "row": "dpsh", "mean": 0.2, "half": 0.3},
        {**best, "code_bits": 24, "row": "near", "mean": 0.005, "half": 0.006},
    ]
    text = markdown(results)
    assert "ordinal distance. Our default is first at 24 bits" not in text
    assert "Our default is level at 12 (with dpsh), 24 (with near) bits." in text
    results["comparisons"][1:] = [
        {**best, "code_bits": 24, "best": "near", "row": "ordhash", "mean": 0.02, "half": 0.01}
    ]
    for run in results["runs"]:
        if run["row"] == "near" and run["code_bits"] == 24:
            run["ordinal"] = quality(0.95)
    assert "Our default is first at 12 bits; behind at 24 (near 0.020 ± 0.010 ahead) bits." in markdown(results)


def test_the_caption_names_lengths_without_paired_intervals_and_rows_without_one_are_measured_by_theirs(results):
    assert "too: the intervals overlap." in markdown(results)
    near = {"protocol": "cifar10", "distance": "ordinal", "best": "ordhash", "row": "near", "mean": 0.005}
    results["comparisons"] = [{**near, "code_bits": 12, "half": 0.002}]
    for run in results["runs"]:
        if run["row"] == "dpsh" and run["code_bits"] == 12:  # as good as ours, and not compared with it
            run["ordinal"] = next(one for one in results["runs"] if one["row"] == "ordhash")["ordinal"]
    text = markdown(results)
    assert "paired by seed and query, holds 0; at 24 bits: the intervals overlap." in text
    assert "Our default is level at 12 (with dpsh)" in text


def test_two_rows_that_are_best_alike_are_both_marked(results):
    best = {"protocol": "cifar10", "distance": "ordinal", "best": "near"}
    for run in results["runs"]:
        if run["row"] == "near":
            run["ordinal"] = quality(0.9 + 0.01 * run["seed"])
    results["comparisons"] = [
        {**best, "code_bits": bits, "row": row, "mean": mean, "half": 0.0}
        for bits in (12, 24)
        for row, mean in (("ordhash", 0.0), ("dpsh", 0.2))
    ]
    text = markdown(results)
    rows = [line for line in text.split("asymmetric")[0].splitlines() if line.startswith(("| near", "| ordhash"))]
    assert [line.count("**") for line in rows] == [4, 4]
    assert "Our default is level at 12 (with near), 24 (with near) bits." in text


def test_tables_of_groups_and_of_what_is_found(results):
    assert "groups" not in markdown(results)
    for run in results["runs"]:
        run["ordinal"].update(
            by_group={"share 10-20 %": 0.5, "share 5-10 %": 0.25}, found_at={"1": 0.5, "10": 0.75 + 0.1 * run["seed"]}
        )
    results["protocols"]["cifar10"]["single"] = True
    text = markdown(results)
    assert "ordinal distance, 12 bits.\n\n| method | first | first 10 |" in text
    assert "| dpsh | 0.500 | 0.800 ± 0.635 |" in text
    assert "| method | share 5-10 % | share 10-20 % |" in text
    assert text.count("| dpsh | 0.250 | 0.500 |") == 1  # it has no run of 24 bits


def test_alone_in_a_table_nobody_is_first_and_lengths_without_runs_are_left_out(results):
    results["runs"] = [
        run for run in results["runs"] if (run["row"], run["code_bits"]) in (("ordhash", 24), ("raw", None))
    ]
    text = markdown(results)
    assert "Our default is" not in text
    assert "| method | 24 bits |" in text
    assert "12 bits" not in text


def test_a_protocol_of_which_nothing_is_measured_yet_is_left_out(results):
    before = markdown(results)
    results["protocols"]["cifar10-50k"] = results["protocols"]["cifar10"]
    assert markdown(results) == before


def test_a_variant_of_the_default_is_not_the_default(results, tmp_path):
    results["rows"].append({"name": "K = 16", "method": "ordhash"})
    run = next(run for run in results["runs"] if (run["row"], run["code_bits"]) == ("ordhash", 24))
    results["runs"].append({**run, "row": "K = 16", "code_bits": 48, "ordinal": quality(0.99)})
    results["code_bits"] = [12, 24, 48]
    text = markdown(results)
    assert "Our default is first at 12, 24 bits." in text
    # A row that alone is measured at the greatest length does not drive the others out of the figures.
    assert report._shown(Results.from_json(results), "cifar10", most=9) == [
        "ordhash",
        "K = 16",
        "classifier",
        "near",
        "dpsh",
    ]


def test_figures(results, tmp_path):
    paths = draw_figures(results, tmp_path)
    assert [path.name for path in paths] == [
        "ours-cifar10-bits.png",
        "ours-cifar10-time.png",
        "ours-cifar10-recall.png",
    ]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 200
    results["runs"] = [run for run in results["runs"] if run["seed"] == 0]
    assert "One seed: no intervals." in markdown(results)
    results["runs"] = []
    assert draw_figures(results, tmp_path) == []


def test_methods_are_compared_at_the_longest_codes_that_all_have(results, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        report, "draw_curves", lambda path, curves, *, title, **_: drawn.update({path.stem[13:]: (title, curves)})
    )
    compressed = {"row": "pq", "code_bits": 96, "ordinal": None, "asymmetric": {**quality(0.6), "precision": []}}
    results["runs"].append({**MADE, "protocol": "cifar10", "seed": 0, "train_seconds": None, **compressed})
    results["rows"].append({"name": "pq", "method": "pq"})
    results["code_bits"].append(96)
    draw_figures(results, tmp_path)
    assert set(drawn) == {"bits", "time", "recall", "bytes"}
    assert drawn["time"][0] == drawn["recall"][0] == "cifar10, 12 bits"  # dpsh has no longer ones
    assert set(drawn["time"][1]) == set(drawn["recall"][1]) == {"ordhash", "classifier", "near", "dpsh"}
    assert drawn["time"][1]["ordhash"] == ((1.5,), (pytest.approx(0.905),), (pytest.approx(0.0635, abs=1e-4),))
