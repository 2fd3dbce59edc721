"""Tables of what ``benchmarks/likeness.py`` wrote."""

from __future__ import annotations

from typing import Any

from common import table

__all__ = ["likeness"]


def likeness(results: dict[str, Any]) -> str:
    """How often likelihoods and fingerprints are right."""
    parts = []
    if "likelihoods" in results:
        found = results["likelihoods"]
        shown = [d for d in range(len(found["pairs"])) if found["pairs"][d] and (d <= 4 or d % 4 == 0)]
        rows = [
            [
                str(d),
                f"{100 * found['promised'][d]:.1f} %",
                f"{100 * found['found'][d]:.1f} %",
                f"{found['pairs'][d]:,}",
            ]
            for d in shown
        ]
        parts += [
            table(["segments that differ", "promised", "found", "pairs"], rows),
            f"Protocol `{found['protocol']}`, {found['code_bits']} bits: the share of relevant pairs that the model "
            f"file promises, from {found['validation_pairs']:,} pairs of images held out of the training, and the "
            f"share among all pairs of queries and database. Suggested cut-off: {found['cutoff']} segments.",
        ]
    if "fingerprints" in results:
        found = results["fingerprints"]
        rows = [
            [name, f"{values['median']:.0f}", f"{100 * values['same']:.1f} %"]
            for name, values in found["edits"].items()
        ]
        parts += [
            table(["edit", "bits that differ (median)", "known as the same picture"], rows),
            f"{found['edited']:,} photographs of Corel-5K, each edited and compared with itself. Of the "
            f"{found['pairs']:,} pairs of its {found['photographs']:,} photographs, {found['near_pairs']} pass for the "
            f"same picture, at {found['bits']} bits.",
        ]
    return "\n\n".join(parts) + f" Written by `{results['command']}`."
