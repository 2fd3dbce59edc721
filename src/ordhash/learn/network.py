"""The DOH head: two streams over one feature map, added in the rank correlation space.

The paper (arXiv:1805.02459) specifies a global stream of two fully connected layers (fc6, fc7); a local, fully
convolutional stream (conv6, conv7) with a class layer on its global average pool, whose weights give a class
activation map at every location; spatial attention from that map; ranking outputs of both streams; a code symbol is
the argmax of a segment.

Our reading (``cam``): both streams share one backbone, the attention is a softmax over locations of the activation maps
averaged under the predicted class probabilities, and the two ranking outputs are added.

Ours (``learned``): the attention is a softmax over locations of one more output of the local stream, trained with
everything else. All read what is attended to instead of the average: the class layer of the local stream, the global
stream, and fitted segments. So attention goes where the object is, not where a class layer that was trained on averages
responds, and no part of the code averages over what surrounds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ordhash.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.config import Attention

__all__ = [
    "FittedSegments",
    "GlobalStream",
    "HashingHead",
    "HashingNetwork",
    "HeadOutput",
    "LocalStream",
    "spatial_attention",
]


@dataclass(frozen=True)
class HeadOutput:
    """Output of a head for n images.

    Attributes:
        scores: float32 (n, n_segments, arity), the rank correlation space z = z_g + z_l.
        class_logits: float32 (n, n_classes) of every active stream, global first.
        attention: float32 (n, h, w), sums to 1 over (h, w); uniform without attention. None inside a training.
        features: float32 (n, D), the head's input averaged over locations; None from a shallow head.
        attended: float32 (n, D), the same averaged under learned attention, which the global stream and fitted segments
            read; ``features`` without learned attention, None from a shallow head.
        familiarity: float32 (n,), see [FamiliarityGauge][ordhash.learn.familiarity.FamiliarityGauge]; None without one.
    """

    scores: Tensor
    class_logits: tuple[Tensor, ...]
    attention: Tensor | None = None
    features: Tensor | None = None
    attended: Tensor | None = None
    familiarity: Tensor | None = None


def spatial_attention(activation_maps: Tensor, class_probabilities: Tensor, temperature: float = 1.0) -> Tensor:
    """Attention over locations: softmax of the activation maps averaged under the class probabilities.

    a = softmax over (h, w) of (sum_c p_c M_c) / temperature.

    Args:
        activation_maps: float (n, n_classes, h, w), M_c = w_c . L at every location.
        class_probabilities: float (n, n_classes); rows need not sum to 1 (several labels).
        temperature: Above 1 spreads the attention, below 1 sharpens it.

    Returns:
        float (n, h, w), sums to 1 over (h, w).

    >>> maps = torch.zeros(1, 2, 1, 2); maps[0, 1, 0, 1] = 200.0
    >>> spatial_attention(maps, torch.tensor([[0.0, 1.0]])).tolist()
    [[[0.0, 1.0]]]
    """
    n, _, h, w = activation_maps.shape
    evidence = (activation_maps * class_probabilities[:, :, None, None]).sum(dim=1)
    return torch.softmax(evidence.reshape(n, h * w) / temperature, dim=1).reshape(n, h, w)


class GlobalStream(nn.Module):
    """fc6-fc7 on averaged features, a class layer and a ranking layer.

    Args:
        in_dim: D, channels of the feature map.
        hidden: Width of fc6 and fc7.
        n_classes: Outputs of the class layer.
        spec: Shape of the code.
        dropout: Dropout rate of the averaged features.
        hidden_dropout: Dropout rate after fc6 and fc7, as in the paper's networks.
    """

    def __init__(
        self, in_dim: int, hidden: int, n_classes: int, spec: CodeSpec, *, dropout: float, hidden_dropout: float
    ) -> None:
        super().__init__()
        self.spec = spec
        self.drop = nn.Dropout(dropout)
        self.hidden_drop = nn.Dropout(hidden_dropout)
        self.fc6 = nn.Linear(in_dim, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.classes = nn.Linear(hidden, n_classes)
        self.ranking = nn.Linear(hidden, spec.n_segments * spec.arity)

    def forward(self, averages: Tensor) -> tuple[Tensor, Tensor]:
        """Ranking scores (n, R, K) and class logits (n, C) of averaged features (n, D)."""
        hidden = self.hidden_drop(torch.relu(self.fc6(self.drop(averages))))
        hidden = self.hidden_drop(torch.relu(self.fc7(hidden)))
        return _segments(self.ranking(hidden), self.spec), self.classes(hidden)


class LocalStream(nn.Module):
    """conv6-conv7 over the feature map, attention, a class layer and a ranking layer.

    Args:
        in_dim: D, channels of the feature map.
        hidden: Channels of conv6 and conv7.
        n_classes: Outputs of the class layer.
        spec: Shape of the code.
        multilabel: Whether class probabilities are sigmoids instead of a softmax.
        attention: How locations are chosen. The class layer reads what is attended to, and with ``cam`` the average.
        dropout: Dropout rate of the channels.
    """

    def __init__(
        self,
        in_dim: int,
        hidden: int,
        n_classes: int,
        spec: CodeSpec,
        *,
        multilabel: bool,
        attention: Attention,
        dropout: float,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.multilabel = multilabel
        self.attention = attention
        self.drop = nn.Dropout2d(dropout)
        self.conv6 = nn.Conv2d(in_dim, hidden, kernel_size=1)
        self.conv7 = nn.Conv2d(hidden, hidden, kernel_size=1)
        self.classes = nn.Linear(hidden, n_classes)
        self.ranking = nn.Linear(hidden, spec.n_segments * spec.arity)
        self.place = nn.Conv2d(hidden, 1, kernel_size=1) if attention == "learned" else None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ranking scores (n, R, K), class logits (n, C) and attention (n, h, w) of features (n, D, h, w)."""
        local = torch.relu(self.conv7(torch.relu(self.conv6(self.drop(features)))))
        if self.place is not None:
            weights = torch.softmax(self.place(local).flatten(1), dim=1).reshape(local[:, 0].shape)
        elif self.attention == "cam":
            maps = torch.einsum("nchw,kc->nkhw", local, self.classes.weight)
            # Attention uses the class layer but does not train it; only the class loss does, as in CAM.
            logits = self.classes(local.mean(dim=(2, 3)))
            probabilities = torch.sigmoid(logits) if self.multilabel else torch.softmax(logits, dim=1)
            weights = spatial_attention(maps.detach(), probabilities.detach())
        else:
            weights = uniform_attention(features)
        descriptor = (local * weights[:, None]).sum(dim=(2, 3))
        if self.attention != "cam":
            logits = self.classes(descriptor)
        return _segments(self.ranking(descriptor), self.spec), logits, weights


class FittedSegments(nn.Module):
    """Segments whose scores are linear in the features, fitted by ``ordhash.learn.fitted`` and not trained.

    Args:
        depth: Number of channels that they see, the first ones.
        spec: Shape of the segments.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor

    def __init__(self, depth: int, spec: CodeSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("weight", torch.zeros(spec.n_segments * spec.arity, depth))
        self.register_buffer("bias", torch.zeros(spec.n_segments * spec.arity))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, averages: Tensor) -> Tensor:
        """Scores (n, n_segments, arity) of averaged features (n, at least depth)."""
        seen = nn.functional.normalize(averages[:, : self.weight.shape[1]], dim=1)
        return _segments(self.scale * (seen @ self.weight.T + self.bias), self.spec)


class HashingHead(nn.Module):
    """Both streams over one feature map; either can be disabled. Some segments may be fitted instead of trained.

    Args:
        in_dim: D, channels of the feature map.
        n_classes: Classes of the training set.
        spec: Shape of the code.
        multilabel: Whether images carry several labels.
        hidden: Width of the global stream.
        local_hidden: Channels of the local stream.
        use_global: Whether to use the global stream.
        use_local: Whether to use the local stream.
        attention: How the local stream chooses locations.
        dropout: Dropout rate of the features.
        hidden_dropout: Dropout rate of the global stream's hidden layers.
        n_fitted: Number of segments that are fitted, the last ones.
        fitted_channels: Number of channels that these see, the first ones; 0 for all.

    Raises:
        InputError: Both streams are disabled.
    """

    # Not a DOHConfig: it depends on the objectives, which import this file.
    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        spec: CodeSpec,
        *,
        multilabel: bool = False,
        hidden: int = 1024,
        local_hidden: int = 128,
        use_global: bool = True,
        use_local: bool = True,
        attention: Attention = "cam",
        dropout: float = 0.5,
        hidden_dropout: float = 0.3,
        n_fitted: int = 0,
        fitted_channels: int = 0,
    ) -> None:
        super().__init__()
        if not (use_global or use_local):
            raise InputError("both streams are switched off; leave use_global or use_local on")
        self.fitted = (
            FittedSegments(fitted_channels or in_dim, CodeSpec.of_segments(n_fitted, spec.arity)) if n_fitted else None
        )
        self.learned = spec = CodeSpec.of_segments(spec.n_segments - n_fitted, spec.arity)
        self.global_stream = (
            GlobalStream(in_dim, hidden, n_classes, spec, dropout=dropout, hidden_dropout=hidden_dropout)
            if use_global
            else None
        )
        self.local_stream = (
            LocalStream(
                in_dim,
                local_hidden,
                n_classes,
                spec,
                multilabel=multilabel,
                attention=attention,
                dropout=dropout,
            )
            if use_local
            else None
        )

    def forward(self, features: Tensor) -> HeadOutput:
        """Scores, class logits and attention of features (n, D, h, w)."""
        streams: list[tuple[Tensor, Tensor]] = []  # scores and class logits
        attended = averages = features.mean(dim=(2, 3))
        attention = uniform_attention(features)
        if self.local_stream is not None:
            scores, logits, attention = self.local_stream(features)
            streams.append((scores, logits))
            if self.attends:
                attended = (features * attention[:, None]).sum(dim=(2, 3))
        if self.global_stream is not None:
            streams.insert(0, self.global_stream(attended))
        learned = sum((scores for scores, _ in streams[1:]), streams[0][0])
        together = learned if self.fitted is None else torch.cat([learned, self.fitted(attended)], dim=1)
        return HeadOutput(together, tuple(logits for _, logits in streams), attention, averages, attended)

    @property
    def attends(self) -> bool:
        """Whether attention is learned, so that what the streams read changes in training."""
        return self.local_stream is not None and self.local_stream.place is not None


class HashingNetwork(nn.Module):
    """A backbone and a head, for end-to-end training.

    Args:
        backbone: Images to features (n, D, h, w).
        head: Features to HeadOutput.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> HeadOutput:
        """HeadOutput of pictures, uint8 (n, h, w, 3)."""
        output: HeadOutput = self.head(self.backbone(images))
        return output


def uniform_attention(features: Tensor) -> Tensor:
    """Uniform attention (n, h, w) for features (n, D, h, w)."""
    n, _, h, w = features.shape
    return torch.full((1, h, w), 1.0 / (h * w), dtype=features.dtype, device=features.device).expand(n, h, w)


def _segments(flat: Tensor, spec: CodeSpec) -> Tensor:
    return flat.reshape(-1, spec.n_segments, spec.arity)
