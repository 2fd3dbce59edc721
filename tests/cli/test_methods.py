"""`ordhash methods`."""

from __future__ import annotations

from commands import good, lines


def test_methods_lists_every_way_to_learn_codes_with_its_paper() -> None:
    from ordhash.learn.objectives import OBJECTIVES
    from ordhash.learn.shallow import SHALLOW_METHODS

    text = good("methods")
    for name, objective in OBJECTIVES.items():
        assert f"\n  {name} " in text
        assert objective.citation in text
    for name, method in SHALLOW_METHODS.items():
        assert f"\n  {name} " in text
        assert method.citation in text
    assert "margin 2, quantisation_weight 0.01" in text
    entries = {entry.pop("name"): entry for entry in lines(good("methods", "--json"))}
    assert list(entries) == [*OBJECTIVES, *SHALLOW_METHODS]
    assert entries["dsh"] == {
        "kind": "objective",
        "supervision": "pairwise",
        "arity": 2,
        "settings": {"margin": 2.0, "quantisation_weight": 0.01},
        "paper": "Liu et al., CVPR 2016",
    }
    assert entries["doh"]["arity"] == "any"
    assert entries["itq"]["kind"] == "shallow"
    assert entries["itq"]["supervision"] == "none"
