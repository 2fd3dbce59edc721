import shutil
import threading

import pytest

from ordhash.codes import CodeFacts, CodeSpec
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.connections import Connections
from ordhash.collection.rows import Entry
from ordhash.errors import DataError

FACTS = CodeFacts(CodeSpec(48, 4), "model", None)


def entry(key):
    return Entry(key, 1, 2, bytes(16), bytes(12), None)


@pytest.fixture
def path(tmp_path):
    with Catalogue(tmp_path / "catalogue.sqlite", FACTS, tmp_path) as catalogue:
        catalogue.update([entry("a.jpg")])
    return tmp_path / "catalogue.sqlite"


def test_a_connection_is_kept_for_the_next_call_and_sees_what_others_write(path):
    connections = Connections(path)
    with connections.opened() as first:
        assert first.n_images == 1
    with connections.opened() as second:
        assert second is first
        with connections.opened() as third:  # the kept one is in use
            assert third is not second
        with Catalogue(path) as other:
            other.update([entry("b.jpg")])
        assert (second.n_images, third.n_images) == (2, 2)
    connections.close()
    with connections.opened() as fourth:
        assert fourth is not first
        assert fourth.n_images == 2
    connections.close()


def test_another_file_of_that_name_is_opened_anew(path, tmp_path):
    connections = Connections(path)
    with connections.opened() as catalogue:
        catalogue.update([entry("b.jpg")])
    connections.close()
    with connections.opened() as catalogue:
        assert catalogue.n_images == 2
    (tmp_path / "old").mkdir()
    with Catalogue(tmp_path / "old" / path.name, FACTS, tmp_path) as other:
        other.update([entry(f"{number}.jpg") for number in range(5)])
    shutil.move(tmp_path / "old" / path.name, path)
    with connections.opened() as catalogue:
        assert catalogue.n_images == 5
    path.unlink()
    with pytest.raises(DataError, match="not a collection"), connections.opened():
        pass


def test_an_error_closes_the_connection(path):
    connections = Connections(path)
    with connections.opened() as kept:
        pass
    with pytest.raises(ZeroDivisionError), connections.opened() as catalogue:
        assert 1 / (catalogue is not kept)
    with connections.opened() as catalogue:
        assert catalogue is not kept


def test_threads_ask_at_once(path):
    connections, counts = Connections(path), []

    def ask():
        for _ in range(50):
            with connections.opened() as catalogue:
                counts.append(catalogue.n_images)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1] * 200
    connections.close()
