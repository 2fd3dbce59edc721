"""Beyond one machine: encoding with Ray Data, serving with Milvus. No other room names these engines.

Their modules are imported from where they are, since each needs a package that may not be installed.
"""

from ordhash.cluster.simplex import codes_of_simplex, ordinal_distances_of, simplex_bits, simplex_of

__all__ = ["codes_of_simplex", "ordinal_distances_of", "simplex_bits", "simplex_of"]
