from pathlib import Path

import pytest

from ordhash.bench import read_recipe, rehearsal_of
from ordhash.bench.recipe import Published, Tuning
from ordhash.data.protocols import PROTOCOLS
from ordhash.errors import DataError, InputError
from ordhash.learn.objectives import DOH

RECIPES = sorted((Path(__file__).parents[2] / "benchmarks" / "recipes").glob("*.toml"))


def test_a_recipe_says_what_is_compared(recipe_file):
    recipe = read_recipe(recipe_file)
    assert (recipe.name, recipe.title, recipe.protocols) == ("tiny", "three colours", ("cifar10",))
    assert (recipe.code_bits, recipe.seeds, recipe.tuning) == ((8, 16), 2, Tuning(True, 0.67))
    assert [method.name for method in recipe.methods] == [
        *("raw", "lsh", "sdh", "dpsh", "doh-mixup"),
        "both streams, K = 16",
    ]
    by_name = {method.name: method for method in recipe.methods}
    assert [method.config.arity for method in recipe.methods] == [2, 2, 2, 2, 4, 16]  # binary where it cannot be else
    assert {method.name for method in recipe.methods if method.learns} == {"dpsh", "doh-mixup", "both streams, K = 16"}
    variant = by_name["both streams, K = 16"]
    assert (variant.config.objective, variant.config.use_local) == (DOH(pair_weight=2.0), True)
    assert (variant.training.epochs, variant.training.batch_size) == (1, 8)
    assert (by_name["dpsh"].training.epochs, by_name["dpsh"].config.use_local) == (2, False)
    assert all(method.config.weights is None for method in recipe.methods)
    assert recipe.published == (Published("cifar10", "Theirs", "a paper", {8: 0.5}),)


def test_a_variant_may_have_lengths_and_seeds_of_its_own(recipe_file):
    recipe_file.write_text(
        recipe_file.read_text().replace('method = "doh"\n', 'method = "doh"\nseeds = 1\ncode_bits = [24]\n')
    )
    recipe = read_recipe(recipe_file)
    assert [(method.code_bits, method.seeds) for method in recipe.methods] == [*[(None, None)] * 5, ((24,), 1)]
    assert [(method.code_bits, method.seeds) for method in rehearsal_of(recipe).methods][-1] == ((24,), None)


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_the_recipes_of_the_package_can_be_read(path):
    recipe = read_recipe(path)
    assert set(recipe.protocols) <= set(PROTOCOLS)
    rehearsal = rehearsal_of(recipe)
    assert [method.name for method in rehearsal.methods] == [method.name for method in recipe.methods]
    for method in rehearsal.methods:
        assert (method.config.image_size, method.training.epochs, method.training.accelerator) == (64, 1, "auto")
    assert (len(rehearsal.code_bits), rehearsal.seeds) == (1, 1)
    assert len({method.training.epochs for method in recipe.methods}) == 1
    assert "ordhash" in {method.method for method in recipe.methods}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"dpsh"', '"dspsh"', r"method 'dspsh' is unknown; allowed are raw, .*dpsh"),
        ("seeds = 2", "seed = 2", r"the recipe has seed; allowed are code_bits, methods"),
        ("seeds = 2", "seeds = 0", r"seeds is 0; allowed are whole numbers from 1"),
        ('protocols = ["cifar10"]', 'protocols = ["cifar11"]', r"protocol 'cifar11' is unknown; allowed are cifar10"),
        ('protocols = ["cifar10"]', "", r"protocols.*at least one"),
        ("hidden = 8", "widht = 8", r"\[network\] has widht; allowed are arity, attention, backbone"),
        ("epochs = 2", "epoch = 2", r"\[training\] has epoch; allowed are accelerator"),
        ("epochs = 2", "epochs = 0", r"epochs is 0; allowed is 1 to"),
        ("search = true", "tries = 2", r"\[tuning\] has tries; allowed are search, validation_fraction"),
        ('method = "doh"\n', 'method = "doh"\nseeds = 0\n', r"seeds is 0; allowed are whole numbers from 1"),
        ('method = "doh"\n', 'method = "doh"\nparts = 3\n', r"parts is 3; allowed are true"),
        ('method = "doh"\n', 'method = "raw"\nparts = true\n', r"parts have codes, and raw makes none"),
        ('method = "doh"\n', 'method = "sq8"\nparts = true\n', r"parts have codes, and sq8 makes none"),
        (
            'method = "doh"\nnetwork = {',
            'method = "doh"\nparts = true\nnetwork = { fit = "crop",',
            r"parts need a frozen backbone that sees whole pictures",
        ),
        ("pair_weight = 2.0", "pear_weight = 2.0", r"the objective of both streams, K = 16 has pear_weight"),
        (
            'name = "both streams, K = 16"',
            'name = "lsh"',
            r"its methods are .*'lsh'\]; name at least one, and each once",
        ),
        ("values = { 8 = 0.5 }", "", r"\[\[published\]\] .* lacks values"),
        ("values = { 8 = 0.5 }", "values = { 8 = [] }", r"\[\[published\]\] has values"),
        ("values = { 8 = 0.5 }", "values = { 8 = nan }", r"\[\[published\]\] has values"),
        ("values = { 8 = 0.5 }", "values = { 8 = 51.3 }", r"\[\[published\]\] has values"),
        ("validation_fraction = 0.67", "validation_fraction = 0", "validation_fraction is 0"),
        ('protocol = "cifar10"\nname', 'protocol = "cifar11"\nname', r"protocol 'cifar11' is unknown"),
        ("code_bits = [8, 16]", "code_bits = 12", r"code_bits is 12; allowed are lists"),
        ("code_bits = [8, 16]", 'code_bits = ["12"]', r"code_bits is \['12'\]; allowed are lists of whole numbers"),
        ("code_bits = [8, 16]", "code_bits = [8, 8]", r"code_bits is \[8, 8\]; name each once"),
        ("code_bits = [8, 16]", "code_bits = [8, 13]", r"code_bits is 13; with arity"),
        ('["raw", ', '["rabitq", ', r"rabitq at 8 bits; allowed are multiples of 8 from 72"),
        ('protocols = ["cifar10"]', 'protocols = ["cifar10", "cifar10"]', r"protocols is .* each once"),
        ('protocols = ["cifar10"]', 'protocols = "cifar10"', r"protocols is 'cifar10'; allowed are lists"),
        ("seeds = 2", "seeds = true", r"seeds is True; allowed are whole numbers"),
        ("epochs = 2", 'epochs = "2"', r"epochs is '2'; allowed are whole numbers"),
        ("epochs = 2", 'epochs = 2\naugment = "no"', r"augment is 'no'; allowed are true"),
        ("hidden = 8", 'use_global = "no"', r"use_global is 'no'; allowed are true"),
        ("search = true", 'search = "yes"', r"search is 'yes'; allowed are true"),
        ("search = true\nvalidation_fraction = 0.67", "validation_fraction = 3", r"validation_fraction is 3; allowed"),
        ("pair_weight = 2.0", 'pair_weight = "2"', r"pair_weight is '2'; allowed are numbers"),
        ('method = "doh"\n', 'method = "itq"\n', r"itq has no objective"),
        ('method = "doh"\n', 'method = "doh"\ncode_bits = [4, 4]\n', r"code_bits is \[4, 4\]; name each once"),
        ('method = "doh"\n', 'method = "doh"\ncode_bits = [6]\n', r"code_bits is 6; with arity 16"),
    ],
)
def test_what_a_recipe_may_not_say(old, new, sentence, recipe_file):
    text = recipe_file.read_text()
    assert old in text
    recipe_file.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"^{recipe_file}: {sentence}"):
        read_recipe(recipe_file)


def test_what_is_no_recipe(tmp_path):
    with pytest.raises(DataError, match=r"gone.toml cannot be read \(No such file or directory\); give a recipe"):
        read_recipe(tmp_path / "gone.toml")
    (tmp_path / "bad.toml").write_text("title = ")
    with pytest.raises(DataError, match=r"bad\.toml .*TOML \(.*\)"):
        read_recipe(tmp_path / "bad.toml")


def test_where_labels_are_hidden_nothing_may_see_them(recipe_file):
    text = recipe_file.read_text()
    hidden = text.replace('mode = "frozen"', 'mode = "frozen"\nuse_labels = false')
    recipe_file.write_text(hidden)
    with pytest.raises(InputError, match="sdh learns from labels, which use_labels = false hides"):
        read_recipe(recipe_file)
    recipe_file.write_text(hidden.replace('"sdh", ', ""))
    with pytest.raises(InputError, match=r"\[tuning\]"):
        read_recipe(recipe_file)
