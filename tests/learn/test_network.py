import numpy as np
import pytest
import torch
from torch.nn import functional

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HashingHead, HashingNetwork, spatial_attention

DIM, N_CLASSES = 7, 3
SHAPES = [(16, 4), (12, 2), (12, 16)]  # code_bits, arity


def make_head(code_bits=16, arity=4, *, seed=0, **switches):
    torch.manual_seed(seed)
    settings = {"hidden": 6, "local_hidden": 5, "dropout": 0.5, "attention": "learned"} | switches
    return HashingHead(DIM, N_CLASSES, CodeSpec(code_bits, arity), **settings).eval()


def make_features(n=4, h=3, w=5, seed=1):
    return torch.randn(n, DIM, h, w, generator=torch.Generator().manual_seed(seed))


def local_map(stream, features):
    """conv7(conv6(F)) as plain matrix products at every location: float (n, local_hidden, h, w)."""
    values = features.numpy().astype(np.float64)
    for layer in (stream.conv6, stream.conv7):
        weight = layer.weight.detach().numpy()[:, :, 0, 0].astype(np.float64)
        bias = layer.bias.detach().numpy().astype(np.float64)
        n, _, h, w = values.shape
        out = np.zeros((n, len(weight), h, w))
        for i in range(n):
            for y in range(h):
                for x in range(w):
                    out[i, :, y, x] = np.maximum(weight @ values[i, :, y, x] + bias, 0)
        values = out
    return values


def attention_slowly(maps, probabilities, temperature=1.0):
    n, n_classes, h, w = maps.shape
    out = np.zeros((n, h, w))
    for i in range(n):
        evidence = np.zeros((h, w))
        for y in range(h):
            for x in range(w):
                evidence[y, x] = sum(probabilities[i, c] * maps[i, c, y, x] for c in range(n_classes)) / temperature
        exp = np.exp(evidence - evidence.max())
        out[i] = exp / exp.sum()
    return out


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_attention_is_the_softmax_over_locations_of_the_expected_activation(temperature):
    rng = np.random.default_rng(0)
    maps = rng.normal(scale=3, size=(4, N_CLASSES, 2, 5))
    probabilities = rng.random((4, N_CLASSES))
    found = spatial_attention(torch.from_numpy(maps), torch.from_numpy(probabilities), temperature).numpy()
    assert found.shape == (4, 2, 5)
    np.testing.assert_allclose(found, attention_slowly(maps, probabilities, temperature), rtol=1e-10)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1, rtol=1e-12)


def test_attention_follows_the_map_of_the_predicted_class():
    maps = torch.zeros(2, 2, 3, 4)
    maps[:, 0, 0, 0] = 20.0
    maps[:, 1, 2, 3] = 20.0
    attention = spatial_attention(maps, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert attention[0].argmax() == 0
    assert attention[1].argmax() == 2 * 4 + 3
    assert attention.flatten(1).max(dim=1).values.min() > 0.99


@pytest.mark.parametrize("multilabel", [False, True])
def test_local_stream_applies_its_class_weights_at_every_location(multilabel):
    stream = make_head(multilabel=multilabel, attention="cam").local_stream
    with torch.no_grad():
        stream.classes.weight.mul_(20)  # so that softmax and sigmoid are far from uniform
    features = make_features()
    with torch.no_grad():
        scores, logits, attention = stream(features)
    local = local_map(stream, features)
    weight = stream.classes.weight.detach().numpy().astype(np.float64)
    bias = stream.classes.bias.detach().numpy()
    maps = np.stack([(weight[c][None, :, None, None] * local).sum(axis=1) for c in range(N_CLASSES)], axis=1)
    # The mean of an activation map is the evidence for its class: that is what makes it a class activation map.
    np.testing.assert_allclose(logits.numpy(), maps.mean(axis=(2, 3)) + bias, rtol=1e-4, atol=1e-5)
    plain = logits.numpy().astype(np.float64)
    probabilities = 1 / (1 + np.exp(-plain)) if multilabel else np.exp(plain) / np.exp(plain).sum(axis=1, keepdims=True)
    weights = attention_slowly(maps, probabilities)
    assert np.abs(weights - 1 / 15).max() > 0.02
    np.testing.assert_allclose(attention.numpy(), weights, rtol=1e-3, atol=1e-5)
    descriptor = np.zeros((4, local.shape[1]))
    for y in range(3):
        for x in range(5):
            descriptor += weights[:, y, x, None] * local[:, :, y, x]
    ranking = stream.ranking
    expected = descriptor @ ranking.weight.detach().numpy().T + ranking.bias.detach().numpy()
    np.testing.assert_allclose(scores.numpy().reshape(4, -1), expected, rtol=1e-4, atol=1e-5)


def test_learned_attention_is_a_softmax_of_one_more_output_and_all_reads_what_it_attends_to():
    stream, features = make_head().local_stream, make_features()
    with torch.no_grad():
        stream.place.weight.mul_(20)
        scores, logits, attention = stream(features)
    local = local_map(stream, features)
    weight = stream.place.weight.detach().numpy()[0, :, 0, 0].astype(np.float64)
    evidence = np.tensordot(weight, local, axes=(0, 1)) + stream.place.bias.item()
    weights = np.exp(evidence) / np.exp(evidence).sum(axis=(1, 2), keepdims=True)
    assert np.abs(weights - 1 / 15).max() > 0.02
    np.testing.assert_allclose(attention.numpy(), weights, rtol=1e-3, atol=1e-5)
    descriptor = (weights[:, None] * local).sum(axis=(2, 3))
    for layer, found in ((stream.ranking, scores.flatten(1)), (stream.classes, logits)):
        expected = descriptor @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", ["scores", "classes"])
def test_learned_attention_is_trained_by_codes_and_by_classes(part):
    head = make_head(use_global=False)
    output = head(make_features())
    (output.scores if part == "scores" else output.class_logits[0]).square().sum().backward()
    assert head.local_stream.place.weight.grad.abs().sum() > 0


def test_global_stream_is_two_layers_on_the_pooled_features():
    head, features = make_head(use_local=False), make_features()
    stream = head.global_stream
    with torch.no_grad():
        output = head(features)
    scores, (logits,) = output.scores, output.class_logits
    values = features.numpy().mean(axis=(2, 3))
    for layer in (stream.fc6, stream.fc7):
        values = np.maximum(values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy(), 0)
    for layer, found in ((stream.ranking, scores.flatten(1)), (stream.classes, logits)):
        expected = values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_scores_of_both_streams_are_added():
    both, features = make_head(attention="cam"), make_features()
    only_global = make_head(use_local=False, seed=5)
    only_local = make_head(use_global=False, seed=6, attention="cam")
    only_global.global_stream.load_state_dict(both.global_stream.state_dict())
    only_local.local_stream.load_state_dict(both.local_stream.state_dict())
    with torch.no_grad():
        whole, a, b = both(features), only_global(features), only_local(features)
    torch.testing.assert_close(whole.scores, a.scores + b.scores)
    assert not torch.allclose(whole.scores, a.scores)
    assert not torch.allclose(whole.scores, b.scores)
    assert len(whole.class_logits) == 2
    torch.testing.assert_close(whole.class_logits, (*a.class_logits, *b.class_logits))  # global first
    torch.testing.assert_close(whole.attention, b.attention)


def test_all_streams_read_what_is_attended_to():
    head, features = make_head(n_fitted=3, fitted_channels=4), make_features()
    with torch.no_grad():
        head.local_stream.place.weight.mul_(20)
        head.fitted.weight.normal_()
        output = head(features)
        local, _, attention = head.local_stream(features)
        attended = (features * attention[:, None]).sum(dim=(2, 3))
        whole, classes = head.global_stream(attended)
        fitted = head.fitted(attended)
    torch.testing.assert_close(output.attended, attended)
    torch.testing.assert_close(output.features, features.mean(dim=(2, 3)))
    assert not torch.allclose(output.attended, output.features, atol=1e-3)
    torch.testing.assert_close(output.scores, torch.cat([whole + local, fitted], dim=1))
    torch.testing.assert_close(output.class_logits[0], classes)
    assert head.attends


@pytest.mark.parametrize("switches", [{"attention": "cam"}, {"attention": "none"}, {"use_local": False}])
def test_without_learned_attention_the_global_stream_reads_the_average(switches):
    head, features = make_head(**switches), make_features()
    with torch.no_grad():
        output = head(features)
        _, classes = head.global_stream(features.mean(dim=(2, 3)))
    assert not head.attends
    torch.testing.assert_close(output.attended, output.features)
    torch.testing.assert_close(output.class_logits[0], classes)


def test_a_stream_switched_off_has_no_weights():
    names = {name.split(".")[0] for name, _ in make_head(use_local=False).named_parameters()}
    assert names == {"global_stream"}
    names = {name.split(".")[0] for name, _ in make_head(use_global=False).named_parameters()}
    assert names == {"local_stream"}


@pytest.mark.parametrize("attention", ["learned", "cam"])
def test_the_global_stream_does_not_see_where_things_are_and_the_local_one_does(attention):
    head, features = make_head(attention=attention), make_features()
    with torch.no_grad():
        head.local_stream.classes.weight.mul_(20)
        turned = features.flip(3)
        here, there = head(features), head(turned)
        blind = make_head(use_local=False)
        torch.testing.assert_close(blind(features).scores, blind(turned).scores)
    torch.testing.assert_close(here.attention.flip(2), there.attention)
    assert not torch.allclose(here.attention, there.attention)


def test_attention_switched_off_is_the_average_over_locations():
    on, off, features = make_head(attention="cam"), make_head(attention="none"), make_features()
    with torch.no_grad():
        on.local_stream.classes.weight.mul_(20)
    off.load_state_dict(on.state_dict())
    with torch.no_grad():
        with_it, without = on(features), off(features)
        local = torch.from_numpy(local_map(off.local_stream, features)).float()
        plain = off.local_stream.ranking(local.mean(dim=(2, 3))) + off.global_stream(features.mean(dim=(2, 3)))[
            0
        ].flatten(1)
    torch.testing.assert_close(without.attention, torch.full((4, 3, 5), 1 / 15))
    torch.testing.assert_close(without.scores.flatten(1), plain, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(with_it.scores, without.scores, atol=1e-4)
    torch.testing.assert_close(with_it.class_logits, without.class_logits)  # attention is for the ranking alone


def test_without_a_local_stream_the_attention_is_uniform():
    with torch.no_grad():
        attention = make_head(use_local=False)(make_features()).attention
    torch.testing.assert_close(attention, torch.full((4, 3, 5), 1 / 15))


def test_the_class_loss_alone_trains_the_attention_of_the_paper():
    head, features = make_head(use_global=False, attention="cam"), make_features()
    head(features).scores.square().sum().backward()
    assert head.local_stream.classes.weight.grad is None
    assert head.local_stream.classes.bias.grad is None
    assert head.local_stream.conv6.weight.grad.abs().sum() > 0
    functional.cross_entropy(head(features).class_logits[0], torch.tensor([0, 1, 2, 0])).backward()
    assert head.local_stream.classes.weight.grad.abs().sum() > 0


def test_multilabel_takes_sigmoids():
    one, many, features = make_head(attention="cam"), make_head(multilabel=True, attention="cam"), make_features()
    many.load_state_dict(one.state_dict())
    with torch.no_grad():
        one.local_stream.classes.bias.fill_(-30)  # softmax does not see a common shift; a sigmoid is shut by it
        many.local_stream.classes.bias.fill_(-30)
        shut, open_ = many(features).attention, one(features).attention
    torch.testing.assert_close(shut, torch.full((4, 3, 5), 1 / 15))
    assert not torch.allclose(open_, shut, atol=1e-4)


@pytest.mark.parametrize(("code_bits", "arity"), SHAPES)
@pytest.mark.parametrize(("h", "w"), [(1, 1), (2, 6)])
def test_shapes(code_bits, arity, h, w):
    head = make_head(code_bits, arity)
    with torch.no_grad():
        output = head(make_features(2, h, w))
    assert output.scores.shape == (2, CodeSpec(code_bits, arity).n_segments, arity)
    assert [tuple(logits.shape) for logits in output.class_logits] == [(2, N_CLASSES)] * 2
    assert output.attention.shape == (2, h, w)
    torch.testing.assert_close(output.attention.sum(dim=(1, 2)), torch.ones(2))


def test_dropout_is_for_training_only():
    head, features = make_head(), make_features()
    with torch.no_grad():
        assert torch.equal(head(features).scores, head(features).scores)
        head.train()
        torch.manual_seed(0)
        assert not torch.allclose(head(features).scores, head(features).scores)


@pytest.mark.parametrize("which", ["dropout", "hidden_dropout"])
def test_each_dropout_works_alone(which):
    none = {"dropout": 0.0, "hidden_dropout": 0.0, "use_local": False}
    features = make_features()
    for settings, same in ((none, True), ({**none, which: 0.5}, False)):
        head = make_head(**settings).train()
        with torch.no_grad():
            assert torch.equal(head(features).scores, head(features).scores) is same


def test_images_do_not_influence_each_other():
    head, features = make_head(), make_features()
    with torch.no_grad():
        together = head(features)
        alone = head(features[2:3])
    torch.testing.assert_close(together.scores[2:3], alone.scores)
    torch.testing.assert_close(together.attention[2:3], alone.attention)


def test_network_is_the_head_on_the_backbone():
    head, backbone = make_head(), torch.nn.Conv2d(3, DIM, 3)
    network = HashingNetwork(backbone, head)
    images = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(network(images).scores, head(backbone(images)).scores)
    assert {name.split(".")[0] for name, _ in network.named_parameters()} == {"backbone", "head"}


def test_both_streams_off_is_refused():
    with pytest.raises(InputError, match="both streams are switched off; leave use_global or use_local on"):
        make_head(use_global=False, use_local=False)
