import re
import sys
import time

import pytest

from ordhash.support.progress import progress_bar


@pytest.mark.parametrize(("total", "show"), [(3, False), (0, True)])
def test_nothing_is_shown_unless_asked_for(total, show, capsys):
    with progress_bar("Counting", total, show=show) as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_where_stderr_is_no_terminal(capsys):
    with progress_bar("Counting", 3, show=True) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_the_bar_goes_to_stderr_and_counts_steps(capsys, terminal):
    with progress_bar("Counting sheep", 7, show=True) as advance:
        advance(3)
        time.sleep(0.3)  # the rate needs two steps, and the bar time to be drawn anew
        advance(4)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Counting sheep" in err
    assert "7/7" in err
    assert re.search(r"\d/s", err)


def test_an_unfinished_bar_says_so_and_lets_the_error_through(capsys, terminal):
    def work():
        with progress_bar("Counting", 7, show=True) as advance:
            advance(2)
            raise KeyError("sheep")

    with pytest.raises(KeyError, match="sheep"):
        work()
    assert "2/7" in capsys.readouterr().err
    print("written as before", file=sys.stderr)  # the display has let go of the stream
    assert capsys.readouterr().err == "written as before\n"
