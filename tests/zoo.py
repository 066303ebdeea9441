"""Ten small networks as they stand in public model zoos, written anew, in the ways in which people write them: own
classes, functional layers, `view`, sequentials that are walked through, parameters on a module, tied weights.

Each is a function `(shape, classes, **levels) -> nn.Module` for images of `shape` (channels, height, width), 8x8 pixels
or more, with fewer than 100,000 parameters up to 3x32x32 and 10 classes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int, int]


def lenet5(shape: Shape, classes: int, *, width: int = 6, tanh: bool = True) -> nn.Module:
    """LeCun et al. 1998, with max pools, its maps flattened by `view`."""
    return _LeNet5(shape, classes, width, tanh)


def mnist_example(shape: Shape, classes: int, *, dropout: float = 0.25) -> nn.Module:
    """As in pytorch/examples/mnist, a quarter as wide, which returns log probabilities; dropout by a functional layer
    and by a module."""
    return _MnistExample(shape, classes, dropout)


def resnet8(shape: Shape, classes: int, *, width: int = 8, skip: bool = True) -> nn.Module:
    """He et al. 2016, section 4.2, with n = 1: three basic blocks."""
    return _ResNet(shape, classes, width, skip)


def mobilenet_v2(shape: Shape, classes: int, *, expansion: int = 4, attention: bool = False) -> nn.Module:
    """Sandler et al. 2018: inverted residuals, depthwise convolutions; squeeze and excitation as in MobileNetV3."""
    blocks = [(8, 1), (12, 2), (12, 1), (16, 2), (16, 1)]
    layers: list[nn.Module] = [_conv_norm(shape[0], 8, 3), nn.ReLU6(inplace=True)]
    channels = 8
    for wide, stride in blocks:
        layers.append(_InvertedResidual(channels, wide, stride, expansion, attention))
        channels = wide
    return nn.Sequential(
        *layers,
        _conv_norm(channels, 64, 1),
        nn.ReLU6(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def shufflenet(shape: Shape, classes: int, *, groups: int = 2) -> nn.Module:
    """Zhang et al. 2018: grouped 1x1 convolutions with a shuffle of channels between."""
    return nn.Sequential(
        _conv_norm(shape[0], 16, 3),
        nn.ReLU(),
        *(_ShuffleUnit(16, groups) for _ in range(2)),
        nn.MaxPool2d(2),
        _conv_norm(16, 32, 1),
        nn.ReLU(),
        *(_ShuffleUnit(32, groups) for _ in range(2)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


def squeezenet(shape: Shape, classes: int, *, dropout: float = 0.5, deep_supervision: bool = False) -> nn.Module:
    """Iandola et al. 2016; its features are walked through one by one, and two heads can be joined."""
    return _SqueezeNet(shape, classes, dropout, deep_supervision)


def densenet(shape: Shape, classes: int, *, growth: int = 6, layers: int = 3) -> nn.Module:
    """Huang et al. 2017: batch norm before the convolution, every layer reads all before it."""
    return _DenseNet(shape, classes, growth, layers)


def convnext(shape: Shape, classes: int, *, width: int = 16, scale: float = 1e-2) -> nn.Module:
    """Liu et al. 2022: 7x7 depthwise convolutions, LayerNorm over channels, a scale a channel as a parameter."""
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 2, stride=2),
        nn.GroupNorm(1, width),
        *(_ConvNextBlock(width, scale) for _ in range(3)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(width),
        nn.Linear(width, classes),
    )


def vit(shape: Shape, classes: int, *, width: int = 32, depth: int = 2, share: bool = False) -> nn.Module:
    """Dosovitskiy et al. 2021: 4x4 patches, a class token, self attention; with `share` all layers are one (ALBERT)."""
    return _ViT(shape, classes, width, depth, share)


def mlp_mixer(shape: Shape, classes: int, *, width: int = 32, depth: int = 2) -> nn.Module:
    """Tolstikhin et al. 2021: multilayer perceptrons over patches and over channels in turn."""
    tokens = (shape[1] // 4) * (shape[2] // 4)
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 4, stride=4),
        nn.Flatten(2),
        *(_MixerBlock(width, tokens) for _ in range(depth)),
        _MeanHead(width, classes),
    )


ZOO: dict[str, Callable[..., nn.Module]] = {
    build.__name__: build
    for build in (
        lenet5,
        mnist_example,
        resnet8,
        mobilenet_v2,
        shufflenet,
        squeezenet,
        densenet,
        convnext,
        vit,
        mlp_mixer,
    )
}


class _LeNet5(nn.Module):
    def __init__(self, shape: Shape, classes: int, width: int, tanh: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], width, 5, padding=2)
        self.conv2 = nn.Conv2d(width, 16, 5, padding=2)
        self.features = 16 * (shape[1] // 4) * (shape[2] // 4)
        self.fc1 = nn.Linear(self.features, 60)
        self.fc2 = nn.Linear(60, 84)
        self.fc3 = nn.Linear(84, classes)
        self.activation = torch.tanh if tanh else F.relu

    def forward(self, images: Tensor) -> Tensor:
        maps = F.max_pool2d(self.activation(self.conv1(images)), 2)
        maps = F.max_pool2d(self.activation(self.conv2(maps)), 2)
        values = maps.view(-1, self.features)
        values = self.activation(self.fc1(values))
        logits: Tensor = self.fc3(self.activation(self.fc2(values)))
        return logits


class _MnistExample(nn.Module):
    def __init__(self, shape: Shape, classes: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1)
        self.dropout1 = nn.Dropout(dropout)
        self.rate = dropout
        self.fc1 = nn.Linear(16 * ((shape[1] - 4) // 2) * ((shape[2] - 4) // 2), 24)
        self.fc2 = nn.Linear(24, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        x = F.dropout(x, 2 * self.rate, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


class _ResNet(nn.Module):
    def __init__(self, shape: Shape, classes: int, width: int, skip: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(shape[0], width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.layer1 = _BasicBlock(width, width, 1, skip)
        self.layer2 = _BasicBlock(width, 2 * width, 2, skip)
        self.layer3 = _BasicBlock(2 * width, 4 * width, 2, skip)
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.layer3(self.layer2(self.layer1(self.stem(images))))
        logits: Tensor = self.fc(maps.mean((2, 3)))
        return logits


class _BasicBlock(nn.Module):
    def __init__(self, narrow: int, wide: int, stride: int, skip: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.skip = skip
        same = stride == 1 and narrow == wide
        self.downsample = (
            None if same or not skip else nn.Sequential(nn.Conv2d(narrow, wide, 1, stride), nn.BatchNorm2d(wide))
        )

    def forward(self, maps: Tensor) -> Tensor:
        before = maps if self.downsample is None else self.downsample(maps)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps)))))
        result: Tensor = self.relu(out + before if self.skip else out)
        return result


def _conv_norm(narrow: int, wide: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(narrow, wide, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(wide))


class _InvertedResidual(nn.Module):
    def __init__(self, narrow: int, wide: int, stride: int, expansion: int, attention: bool) -> None:
        super().__init__()
        inner = narrow * expansion
        self.body = nn.Sequential(
            _conv_norm(narrow, inner, 1),
            nn.ReLU6(inplace=True),
            _conv_norm(inner, inner, 3, stride, groups=inner),
            nn.ReLU6(inplace=True),
            _SqueezeExcitation(inner) if attention else nn.Identity(),
            _conv_norm(inner, wide, 1),
        )
        self.skips = stride == 1 and narrow == wide

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.body(maps)
        return maps + out if self.skips else out


class _SqueezeExcitation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, max(channels // 4, 1), 1)
        self.fc2 = nn.Conv2d(max(channels // 4, 1), channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        scale: Tensor = torch.sigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(maps, 1)))))
        return maps * scale


class _ShuffleUnit(nn.Module):
    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.squeeze = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 1, groups=groups, bias=False), nn.BatchNorm2d(channels // 2), nn.ReLU()
        )
        self.depthwise = _conv_norm(channels // 2, channels // 2, 3, groups=channels // 2)
        self.expand = _conv_norm(channels // 2, channels, 1, groups=groups)

    def forward(self, maps: Tensor) -> Tensor:
        squeezed = self.squeeze(maps)
        count, channels, height, width = squeezed.shape
        shuffled = squeezed.view(count, self.groups, channels // self.groups, height, width).transpose(1, 2)
        return F.relu(maps + self.expand(self.depthwise(shuffled.reshape(count, channels, height, width))))


class _Fire(nn.Module):
    def __init__(self, narrow: int, squeeze: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(narrow, squeeze, 1), nn.ReLU(inplace=True))
        self.expand1 = nn.Conv2d(squeeze, wide, 1)
        self.expand3 = nn.Conv2d(squeeze, wide, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        squeezed = self.squeeze(maps)
        return F.relu(torch.cat([self.expand1(squeezed), self.expand3(squeezed)], 1))


class _SqueezeNet(nn.Module):
    def __init__(self, shape: Shape, classes: int, dropout: float, deep_supervision: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            _Fire(16, 8, 16),
            _Fire(32, 8, 16),
            nn.MaxPool2d(2),
            _Fire(32, 12, 24),
        )
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Conv2d(48, classes, 1))
        self.early = nn.Conv2d(16, classes, 1) if deep_supervision else None

    def forward(self, maps: Tensor) -> Tensor:
        early = torch.zeros(())
        for number, layer in enumerate(self.features):
            maps = layer(maps)
            if number == 2 and self.early is not None:
                early = self.early(maps).mean((2, 3))
        logits: Tensor = self.classifier(maps).mean((2, 3))
        return logits + 0.3 * early if self.early is not None else logits


class _DenseNet(nn.Module):
    def __init__(self, shape: Shape, classes: int, growth: int, layers: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(shape[0], 2 * growth, 3, padding=1, bias=False)
        channels = 2 * growth
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for _ in range(2):
            self.blocks.append(
                nn.ModuleList(_DenseLayer(channels + number * growth, growth) for number in range(layers))
            )
            channels += layers * growth
            self.transitions.append(
                nn.Sequential(
                    nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1), nn.AvgPool2d(2)
                )
            )
            channels //= 2
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        for block, transition in zip(self.blocks, self.transitions, strict=True):
            known = [maps]
            for layer in block:  # type: ignore[attr-defined]  # a ModuleList
                known.append(layer(torch.cat(known, 1)))
            maps = transition(torch.cat(known, 1))
        logits: Tensor = self.classifier(F.relu(maps).mean((2, 3)))
        return logits


class _DenseLayer(nn.Sequential):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.add_module("norm", nn.BatchNorm2d(channels))
        self.add_module("relu", nn.ReLU(inplace=True))
        self.add_module("conv", nn.Conv2d(channels, growth, 3, padding=1, bias=False))


class _ConvNextBlock(nn.Module):
    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(scale * torch.ones(width))

    def forward(self, maps: Tensor) -> Tensor:
        values = self.norm(self.depthwise(maps).permute(0, 2, 3, 1))
        values = self.gamma * self.narrow(F.gelu(self.wide(values)))
        scaled: Tensor = values.permute(0, 3, 1, 2)
        return maps + scaled


class _ViT(nn.Module):
    positions: Tensor

    def __init__(self, shape: Shape, classes: int, width: int, depth: int, share: bool) -> None:
        super().__init__()
        tokens = (shape[1] // 4) * (shape[2] // 4)
        self.patches = nn.Conv2d(shape[0], width, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        angles = torch.arange(tokens + 1)[:, None] / 100 ** (torch.arange(width)[None] / width)
        self.register_buffer("positions", angles.sin())
        layers = [_EncoderLayer(width)] * depth if share else [_EncoderLayer(width) for _ in range(depth)]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, classes))

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        values = torch.cat([self.token.expand(len(images), -1, -1), patches], 1) + self.positions
        for layer in self.layers:
            values = layer(values)
        logits: Tensor = self.head(values[:, 0])
        return logits


class _EncoderLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(2 * width, width))

    def forward(self, values: Tensor) -> Tensor:
        normed = self.norm1(values)
        values = values + self.attention(normed, normed, normed, need_weights=False)[0]
        result: Tensor = values + self.mlp(self.norm2(values))
        return result


class _MixerBlock(nn.Module):
    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.over_tokens = nn.Sequential(nn.Linear(tokens, 16), nn.GELU(), nn.Linear(16, tokens))
        self.norm2 = nn.LayerNorm(width)
        self.over_channels = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, values: Tensor) -> Tensor:
        """(N, width, tokens)."""
        by_token = values.transpose(1, 2)
        by_token = by_token + self.over_tokens(self.norm1(by_token).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = by_token + self.over_channels(self.norm2(by_token))
        return mixed.transpose(1, 2)


class _MeanHead(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, classes)

    def forward(self, values: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.norm(values.mean(2)))
        return logits
