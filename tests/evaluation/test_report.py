import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest

import ordhash
from ordhash.codes import PartCodes, part_margin
from ordhash.codes.distances import asymmetric_distances, ordinal_distances
from ordhash.data import Protocol, read_folder
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError, InputError
from ordhash.evaluation import metrics
from ordhash.evaluation.report import cosine_distances, evaluate, rank_quality
from ordhash.model.encoder import Encoder


@pytest.fixture(scope="module")
def encoder(tiny_model):
    return Encoder(tiny_model)


@pytest.fixture
def protocol(photo_folder):
    """Queries 0 and 1 of every class, the four others in the database; the first 5 positions count."""
    images = read_folder(photo_folder)
    number = np.arange(18) % 6
    return Protocol("small", images.subset(number > 3), images.subset(number < 2), images.subset(number >= 2), cutoff=5)


def plain_quality(distances, relevance, cutoff, radii=(), gains=None):
    """Quality, a query at a time."""
    rows = [(distances[i : i + 1], relevance[i : i + 1]) for i in range(len(distances))]
    curves = [metrics.precision_recall_curve(*row) for row in rows]
    ks = [k for k in (1, 10, 100, 1000) if k <= distances.shape[1]]
    return {
        "map": np.mean([metrics.average_precision(*row, cutoff=cutoff)[0] for row in rows]),
        "average_precisions": [metrics.average_precision(*row, cutoff=cutoff)[0] for row in rows],
        "map_best": np.mean([metrics.average_precision(*row, cutoff=cutoff, ties="best")[0] for row in rows]),
        "map_worst": np.mean([metrics.average_precision(*row, cutoff=cutoff, ties="worst")[0] for row in rows]),
        "precision_at": {k: np.mean([metrics.precision_at(*row, k)[0] for row in rows]) for k in ks},
        "precision_within": {r: np.mean([metrics.precision_within(*row, r)[0] for row in rows]) for r in radii},
        "recall": curves[0].recall,
        "precision": np.mean([curve.precision for curve in curves], axis=0),
        "found_at": {k: np.mean([metrics.found_at(*row, k)[0] for row in rows]) for k in ks},
        "by_group": {},
        "ndcg": None if gains is None else np.mean(metrics.ndcg(distances, gains, cutoff=cutoff)),
    }


def assert_quality(found, expected):
    values = dataclasses.asdict(found)
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        if value is None:
            assert values[name] is None
        elif isinstance(value, dict):
            assert values[name] == pytest.approx(value, abs=1e-12)
        else:
            np.testing.assert_allclose(values[name], value, atol=1e-12)


def test_a_report_is_plain_metrics_of_plain_distances(encoder, protocol):
    report = evaluate(encoder, protocol)
    query, database = encoder.run(protocol.query), encoder.run(protocol.database)
    relevance = np.array([[bool((q & d).any()) for d in protocol.database.labels] for q in protocol.query.labels])
    ordinal = (query.codes.symbols[:, None] != database.codes.symbols[None]).sum(axis=2)
    assert_quality(report.ordinal, plain_quality(ordinal, relevance, 5, (0, 1, 2)))
    assert_quality(report.asymmetric, plain_quality(asymmetric_distances(query.scores, database.codes), relevance, 5))
    assert report.ordinal.map_worst - 1e-12 <= report.ordinal.map <= report.ordinal.map_best + 1e-12
    assert report.distinct_codes == len({row.tobytes() for row in database.codes.symbols})
    assert (report.n_queries, report.n_database, report.cutoff, report.left_out) == (6, 12, 5, ())
    assert (report.protocol, report.protocol_hash) == ("small", protocol.hash())
    assert (report.model_id, report.method) == (encoder.model_id, encoder.info.method)
    assert (report.code_bits, report.arity, report.version) == (48, 4, ordhash.__version__)


class OthersAsParts:
    """An encoder whose images have a part with the code of another image."""

    def __init__(self, encoder):
        self.info, self.spec, self.model_id = encoder.info, encoder.spec, encoder.model_id
        self._encoder = encoder

    def run(self, images, *, parts=False):
        encoded = self._encoder.run(images)
        if not parts:
            return encoded
        n = len(encoded.codes)
        parts = PartCodes(encoded.codes[::-1], np.arange(n), np.tile(np.array([0, 0, 99, 99]), (n, 1)))
        return dataclasses.replace(encoded, parts=parts)


def test_parts_count_where_they_are_nearer_by_more_than_the_margin(encoder, protocol):
    report = evaluate(OthersAsParts(encoder), protocol, parts=True)
    query, database = encoder.run(protocol.query), encoder.run(protocol.database)
    relevance, margin = protocol.relevance(), part_margin(encoder.spec)
    ordinal = ordinal_distances(query.codes, database.codes)
    asymmetric = asymmetric_distances(query.scores, database.codes)
    nearest = np.minimum(ordinal, ordinal[:, ::-1] + margin)
    assert (nearest < ordinal).any()
    assert_quality(report.ordinal, plain_quality(nearest, relevance, 5, radii=(0, 1, 2)))
    assert_quality(report.asymmetric, plain_quality(np.minimum(asymmetric, asymmetric[:, ::-1] + margin), relevance, 5))
    assert report.parts == 1


def test_a_graded_protocol_has_ndcg(encoder, protocol):
    graded = dataclasses.replace(protocol, coarse=("fruit", "fruit", "vegetable"))
    report = evaluate(encoder, graded)
    query, database = encoder.run(protocol.query), encoder.run(protocol.database)
    ordinal = (query.codes.symbols[:, None] != database.codes.symbols[None]).sum(axis=2)
    fruit = ~np.array([[q[2] or d[2] for d in protocol.database.labels] for q in protocol.query.labels])
    gains = protocol.relevance() * 2 + (fruit & ~protocol.relevance())
    assert_quality(report.ordinal, plain_quality(ordinal, protocol.relevance(), 5, (0, 1, 2), gains))
    distances = asymmetric_distances(query.scores, database.codes)
    assert_quality(report.asymmetric, plain_quality(distances, protocol.relevance(), 5, (), gains))
    assert 0 < report.ordinal.ndcg <= 1


def test_a_report_says_what_it_was_asked_for(encoder, protocol):
    usual = evaluate(encoder, protocol)
    assert (usual.ties, usual.convention, usual.note) == ("expected", "normal", "")
    noted = dataclasses.replace(protocol, note="half of the pictures")
    report = evaluate(encoder, noted, ties="row", convention="hits-in-top-k")
    assert (report.ties, report.convention, report.note) == ("row", "hits-in-top-k", "half of the pictures")
    query, database = encoder.run(protocol.query), encoder.run(protocol.database)
    ordinal = ordinal_distances(query.codes, database.codes)
    asymmetric = asymmetric_distances(query.scores, database.codes)
    options = {"cutoff": 5, "convention": "hits-in-top-k"}
    for found, distances in ((report.ordinal, ordinal), (report.asymmetric, asymmetric)):
        for name, ties in (("map", "row"), ("map_best", "best"), ("map_worst", "worst")):
            wanted = metrics.mean_average_precision(distances, protocol.relevance(), ties=ties, **options)
            assert getattr(found, name) == pytest.approx(wanted)
    assert report.ordinal.precision_at == usual.ordinal.precision_at


def test_unknown_conventions_are_refused_before_the_work(protocol):
    with pytest.raises(InputError, match="ties is 'luck'; allowed are 'expected', 'best', 'worst' and 'row'"):
        evaluate(None, protocol, ties="luck")
    with pytest.raises(InputError, match="convention is 'mine'"):
        evaluate(None, protocol, convention="mine")


def test_a_report_becomes_json(encoder, protocol):
    report = evaluate(encoder, protocol)
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert values["ordinal"]["map"] == report.ordinal.map
    assert values["ordinal"]["precision_within"] == {str(r): p for r, p in report.ordinal.precision_within.items()}
    assert values["cutoff"] == 5
    assert len(values["asymmetric"]["precision"]) == len(values["asymmetric"]["recall"]) == 101


def with_file(images, row, path):
    return dataclasses.replace(images, images=[*images.images[:row], path, *images.images[row + 1 :]])


def test_broken_files_are_left_out_and_named(encoder, protocol, bad_files):
    broken = dataclasses.replace(
        protocol,
        query=with_file(protocol.query, 1, bad_files["text"]),
        database=with_file(protocol.database, 11, bad_files["truncated"]),
    )
    report = evaluate(encoder, broken)
    assert (report.n_queries, report.n_database) == (5, 11)
    assert len(report.left_out) == 2
    assert report.left_out[0].startswith(f"{bad_files['text']}: ")
    assert report.left_out[1].startswith(f"{bad_files['truncated']}: ")
    rest = dataclasses.replace(
        protocol,
        query=protocol.query.subset([0, 2, 3, 4, 5]),
        database=protocol.database.subset(np.arange(11)),
    )
    expected = evaluate(encoder, rest)
    assert report.ordinal == expected.ordinal
    assert report.protocol_hash == expected.protocol_hash


def test_a_query_that_loses_its_last_relevant_image_is_refused(encoder, protocol, bad_files):
    database = protocol.database
    for row in np.flatnonzero(database.labels[:, 0]):
        database = with_file(database, row, bad_files["empty"])
    with pytest.raises(DataError, match=r"query apple/apple_0\.jpg can find nothing, no database image shares a label"):
        evaluate(encoder, dataclasses.replace(protocol, database=database))


@pytest.mark.parametrize("part", ["query", "database"])
def test_nothing_to_evaluate_is_refused(encoder, protocol, bad_files, part):
    images = getattr(protocol, part)
    images = dataclasses.replace(images, images=[bad_files["empty"]] * len(images))
    with pytest.raises(DataError, match="protocol small: no query or no database image can be used; check the files"):
        evaluate(encoder, dataclasses.replace(protocol, **{part: images}))


# --- any distance -----------------------------------------------------------------------------------------------------


def random_protocol(n_queries, n_database, cutoff):
    rng = np.random.default_rng(4)
    pixels = np.zeros((n_queries + n_database, 1, 1, 3), np.uint8)
    labels = rng.random((len(pixels), 4)) < 0.4
    labels[:, 0] |= ~labels.any(axis=1)
    images = ImageSet(pixels, labels=labels, class_names=("a", "b", "c", "d"))
    rows = np.arange(len(pixels))
    return Protocol(
        "random", ImageSet([]), images.subset(rows < n_queries), images.subset(rows >= n_queries), cutoff=cutoff
    )


@pytest.mark.parametrize("cutoff", [None, 7])
def test_rank_quality_of_cosine_distances_over_several_blocks(cutoff):
    protocol = random_protocol(230, 120, cutoff)
    rng = np.random.default_rng(5)
    queries, database = rng.normal(size=(230, 6)), rng.normal(size=(120, 6))
    database[60:] = database[:60]  # ties
    blocks = []

    def distances_of(rows):
        blocks.append((rows.start, rows.stop))
        return cosine_distances(queries[rows], database)

    found = rank_quality(distances_of, protocol)
    assert blocks == [(0, 100), (100, 200), (200, 230)]
    assert_quality(found, plain_quality(cosine_distances(queries, database), protocol.relevance(), cutoff))
    assert found.precision_within == {}
    assert list(found.precision_at) == [1, 10, 100]


def test_rank_quality_of_a_perfect_and_of_a_useless_ranking():
    protocol = random_protocol(20, 50, None)
    relevance = protocol.relevance()
    perfect = rank_quality(lambda rows: (~relevance[rows]).astype(np.uint16), protocol, radii=(0, 1))
    assert perfect.map == perfect.map_worst == perfect.precision_within[0] == pytest.approx(1)
    assert perfect.precision_within[1] == pytest.approx(relevance.mean())
    equal = rank_quality(lambda rows: np.zeros((rows.stop - rows.start, 50), np.uint16), protocol)
    assert equal.map_best == pytest.approx(1)
    assert equal.precision_at[10] == pytest.approx(relevance.mean())
    assert equal.map_worst < equal.map < equal.map_best


def test_groups_of_the_database_are_searched_alone_and_groups_of_queries_are_averaged():
    protocol = random_protocol(20, 50, None)
    rng = np.random.default_rng(8)
    edges, sizes = rng.choice(["hard", "soft"], 50), rng.choice(["5 %", "10 %"], 20)
    protocol = dataclasses.replace(
        protocol,
        query=dataclasses.replace(protocol.query, metadata=pa.table({"size": sizes})),
        database=dataclasses.replace(protocol.database, metadata=pa.table({"edges": edges})),
        groups=("size", "edges"),
    )
    distances, relevance = rng.integers(0, 6, (20, 50)).astype(np.uint16), protocol.relevance()
    found = rank_quality(lambda rows: distances[rows], protocol).by_group
    assert list(found) == ["size 5 %", "size 10 %", "edges hard", "edges soft"]
    for size in ("5 %", "10 %"):
        expected = metrics.average_precision(distances[sizes == size], relevance[sizes == size]).mean()
        assert found[f"size {size}"] == pytest.approx(expected)
    for kind in ("hard", "soft"):
        among, few = distances[:, edges == kind], relevance[:, edges == kind]
        findable = few.any(axis=1)
        expected = metrics.average_precision(among[findable], few[findable]).mean()
        assert found[f"edges {kind}"] == pytest.approx(expected)


def test_ordinal_distances_keep_their_radii(encoder, protocol):
    # Radii are distances, not ranks: no query here is within 2 of anything, whatever is nearest.
    far = rank_quality(lambda rows: np.full((rows.stop - rows.start, 12), 9, np.uint16), protocol, radii=(2, 9))
    assert far.precision_within == pytest.approx({2: 0.0, 9: 1 / 3})
    codes = encoder.run(protocol.query).codes
    assert ordinal_distances(codes, codes).diagonal().tolist() == [0] * 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosine_distances_are_those_of_a_plain_loop(dtype):
    rng = np.random.default_rng(6)
    queries, database = rng.normal(size=(5, 7)).astype(dtype), rng.normal(size=(9, 7)).astype(dtype)
    found = cosine_distances(queries, database)
    expected = [[1 - float(q @ d) / (np.sqrt(float(q @ q)) * np.sqrt(float(d @ d))) for d in database] for q in queries]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(cosine_distances(queries * 100, database), found, atol=1e-6)


def test_cosine_distances_of_half_precision_are_as_exact():
    rows = (300 * np.random.default_rng(6).normal(size=(9, 7))).astype(np.float16)
    np.testing.assert_allclose(cosine_distances(rows, rows), cosine_distances(*[rows.astype(float)] * 2), atol=1e-6)


def test_cosine_distance_of_nothing_is_one():
    assert cosine_distances(np.zeros((1, 3)), np.eye(3)).tolist() == [[1.0, 1.0, 1.0]]


def test_a_bar_is_shown_on_request(encoder, protocol, capsys, terminal):
    evaluate(encoder, protocol)
    assert capsys.readouterr() == ("", "")
    evaluate(encoder, protocol, progress=True)
    assert "6/6" in capsys.readouterr().err
