"""What this process computes on: the device, and where compiled programs are kept for the next start."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Literal

from headstart.errors import UsageError

__all__ = ["CUDA", "Device", "cache_directory", "idle_gpu", "prepare", "unusable"]

Device = Literal["best", "cpu", "gpu"]

DEVICES = Path("/dev")
CUDA = "pip install 'jax[cuda12]'"
FUSIONS, KNOWN_XLA = "xla_cpu_experimental_ynn_fusion_type", "0.10"
KEPT = {-3: 2**31 - 1, -1: 2**31 - 1, -2: 100 << 20}  # glibc's M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD, in bytes
WORTH_KEEPING = 0.2  # seconds of compilation; JAX's own second would leave most of a start to be repeated


def prepare(device: Device, *, warn: Callable[[str], None]) -> None:
    """Choose the device and turn JAX's persistent compilation cache on, before anything is computed.

    **Arguments:**

    - `device`: `"best"` is the best that JAX finds.
    - `warn`: told, in a sentence each, of a GPU that stays idle and of a cache that has to stay off.

    **Raises:** `UsageError` for a GPU that was asked for and is not there.
    """
    keep_pages()
    leave_fusions_to_xla()
    import jax

    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    elif device == "gpu":
        try:
            jax.devices("gpu")
        except RuntimeError as error:
            raise UsageError(
                f"--device gpu: JAX finds no GPU here; where there is one, {CUDA}; or leave --device out."
            ) from error
    elif idle_gpu():
        warn(f"THERE IS AN NVIDIA GPU, AND IT STAYS IDLE: this JAX is for the CPU alone. {CUDA}; or say --device cpu.")
    directory = cache_directory()
    reason = "there is no home directory" if directory is None else unusable(directory)
    if directory is None or reason:
        warn(f"compiled programs are not kept for the next start ({reason}); set XDG_CACHE_HOME to a place for them.")
        return
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING)


def keep_pages() -> None:
    """Let the C library keep freed memory, in place of giving every large array back to the system and asking anew.

    JAX allocates the buffers of a compiled program at every call. The pages of those over a few MiB are then cleared by
    the system each time, which cost the training of board games a third of its speed. Where there is no glibc, nothing
    happens; who set one of its `MALLOC_` variables is left alone.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in KEPT.items():
        mallopt(parameter, value)


def leave_fusions_to_xla() -> None:
    """Turn off a library of kernels that XLA's CPU compiler tries out, and which slows small networks down by a third.

    Only where its option is known by this name: XLA ends a process that sets one it does not know.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if metadata.version("jaxlib").startswith(f"{KNOWN_XLA}.") and FUSIONS not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --{FUSIONS}=".strip()


def cache_directory() -> Path | None:
    """Where compiled programs are kept: JAX's own setting, or below the user's cache directory; `None` without any."""
    if chosen := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(chosen)
    above = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not above.is_absolute():  # the XDG specification has relative ones ignored
        try:
            above = Path.home() / ".cache"
        except RuntimeError:
            return None
    return above / "headstart" / "jax"


def unusable(directory: Path) -> str:
    """Why files cannot be written in a directory, which is made if need be; empty if they can."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):  # permissions alone say little: file systems may be read-only
            return ""
    except OSError as error:
        return f"{directory}: {error.strerror}"


def idle_gpu() -> bool:
    """Whether an NVIDIA GPU is visible that JAX does not use, though nobody told it not to."""
    if os.environ.get("JAX_PLATFORMS") or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if not any(DEVICES.glob("nvidia[0-9]*")):
        return False
    import jax

    return jax.default_backend() == "cpu"
