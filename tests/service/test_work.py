import asyncio
import threading
import time

import pytest

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

from ordhash.service.work import BusyError, TookTooLongError, Work


def work(**settings):
    return Work(**{"concurrent": 1, "waiting": 1, "seconds": 30, **settings})


def test_results_and_errors_come_back():
    async def ask():
        some = work()
        assert await some(divmod, 17, 5) == (3, 2)
        with pytest.raises(ZeroDivisionError):
            await some(divmod, 1, 0)
        with pytest.raises(TimeoutError):  # the function's own is no sign that it took too long
            await some(_raise, TimeoutError())
        assert some.under_way == 0

    asyncio.run(ask())


def _raise(error):
    raise error


def test_room_is_counted_until_a_thread_is_free():
    async def ask():
        go_on, some = threading.Event(), work(seconds=0.1)
        with pytest.raises(TookTooLongError):
            await some(go_on.wait, 30)
        assert some.under_way == 1  # given up, and still running
        with pytest.raises(TookTooLongError):  # waits, and is then taken out of the queue
            await some(divmod, 1, 1)
        await asyncio.sleep(0.01)
        assert some.under_way == 1
        waiting = asyncio.create_task(some(divmod, 1, 1))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await some(divmod, 1, 1)
        go_on.set()
        assert await waiting == (1, 0)
        await some.close()
        assert some.under_way == 0

    asyncio.run(ask())


def test_what_has_begun_is_waited_for_where_it_must_finish():
    async def ask():
        go_on, done, some = threading.Event(), [], work(seconds=0.1, finish=True)
        running = asyncio.create_task(some(lambda: go_on.wait(30) and done.append("ran")))
        await asyncio.sleep(0.05)
        with pytest.raises(TookTooLongError):
            await some(done.append, "waited")
        assert not running.done()
        go_on.set()
        await running
        assert done == ["ran"]
        with pytest.raises(ZeroDivisionError):
            await some(lambda: time.sleep(0.2) or 1 / 0)

    asyncio.run(ask())


def test_closing_waits_for_what_runs_and_drops_what_waits():
    async def ask():
        go_on, done, some = threading.Event(), [], work()
        running = asyncio.create_task(some(lambda: go_on.wait(30) and done.append("ran")))
        waiting = asyncio.create_task(some(done.append, "waited"))
        await asyncio.sleep(0.05)
        assert some.under_way == 2
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        await some.close()
        assert done == ["ran"]
        await running
        with pytest.raises(TookTooLongError):
            await waiting

    asyncio.run(ask())
