from ordhash.data.datasets import DATASETS


def test_the_list_of_data_sets_is_complete():
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert all((dataset.title, dataset.licence, dataset.source))
