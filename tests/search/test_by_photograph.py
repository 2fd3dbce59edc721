from ordhash.search.by_photograph import search_by_photograph


def test_a_photograph_that_is_unlike_anything_learned_gives_no_likelihood(judging):
    dark, apple = judging.collection.entries(["apple/dark.png", "apple/apple_0.jpg"])
    found = search_by_photograph(dark, judging, top_k=19)
    assert found.unlike
    assert {answer.likelihood for answer in found.found} == {None}
    found = search_by_photograph(apple, judging, top_k=19)
    assert found.unlike is False
    assert [answer.key for answer in found.found if answer.likelihood is None] == ["apple/dark.png"]
