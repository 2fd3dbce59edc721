"""Ordinal hash codes: what a code is, how codes are packed, compared and stored."""

from ordhash.codes.codes import OrdinalCodes, Symbols, symbols_from_scores
from ordhash.codes.comparable import check_comparable, check_same_model
from ordhash.codes.distances import (
    Scale,
    asymmetric_distances,
    ordinal_distances,
    sums_of_losses,
    symbol_losses,
    symbol_probabilities,
    top_k,
)
from ordhash.codes.file import CodeFacts, checked_table, existing_file, mapped_file, read_codes, write_codes
from ordhash.codes.labels import LABELS, composed, has_label, has_label_with, is_label, joined_labels, labels_in
from ordhash.codes.parts import (
    BOX_BYTES,
    MOST_PARTS,
    PartCodes,
    Searched,
    check_parts,
    part_margin,
    part_margins,
    parts_among,
)
from ordhash.codes.shards import LIST, MODEL, Plan, is_leftover, read_failures, read_shards, shard_name, write_shard
from ordhash.codes.spec import CodeSpec
from ordhash.codes.table import CodeTable, Keys, Metadata, key_array, typed_keys

__all__ = [
    "BOX_BYTES",
    "LABELS",
    "LIST",
    "MODEL",
    "MOST_PARTS",
    "CodeFacts",
    "CodeSpec",
    "CodeTable",
    "Keys",
    "Metadata",
    "OrdinalCodes",
    "PartCodes",
    "Plan",
    "Scale",
    "Searched",
    "Symbols",
    "asymmetric_distances",
    "check_comparable",
    "check_parts",
    "check_same_model",
    "checked_table",
    "composed",
    "existing_file",
    "has_label",
    "has_label_with",
    "is_label",
    "is_leftover",
    "joined_labels",
    "key_array",
    "labels_in",
    "mapped_file",
    "ordinal_distances",
    "part_margin",
    "part_margins",
    "parts_among",
    "read_codes",
    "read_failures",
    "read_shards",
    "shard_name",
    "sums_of_losses",
    "symbol_losses",
    "symbol_probabilities",
    "symbols_from_scores",
    "top_k",
    "typed_keys",
    "write_codes",
    "write_shard",
]
