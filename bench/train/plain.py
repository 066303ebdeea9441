"""The plain training loop: what one writes first with torch and torchvision, and what the harness is measured against.

One image at a time is turned into a picture, distorted, and turned into a tensor; a DataLoader makes batches; the
network trains as it is in torch's own layers, in float32 on all cores.
"""

from collections.abc import Iterable, Iterator
from multiprocessing import get_all_start_methods

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from bench.plan.augmentation import AT_LEVEL, Augmentation
from bench.train.data import Data, Split

# How PIL calls a picture of so many channels.
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def plain_transform(level: str, mean: Tensor, std: Tensor) -> transforms.Compose:
    """torchvision's transforms for one picture: the same distortion, then a (C, H, W) tensor, normalised by (C, 1, 1)
    means and deviations. Of 2 and 4 channels PIL takes the last for opacity, which weighs the others as it distorts."""
    augmentation = AT_LEVEL[level]
    steps: list[object] = []
    if augmentation != Augmentation():
        steps.append(_PixelAffine(augmentation))
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(mean.flatten(), std.flatten())])


class _PixelAffine(transforms.RandomAffine):  # type: ignore[misc]  # torchvision carries no types
    """torchvision's RandomAffine, with a shift in pixels in place of a share of the picture's side."""

    def __init__(self, augmentation: Augmentation) -> None:
        super().__init__(
            augmentation.rotation,
            scale=(1 - augmentation.scale, 1 + augmentation.scale) if augmentation.scale else None,
            interpolation=transforms.InterpolationMode.BILINEAR,
        )
        self._shift = augmentation.shift

    def forward(self, img: Image.Image) -> Image.Image:
        self.translate = tuple(self._shift / side for side in img.size)
        distorted: Image.Image = super().forward(img)
        return distorted


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images one at a time, as torchvision's data sets hand them out."""

    def __init__(self, split: Split, transform: transforms.Compose) -> None:
        self._split = split
        self._transform = transform

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(as_picture(self._split.images[index])), int(self._split.labels[index])


def as_picture(image: Tensor) -> Image.Image:
    """A uint8 image (C, H, W) of 1 to 4 channels as PIL has it."""
    mode = _MODES[len(image)]
    return Image.frombytes(
        mode, (image.shape[2], image.shape[1]), image.permute(1, 2, 0).contiguous().numpy().tobytes()
    )


def plain_loader(
    data: Data, level: str, batch_size: int, batches: int, workers: int
) -> "DataLoader[tuple[Tensor, int]]":
    """A DataLoader of so many shuffled batches of distorted training images, made by `workers` processes."""
    images = PlainImages(data.train, plain_transform(level, *data.pixel_mean_std))
    sampler = RandomSampler(images, num_samples=batches * batch_size)
    # Inside a worker process of ours the default would be to start a new interpreter for each.
    context = "fork" if workers and "fork" in get_all_start_methods() else None
    return DataLoader(images, batch_size, sampler=sampler, num_workers=workers, multiprocessing_context=context)


def plain_losses(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], optimizer: torch.optim.Optimizer
) -> Iterator[float]:
    """Trains on each batch of (N, C, H, W) images and (N,) labels and yields its mean loss before the step."""
    network.train()
    for images, labels in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        yield loss.item()
