import numpy as np
import onnx
import pytest

from ordhash.model.graphs import join
from ordhash.model.inference import open_session


def graph(text, *, ir=9, opset=20):
    return onnx.parser.parse_model(f'<ir_version: {ir}, opset_import: ["" : {opset}]> {text}')


def test_the_second_graph_reads_what_the_first_computes():
    first = graph("first (float[n] a) => (float[n] b) { t = Add(a, a) b = Relu(t) }")
    second = graph("second (float[n] b) => (float[n] c) { t = Neg(b) c = Exp(t) }", ir=8)  # its t is another one
    joined = join(first, second, "b", "second/")
    (found,) = open_session(joined.SerializeToString()).run(["c"], {"a": np.array([-1, 2], dtype=np.float32)})
    np.testing.assert_allclose(found, np.exp([0, -4]), rtol=1e-6)


def test_each_set_of_operators_is_named_once():
    first = graph("first (float[n] a) => (float[n] b) { b = Relu(a) }")
    second = graph("second (float[n] b) => (float[n] c) { c = Exp(b) }")
    joined = join(first, second, "b", "second/")
    assert [(entry.domain, entry.version) for entry in joined.opset_import] == [("", 20)]


def test_graphs_of_different_versions_are_not_joined():
    first = graph("first (float[n] a) => (float[n] b) { b = Relu(a) }", opset=18)
    second = graph("second (float[n] b) => (float[n] c) { c = Exp(b) }")
    with pytest.raises(ValueError, match="different operator set"):
        join(first, second, "b", "second/")
