"""What takes a network of 8,000 parameters further: wider teachers, another optimiser, or linear expansion?

    bench data fetch mnist    once: the images
    bench select record.py --dataset mnist
    bench run record.py --val 10000 --factors distillation,optimizer,expansion
    bench run record.py --seeds 20 --factors distillation,optimizer,expansion

Teachers say probabilities in the place of labels; expanded, a convolution trains as three linear ones in a row and is
deployed as one. The first run compares on 10,000 training images that neither student nor teachers train on, the second
on the test set. Without MNIST's files, `--dataset digits` trains on images that come with scikit-learn.
"""

import re

import torch
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from architectures.model7 import LAYERS, model7
from bench.study import Factor, Study, Teacher


def student(shape, classes, *, width=1, expansion=0):
    """model7, which the teachers are twice as wide as: 29,072 parameters, of which the student keeps none. With an
    expansion, convolutions across channels train as products."""
    network = model7(shape, classes, layers=re.sub(r"\d+(?=[CD])", lambda number: str(width * int(number[0])), LAYERS))
    if expansion:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.groups == 1:
                register_parametrization(layer, "weight", Product(expansion))
    return network


class Product(nn.Module):
    """A convolution's weight as that of three in a row with nothing between them: across channels to so many times as
    many, the kernel, and across channels back (Guo, Alvarez and Salzmann 2020, ExpandNets, arxiv.org/abs/1811.10495).
    What it computes is that of one, but each step moves it elsewhere."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def forward(self, first, kernel, last):
        """(outputs, inputs, height, width)."""
        return torch.einsum("oa,abhw,bi->oihw", last, kernel, first)

    def right_inverse(self, weight):
        """Fresh factors, whose product is as large as a fresh weight; of the given one only its shape counts."""
        outputs, inputs, *sides = weight.shape
        between, out_of = self.times * inputs, self.times * outputs
        first = torch.randn(between, inputs) / inputs**0.5
        kernel = torch.empty(out_of, between, *sides)
        nn.init.kaiming_uniform_(kernel, a=5**0.5)
        return first, kernel, torch.randn(outputs, out_of) / out_of**0.5


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal, of every kernel as a matrix of its outputs by all else (Jordan 2024,
    kellerjordan.github.io/posts/muon); biases and norms take the steps as they are."""

    def __init__(self, parameters, rate, momentum=0.95):
        super().__init__(parameters, {"lr": rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, _closure=None):
        """Moves the parameters by their gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                average = self.state[parameter].setdefault("average", torch.zeros_like(parameter))
                average.mul_(group["momentum"]).add_(parameter.grad)
                step = average.mul(group["momentum"]).add_(parameter.grad)
                if step.ndim > 1:
                    step = orthogonal(step.flatten(1)).view_as(step)
                parameter.sub_(step, alpha=group["lr"])


def orthogonal(matrix):
    """Roughly the orthogonal matrix that is nearest, by five steps of a Newton-Schulz iteration, and larger where it
    has more rows than columns."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        square = wide @ wide.T
        wide = 3.4445 * wide + (2.0315 * square @ square - 4.7750 * square) @ wide
    rows, columns = matrix.shape
    return wide if rows <= columns else wide.T * (rows / columns) ** 0.5


STUDY = Study(
    architectures=[student],
    data=["mnist", "digits"],
    factors=[
        Factor("width", levels=(1, 2)),
        Factor("expansion", levels=(0, 4)),
        Factor(
            "distillation",
            levels=("off", "on"),
            change=lambda recipe, _level: recipe.with_teacher(Teacher({"width": 2}, networks=2)),
            words=("labels alone", "two teachers, twice as wide"),
        ),
        Factor(
            "optimizer",
            levels=("sgd", "muon"),
            change=lambda recipe, _level: recipe.with_optimizer(Muon),
            words=("SGD", "Muon"),
        ),
    ],
    preset={"augmentation": "advanced", "scheduler": "onecycle"},
    rates={"sgd": 0.1, "muon": 0.02},
    rates_by=["optimizer"],
    readouts=["ema"],
)
