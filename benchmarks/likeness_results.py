"""Tables of what ``benchmarks/likeness.py`` wrote."""

from __future__ import annotations

from typing import Any

from common import table

__all__ = ["likeness"]


def _share(share: float, pairs: int) -> str:
    return f"{100 * share:.1f} %" if pairs else "-"


def likeness(results: dict[str, Any]) -> str:
    """How often likelihoods and fingerprints are right."""
    parts = []
    for found in results.get("likelihoods", []):
        shown = [d for d in range(len(found["pairs"])) if found["pairs"][d] and (d <= 4 or d % 4 == 0)]
        rows = [
            [
                str(d),
                f"{100 * found['promised'][d]:.1f} %",
                _share(found["found"][d], found["pairs"][d]),
                _share(found["found_of_new"][d], found["pairs_of_new"][d]),
                f"{found['pairs'][d]:,}",
            ]
            for d in shown
        ]
        unlike = ", ".join(f"{100 * share:.1f} % of {name}" for name, share in found["unlike"].items())
        parts += [
            table(["segments that differ", "at least", "found", "found among queries", "pairs"], rows),
            f"Protocol `{found['protocol']}`, {found['code_bits']} bits: the share of relevant pairs that the model "
            f"file promises, from {found['validation_pairs']:,} pairs ({found['calibrated_on']}), and the share among "
            f"the pairs of queries and database, and of queries. Suggested cut-off: {found['cutoff']} segments. Called "
            f"unlike anything learned: {unlike}.",
        ]
    if "fingerprints" in results:
        found = results["fingerprints"]
        kinds_shown = [
            ("copy", "known as the same picture", found["copies"]),
            ("edit", "mistaken for the same", found["others"]),
        ]
        for first, last, kinds in kinds_shown:
            rows = [[name, f"{v['median']:.0f}", f"{100 * v['same']:.1f} %"] for name, v in kinds.items()]
            parts.append(table([first, "distance (median)", last], rows))
        forms, counts = found["forms"], found["photographs"]
        near = {name: sum(map(len, groups)) for name, groups in found["near_groups"].items()}
        parts.append(
            f"{found['edited']} test photographs of Corel-5K (192 x 128) and groceries (shorter side 192), each edited "
            "and compared with itself; at this size an eighth is 24 pixels or less. Of "
            f"{forms['count']} forms of one layout, {100 * forms['copies']:.0f} % of the copies at half the size are "
            f"known, and {100 * forms['others']:.1f} % of the pairs of different forms are mistaken. Among the "
            f"{counts['corel5k']:,} and {counts['grocery']:,} test photographs themselves, {near['corel5k']} and "
            f"{near['grocery']} are in groups of the same picture. A fingerprint takes {found['bytes']:,} bytes on "
            "average."
        )
    return "\n\n".join(parts) + f" Written by `{results['command']}`."
