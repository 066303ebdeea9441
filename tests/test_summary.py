"""The summary of any network: shapes, receptive fields, parameters and MACs, against numbers counted by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

from bench.cli import run_command_line
from bench.plan.catalogue import find_factors
from bench.plan.cells import preset_cell
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections.architectures import architecture_table
from bench.report.sections.cells.results import preset_results
from bench.report.sections.receptive_field import chart as receptive_field_chart
from bench.run.networks import cell_summary, layers_today
from bench.train import summary as counted
from bench.train.network import plain_network
from bench.train.summary import WHOLE_NETWORK, LayerRow, Summary
from tests.studies import GOOD, bench, edited, write
from tests.synthetic import write_rows

SHAPE = (1, 28, 28)
EVERY = pytest.mark.parametrize("architecture", ["model1", "model2", "model3"])


def summarise(network: nn.Module, input_shape: tuple[int, int, int]) -> Summary:
    """As `summarise`, whose totals are those that are counted alone."""
    summary = counted.summarise(network, input_shape)
    assert counted.count_sizes(network, input_shape) == (summary.parameters, summary.macs)
    assert counted.count_parameters(network) == summary.parameters
    return summary


def rows_of(summary: Summary) -> dict[str, LayerRow]:
    return {row.name: row for row in summary.layers}


class Own(nn.Module):
    """A network whose parts and forward pass a test says."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self._forward = forward

    def forward(self, images: Tensor) -> Any:
        return self._forward(self, images)


def pooled(maps: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(maps, 1).flatten(1)


def test_a_network_counted_by_hand() -> None:
    summary = cell_summary(preset_cell("model1"), SHAPE, 10)
    layers = rows_of(summary)
    assert layers["block2.conv"].output == (8, 24, 24)
    assert layers["block2.conv"].parameters == 16 * 8 * 9 + 8
    assert layers["block2.conv"].macs == 24 * 24 * 8 * 16 * 9
    assert layers["linear"].macs == 90 * 10
    # Three convolutions of 3x3 see 7 pixels, a pool of 2 behind them 8; a convolution behind that 4 more.
    assert [layers[name].receptive_field for name in ("block3.relu", "block3.pool", "block4.conv")] == [7, 8, 12]
    assert layers["linear"].receptive_field is None
    assert summary.parameters == sum(layer.parameters for layer in summary.layers) == 7_616
    assert summary.receptive_field == 34


@EVERY
def test_receptive_field_is_what_reaches_a_classifier_output(architecture: str) -> None:
    """With averages for maxima and positive weights, every pixel of the field has a gradient and no other does."""
    size = 160
    cell = preset_cell(architecture)
    for factor in find_factors(["batch_norm", "gap", "dropout"]):
        cell = cell.with_level(factor, factor.off)
    network = plain_network(cell, (1, size, size), classes=10)
    layers: list[nn.Module] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0)
            layers.append(module)
        elif isinstance(module, nn.MaxPool2d):
            layers.append(nn.AvgPool2d(module.kernel_size))
    image = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    maps = nn.Sequential(*layers).double()(image)
    middle = maps.shape[-1] // 2
    maps[0, 0, middle, middle].backward()
    assert image.grad is not None
    reached = (image.grad[0, 0] != 0).any(dim=0).sum().item()
    assert reached == rows_of(cell_summary(cell, SHAPE, 10))["classifier"].receptive_field


class Residual(nn.Module):
    """Two convolutions and a shortcut that is added in place."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False)
        self.relu = nn.ReLU(inplace=True)
        nn.init.zeros_(self.second.weight)

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.second(self.relu(self.norm(self.first(maps))))
        out += self.shortcut(maps)
        result: Tensor = self.relu(out)
        return result


def residual_net(unfollowed: bool) -> nn.Module:
    def forward(net: Any, images: Tensor) -> Tensor:
        maps = net.b(net.a(images[:] if unfollowed else images))
        logits: Tensor = net.head(pooled(maps))
        return logits

    return Own(forward, a=Residual(1, 4, 1), b=Residual(4, 8, 2), head=nn.Linear(8, 10))


@pytest.mark.parametrize("unfollowed", [False, True])
def test_a_residual_network(unfollowed: bool) -> None:
    """A shortcut alone sees less than the branch that it joins; a branch of zeros counts nevertheless."""
    summary = summarise(residual_net(unfollowed), SHAPE)
    fields = [(row.name, row.receptive_field) for row in summary.layers]
    assert fields == [
        *(("a.first", 3), ("a.norm", 3), ("a.second", 5), ("a.shortcut", 1), ("a.relu", 5)),
        *(("b.first", 7), ("b.norm", 7), ("b.second", 11), ("b.shortcut", 5), ("b.relu", 11)),
        ("head", None),
    ]
    assert summary.receptive_field == 11
    assert rows_of(summary)["b.second"].macs == 8 * 8 * 9 * 14 * 14


def test_an_activation_that_is_dead_hides_nothing() -> None:
    network = Own(lambda net, x: pooled(net.b(F.relu(-net.a(x[:]) - 9))), a=nn.Conv2d(1, 2, 3), b=nn.Conv2d(2, 5, 3))
    assert [row.receptive_field for row in summarise(network, SHAPE).layers] == [3, 5]


def test_a_map_that_is_written_into_sees_what_is_written() -> None:
    def forward(net: Any, images: Tensor) -> Tensor:
        maps, wide = net.a(images), net.b(images)
        maps[:, :1].add_(wide)
        return pooled(net.c(maps))

    network = Own(forward, a=nn.Conv2d(1, 4, 3), b=nn.Conv2d(1, 1, 7, padding=2), c=nn.Conv2d(4, 5, 1))
    assert [row.receptive_field for row in summarise(network, SHAPE).layers] == [3, 7, 7]


@pytest.mark.parametrize("unfollowed", [False, True])
def test_after_squeeze_and_excitation_a_position_sees_the_whole_image(unfollowed: bool) -> None:
    def forward(net: Any, images: Tensor) -> Tensor:
        maps = F.relu(net.a(images[:] if unfollowed else images))
        gate = torch.sigmoid(net.gate(maps.mean((2, 3))))
        logits: Tensor = net.head(net.b(maps * gate[:, :, None, None]).mean((2, 3)))
        return logits

    network = Own(forward, a=nn.Conv2d(1, 4, 3), gate=nn.Linear(4, 4), b=nn.Conv2d(4, 4, 3), head=nn.Linear(4, 7))
    summary = summarise(network, (1, 12, 20))
    assert [row.receptive_field for row in summary.layers] == [3, None, None, None]
    assert summary.receptive_field is None


class Encoder(nn.Module):
    """Attention over tokens and a scale of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.scale = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm(tokens)
        attended: Tensor = self.attention(normed, normed, normed, need_weights=False)[0]
        return tokens + self.scale * attended


def test_a_vision_transformer() -> None:
    def forward(net: Any, images: Tensor) -> Tensor:
        tokens = net.patches(images).flatten(2).transpose(1, 2) + net.places
        logits: Tensor = net.head(net.encoder(tokens).mean(1))
        return logits

    network = Own(
        forward,
        patches=nn.Conv2d(1, 8, 7, 7),
        places=nn.Parameter(torch.zeros(1, 16, 8)),
        encoder=Encoder(8),
        head=nn.Linear(8, 10),
    )
    summary = summarise(network, SHAPE)
    rows = rows_of(summary)
    assert list(rows) == [WHOLE_NETWORK, "patches", "encoder", "encoder.norm", "encoder.attention", "head"]
    assert rows[WHOLE_NETWORK].parameters == 16 * 8
    assert rows["patches"].receptive_field == rows["encoder.norm"].receptive_field == 7
    attention = rows["encoder.attention"]
    # Four projections of 16 tokens, then each token with each: the products and the weighted sums.
    assert attention.macs == 4 * 16 * 8 * 8 + 2 * 16 * 16 * 8
    assert attention.output == (16, 8)
    assert attention.parameters == 4 * (8 * 8 + 8)
    assert attention.receptive_field is None
    assert rows["encoder"].parameters == 8
    assert summary.receptive_field is None
    assert summary.parameters == sum(p.numel() for p in network.parameters())


def test_depthwise_strided_dilated_and_long_kernels() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 6, (1, 5), stride=2),  # 5 pixels wide, 1 high
        nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6, padding_mode="reflect"),  # (3 - 1) x 2 x 2 more
        nn.Conv2d(6, 7, 1),
        nn.AvgPool2d((2, 1)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    summary = summarise(network, (3, 24, 32))
    wide, deep, narrow, pool, *_ = summary.layers
    assert [wide.receptive_field, deep.receptive_field, narrow.receptive_field, pool.receptive_field] == [5, 13, 13, 13]
    assert wide.macs == 3 * 6 * 5 * 12 * 14
    assert deep.macs == 6 * 9 * 12 * 14
    assert deep.parameters == 6 * 9 + 6
    assert summary.receptive_field == 13


def test_weights_that_layers_share_count_once() -> None:
    first, second = nn.Linear(784, 10, bias=False), nn.Linear(784, 10)
    second.weight = first.weight
    network = Own(lambda net, images: net.a(images.flatten(1)) + net.b(images.flatten(1)), a=first, b=second)
    summary = summarise(network, SHAPE)
    assert [row.parameters for row in summary.layers] == [7840, 10]
    assert [row.macs for row in summary.layers] == [7840, 7840]
    assert summary.parameters == 7850


class Narrow(nn.Module):
    """A matrix as the product of two with three numbers between them."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left @ right

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return weight[:, :3].clone(), weight[:3].clone()


class Shaken(nn.Module):
    """A weight with noise."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight + torch.randn_like(weight)


def test_weights_that_are_computed_count_as_they_are_deployed() -> None:
    def build() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 10))

    plain, computed = build(), build()
    weight_norm(computed[0])
    register_parametrization(computed[3], "weight", Narrow())
    summary, usual = summarise(computed, SHAPE), summarise(plain, SHAPE)
    assert summary.layers == usual.layers
    assert (summary.parameters, summary.macs) == (usual.parameters, usual.macs)
    assert usual.training_parameters == usual.parameters == 4 * 9 + 4 + 16 * 10 + 10
    assert summary.training_parameters == (4 + 4 * 9 + 4) + (3 * 16 + 3 * 10 + 10)
    assert is_parametrized(computed[0], "weight")


def test_computing_weights_leaves_the_generator_and_counts_no_buffers() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    usual = summarise(network, SHAPE).parameters
    register_parametrization(network[0], "weight", Shaken(), unsafe=True)
    register_parametrization(network[1], "running_mean", nn.Identity())
    before = torch.get_rng_state()
    assert summarise(network, SHAPE).parameters == usual == 4 * 9 + 4 + 2 * 4
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_and_report_say_with_how_many_parameters_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    normed = edited(
        ("from torch import nn\n", "from torch import nn\nfrom torch.nn.utils.parametrizations import weight_norm\n"),
        ("nn.Conv2d(shape[0], width, 3, stride=3),", "weight_norm(nn.Conv2d(shape[0], width, 3, stride=3)),"),
    )
    for name, text in (("plain", GOOD), ("normed", normed)):
        assert bench("run", write(tmp_path, text, f"{name}.py"), "--no-timing", "--factors", "width").code == 0
    plain, trained = (
        pd.read_csv(f"results/{name}/digits/trials.csv", index_col="width").sort_index() for name in ("plain", "normed")
    )
    assert trained["parameters"].equals(plain["parameters"])
    assert plain["training_parameters"].isna().all()
    assert (trained["training_parameters"] - trained["parameters"] == trained.index).all()
    page = Path("reports/normed/digits/README.md").read_text(encoding="utf-8")
    assert "While they train, parameters are more: tiny " in page
    assert "Computed weights" not in Path("reports/plain/digits/README.md").read_text(encoding="utf-8")


def test_a_module_that_is_called_twice_has_one_row() -> None:
    network = Own(lambda net, images: pooled(net.conv(net.conv(images))), conv=nn.Conv2d(1, 1, 3, padding=1))
    [row] = summarise(network, SHAPE).layers
    assert row.parameters == 10
    assert row.macs == 2 * 9 * 28 * 28
    assert row.receptive_field == 5


def test_functions_count_for_the_module_that_calls_them() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(4, 1, 3, 3))
            self.one = nn.Conv2d(4, 4, 1)

        def forward(self, images: Tensor) -> Tensor:
            maps: Tensor = self.one(F.conv2d(images, self.kernel))
            return maps

    network = Own(lambda net, images: net.part(images).mean((2, 3)) @ net.head, part=Functional())
    network.head = nn.Parameter(torch.randn(4, 10))
    rows = rows_of(summarise(network, SHAPE))
    assert rows[WHOLE_NETWORK].macs == 40
    assert rows["part"].macs == 9 * 4 * 26 * 26
    assert rows["part"].parameters == 36
    assert rows["part"].receptive_field == rows["part.one"].receptive_field == 3
    assert rows["part.one"].macs == 16 * 26 * 26


def test_a_module_that_is_never_called_has_no_output() -> None:
    network = Own(lambda net, images: pooled(net.conv(images)), conv=nn.Conv2d(1, 5, 3), spare=nn.Linear(3, 4))
    spare = rows_of(summarise(network, SHAPE))["spare"]
    assert (spare.output, spare.receptive_field, spare.parameters, spare.macs) == (None, None, 16, 0)


def test_recurrent_layers_and_functions_of_the_users_own() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(_context: Any, maps: Tensor) -> Tensor:
            return maps * 2

        @staticmethod
        def backward(_context: Any, gradient: Tensor) -> Tensor:
            return gradient * 2

    def doubled(net: Any, images: Tensor) -> Tensor:
        result: Any = Double.apply(net.conv(images))
        return pooled(net.again(result))

    summary = summarise(Own(doubled, conv=nn.Conv2d(1, 3, 3), again=nn.Conv2d(3, 10, 3)), SHAPE)
    assert [row.receptive_field for row in summary.layers] == [3, 5]
    recurrent = Own(
        lambda net, images: net.head(net.rnn(images[:, 0])[0][:, -1]),
        rnn=nn.LSTM(28, 16, batch_first=True),
        head=nn.Linear(16, 10),
    )
    rows = rows_of(summarise(recurrent, SHAPE))
    assert rows["rnn"].macs == 28 * 4 * 16 * (28 + 16)
    assert rows["head"].receptive_field is None


def slide(draw: st.DrawFn) -> nn.Module:
    kind = draw(st.sampled_from(["conv", "conv", "max", "mean", "norm", "relu"]))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    if kind == "conv":
        dilation, stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 2))), draw(st.integers(1, 2))
        conv = nn.Conv2d(2, 2, kernel, stride, draw(st.integers(0, 2)), dilation, groups=draw(st.integers(1, 2)))
        nn.init.normal_(conv.weight)
        return conv
    if kind == "max":
        return nn.MaxPool2d(kernel, draw(st.sampled_from([None, 1, 2])), dilation=draw(st.integers(1, 2)))
    if kind == "mean":
        return nn.AvgPool2d(kernel, draw(st.sampled_from([None, 1, 2])))
    return nn.BatchNorm2d(2) if kind == "norm" else nn.ReLU(inplace=draw(st.booleans()))


@st.composite
def chains(draw: st.DrawFn) -> list[nn.Module]:
    return [slide(draw) for _ in range(draw(st.integers(1, 5)))]


def by_hand(chain: list[nn.Module]) -> tuple[int, int]:
    """The larger side of what is seen, and of the steps."""
    fields, jumps = [1, 1], [1, 1]
    for layer in chain:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            for side in (0, 1):
                kernel, stride, dilation = (
                    size[side] if isinstance(size, tuple) else size
                    for size in (layer.kernel_size, layer.stride, getattr(layer, "dilation", 1))
                )
                fields[side] += (kernel - 1) * dilation * jumps[side]
                jumps[side] *= stride
    return max(fields), max(jumps)


@given(chains())
@settings(deadline=None, max_examples=60)
def test_what_is_measured_is_the_closed_form(chain: list[nn.Module]) -> None:
    side, jump = by_hand(chain)
    assume(side + 4 * jump + 8 < 72)
    try:
        maps = nn.Sequential(*chain)(torch.zeros(2, 2, 72, 72))
    except RuntimeError:
        assume(False)
    assume(min(maps.shape[2:]) > 2)
    last = [layer for layer in chain if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)]
    closed = summarise(nn.Sequential(nn.Sequential(*chain), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (2, 72, 72))
    assert closed.receptive_field == side
    measured = summarise(Own(lambda net, x: pooled(net.chain(x[:])), chain=nn.Sequential(*chain)), (2, 72, 72))
    assert [row.receptive_field for row in measured.layers] == [row.receptive_field for row in closed.layers[:-2]]
    assert measured.receptive_field == side or not last


def test_a_measured_field_that_reaches_the_border_has_no_number() -> None:
    """On images of other sides than the field's the side that is whole counts."""
    network = Own(lambda net, x: pooled(net.b(net.a(x[:]))), a=nn.Conv2d(1, 2, 9, padding=4), b=nn.Conv2d(2, 5, 7))
    fields = [(shape, summarise(network, shape).receptive_field) for shape in ((1, 15, 15), (1, 15, 40), (1, 40, 40))]
    assert fields == [((1, 15, 15), None), ((1, 15, 40), 15), ((1, 40, 40), 15)]


def test_a_chain_has_its_number_on_images_that_are_smaller() -> None:
    assert cell_summary(preset_cell("model3"), (1, 16, 16), 10).receptive_field == 44


def test_the_network_and_the_random_generator_stay_as_they_were() -> None:
    norm = nn.BatchNorm2d(4).eval()
    network = Own(
        lambda net, images: pooled(F.dropout(net.norm(net.conv(images.add_(1))), 0.5)),  # drops in evaluation as well
        conv=nn.Conv2d(1, 4, 3),
        norm=norm,
    )
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    flags = [module.training for module in network.modules()]
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = summarise(network, SHAPE)
    with torch.inference_mode():
        assert summarise(network, SHAPE) == first
    assert [module.training for module in network.modules()] == flags
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in network.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    cell_summary(preset_cell("model2"), (1, 30, 29), 10)
    assert torch.equal(torch.get_rng_state(), state)


def broken(_net: Any, _images: Tensor) -> Tensor:
    raise RuntimeError("\nthe first line\nthe second line")


def test_a_network_that_fails_is_left_as_it_was() -> None:
    conv = nn.Conv2d(1, 4, 3)
    network = Own(broken, conv=conv)
    with pytest.raises(
        ValueError, match=r"1x28x28: RuntimeError: the first line the second line \(test_summary.py, line \d+\)$"
    ):
        summarise(network, SHAPE)
    assert network.training
    assert not conv._forward_hooks


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (lambda _net, images: (images.flatten(1), images), "gives a tuple"),
        (lambda _net, _images: None, "gives nothing"),
        (lambda _net, images: {"logits": images}, "gives a dict"),
        (lambda _net, images: images, "gives a tensor of 2x1x28x28"),
        (lambda _net, images: images.sum(), "gives a tensor of one number"),
        (
            lambda _net, images: F.conv2d(images, torch.ones(1, 1, 40, 40)),
            "fails on a blank image of 1x28x28: .*40 x 40",
        ),
    ],
)
def test_what_is_no_network_of_logits_is_said_in_one_line(result: Callable[[Any, Tensor], Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^the network {said}") as raised:
        summarise(Own(result, conv=nn.Conv2d(1, 1, 1)), SHAPE)
    assert "\n" not in str(raised.value)


def test_a_network_that_squeezes_a_batch_of_one_is_measured_with_two() -> None:
    network = Own(lambda net, images: net.conv(images).mean((2, 3), keepdim=True).squeeze(), conv=nn.Conv2d(1, 5, 3))
    summary = summarise(network, SHAPE)
    assert summary.macs == 9 * 5 * 26 * 26
    assert summary.receptive_field == 3


def test_layers_of_today_are_none_where_the_network_cannot_be_built() -> None:
    layers = layers_today(preset_cell("model3"), "1x28x28", 10)
    assert layers is not None
    assert [field for kind, field, _ in layers if kind in {"Conv2d", "MaxPool2d"}][-1] == 44
    assert sum(macs for _, _, macs in layers) == cell_summary(preset_cell("model3"), SHAPE, 10).macs
    assert layers_today(preset_cell("model1"), "1x6x6", 10) is None


def test_a_field_that_is_the_whole_image_is_written_read_and_reported(tmp_path: Path) -> None:
    cell = preset_cell("model1")
    store = write_rows(tmp_path / "mnist", [cell, preset_cell("model2")], seeds=2, images=200)
    lines = store.trials_path.read_text().splitlines()
    place = lines[0].split(",").index("receptive_field")
    fields = [line.split(",") for line in lines]
    for line in fields[1:]:
        line[place] = "" if "model1" in line else line[place]
    store.trials_path.write_text("".join(",".join(line) + "\n" for line in fields))
    analysis = Report(gather(store, "mnist"), 0.0005)
    assert [result.cost.receptive_field for result in preset_results(analysis)] == [None, 34]
    table = architecture_table(analysis)
    assert [row["receptive_field"] for row in table.rows] == ["whole image", 34]
    assert "whole image" in table.markdown()
    assert "34.0" not in table.csv()
    assert [row["layers"] for row in table.rows] == [None, None]
    named = architecture_table(Report(gather(store, "mnist"), 0.0005, layers_today))
    assert [(row["layers"], row["pools"]) for row in named.rows] == [(8, 2), (7, 2)]


def test_the_chart_leaves_out_what_has_no_field(tmp_path: Path) -> None:
    store = write_rows(tmp_path / "mnist", [preset_cell("model1")], seeds=2, images=200)
    evidence = gather(store, "mnist")
    assert receptive_field_chart.draw(Report(evidence, 0.0005)) is None
    assert (
        receptive_field_chart.draw(Report(evidence, 0.0005, lambda *_: [("Conv2d", None, 9), ("ReLU", 3, 0)])) is None
    )
    chart = receptive_field_chart.draw(Report(evidence, 0.0005, lambda *_: [("Conv2d", 5, 9), ("Conv2d", None, 9)]))
    assert chart is not None
    assert "ends at 5 pixels in model1" in chart.alt


def test_show_is_about_the_images_of_the_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["show", "model2", "--data-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "For one 1x28x28 image of digits (10 classes)" in out
    assert "whole image" in out
    assert run_command_line(["show", "model2", "--dataset", "mnist", "--data-dir", str(tmp_path)]) == 1
    assert "mnist is not in" in capsys.readouterr().err
