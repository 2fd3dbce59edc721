import json
import subprocess
import sys
import threading

import pytest

from ordhash.index.kernels.warmup import Once


def test_work_is_done_once_and_everyone_waits_for_it():
    begun, go_on = threading.Event(), threading.Event()
    done, seen = [], []

    def step():
        begun.set()
        assert go_on.wait(60)
        done.append(threading.get_ident())

    once = Once(lambda: [step, step])

    def ask():
        once()
        seen.append(len(done))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    threads[0].start()
    assert begun.wait(60)  # the others ask while the first is at work
    for thread in threads[1:]:
        thread.start()
    threads[1].join(0.2)
    assert seen == []
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert seen == [2, 2, 2, 2]
    once(progress=True)
    assert len(done) == 2


def test_work_that_failed_is_done_again():
    tries = []

    def step():
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no space left")

    once = Once(lambda: [step])
    with pytest.raises(OSError, match="no space left"):
        once()
    once()
    once()
    assert len(tries) == 2


# In a process of its own: in this one, other tests have compiled what a warm-up may have left out.
PROGRAM = """
import json, sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from ordhash.codes import CodeSpec, OrdinalCodes, symbol_losses
from ordhash.index import kernels
from ordhash.index.planes import PlaneCodes
from ordhash.index.stores import Distinct, Scan, Tabled

def compiled():
    modules = [module for name, module in sys.modules.items() if name.startswith("ordhash.index.kernels")]
    found = {id(f): f for module in modules for f in vars(module).values() if isinstance(f, Dispatcher)}
    return {f"{f.__module__}.{f.__name__}": len(f.signatures) for f in found.values()}

kernels.warm_up()
before = compiled()
rng = np.random.default_rng(0)
for spec in (CodeSpec(12, 4), CodeSpec(60, 2), CodeSpec(64, 256), CodeSpec(600, 2)):
    symbols = rng.integers(0, spec.arity, (50, spec.n_segments)).astype(np.uint8)
    codes = OrdinalCodes(symbols, spec)
    losses = symbol_losses(rng.normal(size=(3, spec.n_segments, spec.arity)), spec)
    scan = Scan(PlaneCodes.of(codes))
    distinct = Distinct(PlaneCodes.of(codes), np.arange(51), np.arange(50, dtype=np.uint32))
    stores = [scan, distinct, Tabled.of(scan)]
    for store in stores:
        for allowed in (None, np.packbits(rng.random(50) < 0.5, bitorder="little")):
            store.nearest(codes[:3], 5, allowed)
            store.nearest_asymmetric(losses, 5, allowed)
            store.within(codes[:1], 4, allowed)
print(json.dumps([before, compiled()]))
"""


@pytest.mark.slow  # compiles everything
def test_after_it_no_search_compiles_anything():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, after = json.loads(run.stdout)
    assert len(before) >= 8
    assert after == before
