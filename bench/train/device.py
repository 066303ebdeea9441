"""The device class that trials train on, and what the machine offers of it."""

import torch

from bench.errors import UsageError
from bench.plan.protocol import Device


def choose_device(asked: str, elsewhere: bool = False) -> Device:
    """`cpu` or `cuda`; of `auto`, cuda where torch finds a GPU. Raises UsageError where there is none as asked, unless
    it is needed `elsewhere`."""
    if asked == "cuda" and not elsewhere and not torch.cuda.is_available():
        raise UsageError("--device cuda needs a GPU that this torch can use, and it finds none: leave it at auto")
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda" if asked == "cuda" else "cpu"


def multiplies_bf16(device: Device) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    return torch.cuda.is_bf16_supported(including_emulation=False) if device == "cuda" else has_native_bf16()


def gpu_and_cuda(device: Device) -> tuple[str | None, str | None]:
    """The GPU's name and the CUDA version that torch was built with; None on a CPU, and where there is no GPU."""
    if device == "cpu" or not torch.cuda.is_available():
        return None, None
    return torch.cuda.get_device_name(), torch.version.cuda


def cpu_vectors() -> str:
    """The widest vectors that torch computes with on this CPU, and whether it multiplies bfloat16: `avx512 bf16`."""
    widest = torch.backends.cpu.get_cpu_capability().lower()
    return f"{widest} bf16" if has_native_bf16() else widest


def has_native_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware: AMX or AVX-512 BF16 on x86, BF16 on ARM."""
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
