"""Retrieval quality: tie-aware metrics as functions of arrays, reports on protocols, figures."""

from ordhash.evaluation.attention import attention_inside, peak_inside
from ordhash.evaluation.figures import attention_overlay, draw_curves, draw_results
from ordhash.evaluation.metrics import (
    Convention,
    PRCurve,
    Ties,
    average_precision,
    found_at,
    mean_average_precision,
    ndcg,
    precision_at,
    precision_recall_curve,
    precision_within,
)
from ordhash.evaluation.report import Quality, Report, cosine_distances, evaluate, rank_quality
from ordhash.evaluation.tie_aware import expected_average_precision

__all__ = [
    "Convention",
    "PRCurve",
    "Quality",
    "Report",
    "Ties",
    "attention_inside",
    "attention_overlay",
    "average_precision",
    "cosine_distances",
    "draw_curves",
    "draw_results",
    "evaluate",
    "expected_average_precision",
    "found_at",
    "mean_average_precision",
    "ndcg",
    "peak_inside",
    "precision_at",
    "precision_recall_curve",
    "precision_within",
    "rank_quality",
]
