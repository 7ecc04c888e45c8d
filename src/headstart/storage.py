"""One folder of arrays and JSON that vouches for itself: written whole or not at all, read only if it is unaltered.

Its manifest lists the size and SHA-256 of each file, the path, type and shape of each array, and its own SHA-256.
A reader is told beforehand which files and which arrays to expect: what a manifest adds is refused, not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import stat
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from jaxtyping import PyTree
from safetensors.numpy import save

from headstart.errors import CannotResume, StorageError

__all__ = ["FORMAT", "MANIFEST", "Damaged", "parse", "read_folder", "replace_file", "to_json", "write_folder"]

FORMAT = 1
MANIFEST = "manifest.json"
SMALL = 64 * 2**20  # bytes: no manifest, header or configuration is larger

Leaves = dict[str, list[Any]]  # path -> [dtype, shape]


class Damaged(Exception):
    """A file is not what was written. Users see a step put aside, or a `StorageError`."""


def write_folder(place: Path, name: str, tree: PyTree, about: dict[str, Any], files: dict[str, bytes]) -> None:
    """Write the arrays of `tree` and further files into a new folder `place`, all or nothing.

    **Arguments:**

    - `name`: the name of the file of arrays.
    - `about`: further entries of the manifest.

    **Raises:** `StorageError` if that fails; then nothing stays behind.
    """
    arrays = _arrays(tree)
    leaves = {path: _describe(leaf) for path, leaf in arrays.items()}
    files = files | {name: _serialize({path: _host(leaf) for path, leaf in arrays.items()})}
    manifest: dict[str, Any] = {"format": FORMAT, "headstart": version("headstart-rl"), **about}
    manifest["files"] = {file: {"bytes": len(data), "sha256": _digest(data)} for file, data in files.items()}
    manifest["leaves"] = leaves
    manifest["sha256"] = _digest(to_json(manifest))
    writing = place.parent / f".writing-{place.name}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(writing, ignore_errors=True)
        writing.mkdir()
        for file, data in (files | {MANIFEST: to_json(manifest)}).items():
            write_file(writing / file, data)
        _sync(writing)
        writing.rename(place)
        _sync(place.parent)
    except OSError as error:
        raise StorageError(
            f"{place} could not be written ({error.strerror or error}); earlier checkpoints are untouched."
        ) from error
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it into it: whoever reads it sees the old one or the new one, whole.

    **Raises:** `StorageError` if that fails; then the old one stands.
    """
    unfinished = path.with_name(f".{path.name}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(unfinished, data)
        unfinished.replace(path)
        _sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise StorageError(f"{path} could not be written ({error.strerror}); free some space, or allow it.") from error


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _serialize(arrays: dict[str, np.ndarray]) -> bytes:
    # A type that safetensors cannot name is stored as plain bytes: the manifest knows what it is.
    plain = lambda array: array if array.dtype.name in _NAMED else np.frombuffer(array.tobytes(), np.uint8)
    return save({path: plain(np.asarray(array, order="C")) for path, array in arrays.items()})


_NAMED = {"bool", "bfloat16", "float16", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def read_folder(
    place: Path, name: str, like: PyTree, about: dict[str, Any], also: tuple[str, ...] = ()
) -> tuple[PyTree, dict[str, bytes]]:
    """The tree, shaped like `like`, and the further files `also` of a folder, each byte verified before it is believed.

    **Raises:** `Damaged`, naming the file; `CannotResume` if it is intact and of another architecture or format.
    """
    manifest = _manifest(place, about, {name, *also})
    expected = _arrays(like)
    _compare(place, manifest["leaves"], {path: _describe(leaf) for path, leaf in expected.items()})
    # The leaves agree, so the size of the file is known before it is opened: a hostile one is never read.
    room = SMALL + sum(_bytes(leaf) for leaf in expected.values())
    sizes = {name: room} | dict.fromkeys(also, SMALL)
    files = {file: _verified(place / file, manifest["files"][file], largest) for file, largest in sizes.items()}
    try:
        stored = {path: tensor["data"] for path, tensor in safetensors.deserialize(files[name])}
        values = {path: _revive(stored[path], leaf) for path, leaf in expected.items()}
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise Damaged(f"{place / name} does not hold what its manifest says ({error})") from error
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    tree = jax.tree.unflatten(structure, [values.get(_name(path), leaf) for path, leaf in leaves])
    return tree, files


def _manifest(place: Path, about: dict[str, Any], files: set[str]) -> dict[str, Any]:
    path = place / MANIFEST
    manifest = parse(_bounded(path, SMALL), path)
    digest = manifest.pop("sha256", None)
    if digest != _digest(to_json(manifest)):
        raise Damaged(f"{path} does not match its own SHA-256")
    if not isinstance(manifest.get("format"), int):
        raise Damaged(f"{path} names no format")
    if manifest["format"] > FORMAT:
        raise CannotResume(
            f"{place} was written in format {manifest['format']} by headstart-rl {manifest.get('headstart')}, and this "
            f"version reads up to format {FORMAT}; install headstart-rl {manifest.get('headstart')} or newer."
        )
    described, leaves = manifest.get("files"), manifest.get("leaves")
    if not isinstance(described, dict) or set(described) != files or not isinstance(leaves, dict):
        raise Damaged(f"{path} does not list precisely {', '.join(sorted(files))}")
    if any(manifest.get(key) != value for key, value in about.items()):
        raise Damaged(f"{path} is not the manifest of this step")
    return manifest


def _verified(path: Path, described: Any, largest: int) -> bytes:
    if not isinstance(described, dict) or not isinstance(described.get("bytes"), int):
        raise Damaged(f"the manifest beside {path} gives no size for it")
    data = _bounded(path, min(described["bytes"], largest))
    if len(data) != described["bytes"] or _digest(data) != described.get("sha256"):
        raise Damaged(f"{path} does not match its SHA-256")
    return data


def _bounded(path: Path, largest: int) -> bytes:
    """The bytes of a regular file of its own folder, refused unread if there are more than expected."""
    try:
        # Neither a link to elsewhere nor a pipe that never ends.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror})") from error
    with open(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise Damaged(f"{path} is not a regular file")
        if found.st_size > largest:
            raise Damaged(f"{path} has {found.st_size} bytes, more than the {largest} expected")
        return file.read()


def parse(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in `data`, the content of `path`; `Damaged` if it is none."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise Damaged(f"{path} is not a JSON object")
    return value


def _compare(place: Path, stored: Leaves, expected: Leaves) -> None:
    show = lambda leaf: "absent" if leaf is None else f"{leaf[0]}{leaf[1]}"
    differing = [
        f"  {path}: stored {show(stored.get(path))}, expected {show(expected.get(path))}"
        for path in sorted(stored.keys() | expected.keys())
        if stored.get(path) != expected.get(path)
    ]
    if differing:
        shown = differing[:20] + [f"  and {len(differing) - 20} more"] * (len(differing) > 20)
        raise CannotResume("\n".join([f"{place} is of another architecture:", *shown]))


def _arrays(tree: PyTree) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    kinds = jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct
    return {_name(path): leaf for path, leaf in leaves if isinstance(leaf, kinds)}


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path) or "."


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(leaf: Any) -> list[Any]:
    return [str(leaf.dtype), [int(size) for size in leaf.shape]]


def _bytes(leaf: Any) -> int:
    width = 64 if _is_key(leaf) else leaf.dtype.itemsize  # no generator of JAX has keys of more than 64 bytes
    return math.prod(leaf.shape) * width


def _host(leaf: Any) -> np.ndarray:
    return np.asarray(jax.device_get(jax.random.key_data(leaf) if _is_key(leaf) else leaf))


def _revive(data: bytes | bytearray, like: Any) -> Any:
    """An array of the type and shape of `like`: NumPy where that is, JAX elsewhere."""
    if _is_key(like):
        words = np.frombuffer(data, np.uint32).reshape(jax.eval_shape(jax.random.key_data, like).shape)
        return jax.random.wrap_key_data(jnp.array(words), impl=_generator(str(like.dtype)))
    array = np.frombuffer(data, like.dtype).reshape(like.shape)
    return array.copy() if isinstance(like, np.ndarray | np.generic) else jnp.array(array)


def _generator(dtype: str) -> str:
    """The generator of a key type such as `key<fry>`: `jax.random.key_impl` wants an array, and `like` may be none."""
    known = ("threefry2x32", "rbg", "unsafe_rbg")
    return next(name for name in known if str(jax.random.key(0, impl=name).dtype) == dtype)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def to_json(value: Any) -> bytes:
    """The one way in which a value is written, so that equal values have equal digests."""
    return json.dumps(value, indent=1, sort_keys=True).encode()
