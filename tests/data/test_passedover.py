from ordhash.data.passedover import PassedOver, not_read


def test_a_sentence_groups_formats():
    passed = PassedOver()
    for name in ("a.CR3", "b.cr3", "c.heic", "d.MP4", "e.mov", "f.jpg", "g.txt", "noname"):
        passed.count(name)
    sentence = not_read(passed.unread)
    assert "3 images" in sentence
    assert "2 CR3, 1 HEIC" in sentence
    assert "2 videos" in sentence


def test_nothing_is_said_of_nothing():
    assert not_read({}) == ""
    assert not_read({".mp4": 1}) == "1 video"
    assert not_read({".svg": 1}).startswith("1 image in a format")
