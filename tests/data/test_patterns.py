from ordhash.data.patterns import Patterns


def test_patterns_hold_below_their_folder():
    patterns = Patterns(["/raw/", "*.png"], "x/")
    assert patterns.leaves_out("x/raw/") is True
    assert patterns.leaves_out("x/y/raw/") is None
    assert patterns.leaves_out("x/y/a.png") is True


def test_the_last_pattern_that_matches_counts():
    keys = ("a.png", "keep.png", "b.jpg")
    assert [Patterns(["*.png", "!keep.png"]).leaves_out(key) for key in keys] == [True, False, None]
    assert [Patterns(["!keep.png", "*.png"]).leaves_out(key) for key in keys] == [True, True, None]
    assert Patterns(["", "# *", "   "]).leaves_out("a") is None
