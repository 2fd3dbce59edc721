import dataclasses

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import DOH, DOHCodewords, Task
from ordhash.learn.objectives.centres import agreeing_codewords, far_codewords
from ordhash.learn.objectives.codewords import feature_similarity

SPEC = CodeSpec(16, 4)  # 8 segments, of which 2 are kept


def batch(multilabel=False, n=6, seed=2):
    rng = np.random.default_rng(seed)
    scores = rng.normal(scale=2, size=(n, SPEC.n_segments, SPEC.arity))
    logits = rng.normal(size=(n, 3))
    labels = np.eye(3)[np.arange(n) % 3]
    if multilabel:
        labels[0], labels[1] = (1, 1, 0), (0, 0, 0)
    features = np.abs(rng.normal(size=(n, 5)))
    tensors = [torch.from_numpy(values.astype(np.float32)) for values in (scores, logits, features, labels)]
    output = HeadOutput(tensors[0], (tensors[1],), torch.ones(n, 1, 1), tensors[2])
    return output, tensors[3], scores, labels, features


def softmax_slowly(z):
    exp = np.exp(z - z.max())
    return exp / exp.sum()


def plain_terms(scores, labels, features, settings, codewords):
    """Codeword and kept terms of the equations, one image and one pair at a time."""
    n_learned = codewords.shape[1]
    codeword_loss = 0.0
    for z, row in zip(scores, labels, strict=True):
        logits = []
        wanted = row / max(row.sum(), 1e-12)
        for c, word in enumerate(codewords):
            u = np.concatenate([z[r] - z[r].mean() for r in range(n_learned)])
            o = np.concatenate([np.eye(SPEC.arity)[symbol] - 1 / SPEC.arity for symbol in word])
            cosine = u @ o / (np.linalg.norm(u) * np.linalg.norm(o))
            logits.append(settings.scale * (cosine - settings.margin * wanted[c]))
        codeword_loss -= (wanted * np.log(softmax_slowly(np.array(logits)))).sum()
    centred = features - features.mean(axis=0)
    kept = []
    for i in range(len(scores)):
        for j in range(len(scores)):
            if i != j:
                cosine = centred[i] @ centred[j] / (np.linalg.norm(centred[i]) * np.linalg.norm(centred[j]))
                agreement = np.mean(
                    [
                        softmax_slowly(scores[i, r]) @ softmax_slowly(scores[j, r])
                        for r in range(n_learned, SPEC.n_segments)
                    ]
                )
                kept.append((max(0.0, cosine) - agreement) ** 2)
    return {
        "codewords": settings.codeword_weight * codeword_loss / len(scores),
        "kept": settings.kept_weight * np.mean(kept),
    }


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_loss_in_plain_numpy(multilabel):
    output, wanted, scores, labels, features = batch(multilabel)
    settings = DOHCodewords(codeword_weight=0.7, kept_weight=3.0, scale=5.0, margin=0.1)
    task = Task(SPEC, 3, multilabel, seed=4)
    terms = settings.build(task)(output, wanted)
    codewords = far_codewords(3, CodeSpec(12, 4), seed=4)
    for name, value in plain_terms(scores, labels, features, settings, codewords).items():
        assert terms[name].item() == pytest.approx(value, rel=1e-5), name
    # The other two terms are those of the paper's objective, on the segments that labels teach.
    learned = dataclasses.replace(output, scores=output.scores[:, :6])
    for name, value in DOH().build(Task(CodeSpec(12, 4), 3, multilabel))(learned, wanted).items():
        assert torch.equal(terms[name], value)
    assert set(terms) == {"pairs", "classes", "codewords", "kept"}


def test_labels_do_not_reach_the_kept_segments_and_features_reach_no_others():
    output, labels, *_ = batch()
    loss = DOHCodewords().build(Task(SPEC, 3))
    for name, mine in (("codewords", slice(0, 6)), ("pairs", slice(0, 6)), ("kept", slice(6, 8))):
        given = output.scores.clone().requires_grad_()
        loss(dataclasses.replace(output, scores=given), labels)[name].backward()
        others = torch.ones(8, dtype=torch.bool)
        others[mine] = False
        assert given.grad[:, mine].abs().min() > 0
        assert not given.grad[:, others].any()


@pytest.mark.parametrize(("code_bits", "kept"), [(4, 0), (6, 0), (8, 1), (12, 1), (16, 2), (48, 6)])
def test_a_quarter_of_the_segments_is_kept_rounded_down(code_bits, kept):
    assert DOHCodewords().build(Task(CodeSpec(code_bits, 4), 3)).n_kept == kept


def test_without_kept_segments_features_are_not_needed():
    output, labels, *_ = batch()
    terms = DOHCodewords(kept_share=0.0).build(Task(SPEC, 3))(dataclasses.replace(output, features=None), labels)
    assert "kept" not in terms
    with pytest.raises(ValueError, match="features are needed"):
        DOHCodewords().build(Task(SPEC, 3))(dataclasses.replace(output, features=None), labels)


def test_the_codeword_of_the_own_class_costs_least():
    word = far_codewords(3, CodeSpec(12, 4), seed=0)
    loss = DOHCodewords().build(Task(SPEC, 3))
    output, *_ = batch(n=3)

    def cost(order):
        scores = output.scores.clone()
        scores[:, :6] = torch.nn.functional.one_hot(torch.from_numpy(word[order]), 4) * 5.0
        return loss(dataclasses.replace(output, scores=scores), torch.eye(3))["codewords"].item()

    assert cost([0, 1, 2]) < cost([0, 2, 1]) < cost([1, 2, 0])


def test_codewords_differ_by_seed_and_belong_to_the_state():
    first, same, other = (DOHCodewords().build(Task(SPEC, 5, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first.codewords, same.codewords)
    assert not torch.equal(first.codewords, other.codewords)
    assert list(first.state_dict()) == ["codewords"]
    assert list(first.parameters()) == []


def test_codewords_of_classes_that_look_alike_are_nearer():
    features = np.array([[2.0, 0.1], [1.0, 0.0], [-1.0, 0.5], [0.0, 0.0]], dtype=np.float32)
    wanted = np.zeros((4, 4))
    for c in range(4):
        for d in range(4):
            lengths = np.linalg.norm(features[c]) * np.linalg.norm(features[d])
            wanted[c, d] = (
                max(0.0, features[c] @ features[d] / lengths) ** 2 if lengths else 0.0
            )  # a class without images
    task = Task(SPEC, 4, seed=2, class_features=torch.from_numpy(features))
    expected = agreeing_codewords(wanted, CodeSpec(12, 4), seed=2)
    chosen = DOHCodewords().build(task).codewords.reshape(4, 6, 4).argmax(dim=2)
    np.testing.assert_array_equal(chosen.numpy(), expected)
    assert (expected[0] == expected[1]).sum() == 3  # half of the segments that learn
    assert (expected[0] == expected[2]).sum() == 0


def test_similarity_of_features_is_a_cosine_without_what_all_share():
    features = torch.tensor([[10.0, 1.0], [10.0, 1.0], [12.0, 1.0], [12.0, 1.0]])
    expected = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    torch.testing.assert_close(feature_similarity(features), expected)
    torch.testing.assert_close(feature_similarity(torch.ones(3, 2)), torch.zeros(3, 3))  # all alike


@pytest.mark.parametrize("name", ["codeword_weight", "margin", "kept_weight", "kept_share"])
def test_settings_below_zero_are_refused(name):
    with pytest.raises(InputError, match=f"{name} is -1; allowed are 0 and more"):
        DOHCodewords(**{name: -1})


def test_a_scale_of_zero_and_a_share_that_leaves_nothing_are_refused():
    with pytest.raises(InputError, match=r"scale is 0; .* above 0"):
        DOHCodewords(scale=0)
    with pytest.raises(InputError, match="kept_share is 1; it must be below 1, or no segment learns from labels"):
        DOHCodewords(kept_share=1)
