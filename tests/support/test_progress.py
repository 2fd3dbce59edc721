import re
import sys
import time

import pytest

from ordhash.support.progress import Pace, progress_bar


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
        time.sleep(1.1)  # before that, no rate is shown
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


def test_the_time_left_is_steady_though_steps_come_in_bursts():
    """64 photographs at once, now fast and now slow, with a pause to measure after each fifth burst."""
    now = [0.0]
    pace, left = Pace(lambda: now[0]), {}
    assert pace.left(1) is None
    for burst in range(1, 101):
        now[0] += (2.0, 6.0)[burst % 2] + (10.0 if burst % 5 == 0 else 0.0)
        pace.advance(64)
        left[burst] = pace.left((100 - burst) * 64)
    total = now[0]
    assert total == 600.0
    times = {burst: 6.0 * burst for burst in left}  # on the average
    assert all(abs(left[burst] + times[burst] - total) < 0.25 * total for burst in range(10, 101))
    before = pace.left(640)
    now[0] += 3.0
    assert pace.left(640) == before - 3.0  # it counts down while nothing is reported
    now[0] += 1000.0
    assert pace.left(640) == 0


def test_steps_of_before_say_nothing_of_the_rate(capsys, terminal):
    with progress_bar("Counting sheep", 1000, show=True, done=900) as advance:
        time.sleep(1.1)
        advance(50)
        time.sleep(0.3)  # to be drawn anew
    err = capsys.readouterr().err
    assert "950/1000" in err
    assert float(re.findall(r"([\d.]+)/s", err)[-1]) < 50
