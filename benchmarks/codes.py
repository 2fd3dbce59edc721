"""The codes of the benchmarks of search, and their one-hot form, on which Hamming distance is twice the ordinal one.

The real codes are those of CIFAR-10 under a model that is trained when it is not there yet.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import CIFAR_CONFIG, FROZEN

from ordhash import Encoder, FeatureStore, OrdinalCodes
from ordhash.codes import CodeSpec
from ordhash.data import Protocol, load_protocol

__all__ = ["SPEC", "cifar10_encoder", "one_hot", "padded", "random_codes", "real_codes"]

SPEC = CodeSpec(48, 4)


def random_codes(n: int, seed: int = 0) -> OrdinalCodes:
    rng = np.random.default_rng(seed)
    return OrdinalCodes(rng.integers(0, SPEC.arity, (n, SPEC.n_segments), dtype=np.uint8), SPEC)


def one_hot(codes: OrdinalCodes) -> npt.NDArray[np.uint8]:
    """Bits of the one-hot expansion, uint8 (n, n_segments * arity / 8)."""
    return np.packbits(np.eye(SPEC.arity, dtype=np.uint8)[codes.symbols].reshape(len(codes), -1), axis=1)


def padded(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Bits with as many bytes of zeros as make FAISS fast, which has a scan of its own for these lengths alone.

    Distances stay the same.
    """
    width = bits.shape[1]
    return np.pad(bits, ((0, 0), (0, min(fast for fast in (4, 8, 16, 20, 32, 64) if fast >= width) - width)))


def cifar10_encoder(protocol: Protocol, cache: Path) -> Encoder:
    """The default model of CIFAR-10, trained if it is not there."""
    from ordhash.learn import train

    result = train(
        protocol.train, CIFAR_CONFIG, FROZEN, out=Path("runs/bench-search"), cache=cache, protocol=protocol.name,
        progress=True,
    )  # fmt: skip
    return Encoder(result.model, features=FeatureStore(cache / "features"), progress=True)


def real_codes(cache: Path) -> tuple[OrdinalCodes, OrdinalCodes]:
    """Codes of CIFAR-10's 59,000 database images and of its 1,000 query images, which are not among them."""
    protocol = load_protocol("cifar10")
    encoder = cifar10_encoder(protocol, cache)
    return encoder.encode(protocol.database), encoder.encode(protocol.query)
