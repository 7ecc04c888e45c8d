"""What is stored comes back bit for bit, and what is not what was stored is refused."""

import hashlib
import json
import os
import pickle
import struct
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart import checkpoint
from headstart.errors import CannotResume, StorageError, UsageError
from headstart.storage import MANIFEST, to_json


class Network(eqx.Module):
    weight: jax.Array
    bias: jax.Array
    activation: object = jax.nn.relu
    width: int = 3


def network(width=3, dtype=jnp.float32):
    return Network(jnp.arange(2 * width, dtype=dtype).reshape(2, width), jnp.ones(width, jnp.bfloat16), width=width)


def everything():
    return {
        "network": network(),
        "key": jax.random.key(7),
        "keys": jax.random.split(jax.random.key(1, impl="rbg"), 3),
        "bool": jnp.array([True, False]),
        "scalar": jnp.array(3, jnp.int32),
        "none": None,
        "nan": jnp.array([jnp.nan, jnp.inf, -0.0]),
        "empty": jnp.zeros((0, 4)),
        "wide": np.array([1.5, 2.5]),
        "small": jnp.array([1, -2], jnp.int8),
        "float8": jnp.array([1.0, 2.0], jnp.float8_e4m3fn),
        "a/b": (jnp.array([1], jnp.uint32), np.float32(2.5)),
        "__metadata__": jnp.ones(1),
    }


def bits(leaf):
    array = jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    return str(leaf.dtype), leaf.shape, np.asarray(array).tobytes()


def _shape(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def corrupt(path, offset=-1):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def resign(place, **changes):
    """A manifest altered by somebody who knows how to sign it."""
    manifest = json.loads((place / MANIFEST).read_bytes())
    del manifest["sha256"]
    manifest |= changes
    manifest["sha256"] = hashlib.sha256(to_json(manifest)).hexdigest()
    (place / MANIFEST).write_bytes(to_json(manifest))


@pytest.fixture
def two(tmp_path):
    """Steps 1 and 2 of a small network."""
    checkpoint.save(tmp_path, 1, network())
    checkpoint.save(tmp_path, 2, network())
    return tmp_path


@pytest.mark.parametrize("abstract", [False, True])
def test_every_kind_of_leaf_survives(tmp_path, abstract):
    tree = everything()
    if abstract:
        del tree["wide"]  # nothing traced has 64 bits
    checkpoint.save(tmp_path, 5, tree)
    like = jax.tree.map(lambda leaf: _shape(leaf) if eqx.is_array(leaf) else leaf, tree) if abstract else tree
    step, restored = checkpoint.restore(tmp_path, like)
    assert step == 5
    assert jax.tree.structure(restored) == jax.tree.structure(tree)
    arrays = lambda tree: jax.tree.leaves(eqx.filter(tree, eqx.is_array))
    assert [bits(leaf) for leaf in arrays(restored)] == [bits(leaf) for leaf in arrays(tree)]
    assert restored["network"].activation is jax.nn.relu
    if not abstract:
        assert isinstance(restored["wide"], np.ndarray)
        assert restored["wide"].dtype == np.float64
        restored["wide"][0] = 0.0  # NumPy arrays come back writable


def test_a_bare_array_can_be_stored(tmp_path):
    checkpoint.save(tmp_path, 0, jnp.arange(3))
    assert checkpoint.restore(tmp_path, jnp.zeros(3, jnp.int32))[1].tolist() == [0, 1, 2]


def test_keeps_the_newest_steps_and_leaves_nothing_else(tmp_path):
    for step in (1, 2, 10, 9):
        checkpoint.save(tmp_path, step, network())
    assert checkpoint.steps(tmp_path) == [9, 10]
    assert {path.name for path in tmp_path.iterdir()} == {"9", "10"}


def test_refuses_to_keep_one_and_to_overwrite(two):
    with pytest.raises(UsageError, match="at least 2"):
        checkpoint.save(two, 3, network(), keep=1)
    with pytest.raises(UsageError, match="never overwritten"):
        checkpoint.save(two, 2, network())


def test_stale_folders_are_removed(two):
    for name in (".writing-3", ".doomed-1"):
        (two / name).mkdir()
        (two / name / "state.safetensors").write_bytes(b"half")
    assert checkpoint.steps(two) == [1, 2]
    checkpoint.clean(two)
    assert {path.name for path in two.iterdir()} == {"1", "2"}


@pytest.mark.parametrize("name", ["state.safetensors", MANIFEST])
@pytest.mark.parametrize("offset", [0, 40, -1])
def test_a_flipped_bit_is_noticed(two, name, offset):
    corrupt(two / "2" / name, offset)
    said = []
    assert checkpoint.restore(two, network(), warn=said.append)[0] == 1
    assert str(two / "2" / name) in said[0]
    assert "2.corrupt" in said[0]
    assert (two / "2.corrupt").is_dir()


@pytest.mark.parametrize("name", ["state.safetensors", MANIFEST])
@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_truncated_file_is_noticed(two, name, length):
    os.truncate(two / "2" / name, length)
    said = []
    assert checkpoint.restore(two, network(), warn=said.append)[0] == 1
    assert name in said[0]


@pytest.mark.parametrize("missing", ["state.safetensors", MANIFEST, "everything"])
def test_an_incomplete_step_is_put_aside(two, missing):
    for path in list((two / "2").iterdir()):
        if missing in (path.name, "everything"):
            path.unlink()
    said = []
    assert checkpoint.restore(two, network(), warn=said.append)[0] == 1
    assert len(said) == 1


def test_no_intact_step_is_a_storage_error(two):
    for step in "12":
        corrupt(two / step / "state.safetensors")
    said = []
    with pytest.raises(StorageError, match="no intact checkpoint"):
        checkpoint.restore(two, network(), warn=said.append)
    assert len(said) == 2
    assert checkpoint.present(two)  # so that a run does not silently begin anew


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_refused_and_does_not_run(two, tmp_path):
    trace = tmp_path / "executed"
    for name in ("state.safetensors", MANIFEST):
        (two / "2" / name).write_bytes(pickle.dumps(Payload(trace)))
    assert checkpoint.restore(two, network(), warn=lambda _: None)[0] == 1
    assert not trace.exists()


def test_a_header_of_hostile_size_is_refused(two):
    data = struct.pack("<Q", 2**60) + b"{}"
    (two / "2" / "state.safetensors").write_bytes(data)
    resign(two / "2", files={"state.safetensors": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}})
    assert checkpoint.restore(two, network(), warn=lambda _: None)[0] == 1


def test_a_file_larger_than_its_arrays_is_never_read(two):
    with open(two / "2" / "state.safetensors", "ab") as file:
        file.truncate(2**40)  # sparse: a terabyte that takes no room, and minutes to hash
    resign(two / "2", files={"state.safetensors": {"bytes": 2**40, "sha256": ""}})
    began, said = time.monotonic(), []
    assert checkpoint.restore(two, network(), warn=said.append)[0] == 1
    assert "more than" in said[0]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "other.safetensors"])
def test_no_path_outside_the_step_is_opened(two, name, monkeypatch):
    entry = json.loads((two / "2" / MANIFEST).read_bytes())["files"]["state.safetensors"]
    resign(two / "2", files={name: entry, "state.safetensors": entry})
    opened, real = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: opened.append(str(path)) or real(path, *rest, **more))
    assert checkpoint.restore(two, network(), warn=lambda _: None)[0] == 1
    assert not [path for path in opened if not path.startswith(str(two))]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_pipes_are_refused(two, kind):
    path = two / "2" / "state.safetensors"
    path.unlink()
    path.symlink_to(two / "1" / "state.safetensors") if kind == "link" else os.mkfifo(path)
    assert checkpoint.restore(two, network(), warn=lambda _: None)[0] == 1


def test_another_architecture_is_told_leaf_by_leaf(two):
    with pytest.raises(CannotResume) as told:
        checkpoint.restore(two, network(width=5))
    assert ".weight: stored float32[2, 3], expected float32[2, 5]" in str(told.value)
    assert ".bias: stored bfloat16[3], expected bfloat16[5]" in str(told.value)
    with pytest.raises(CannotResume, match=r"more.*stored absent"):
        checkpoint.restore(two, (network(), {"more": jnp.ones(1)}))
    assert checkpoint.steps(two) == [1, 2]  # nothing is put aside: it is intact


@pytest.mark.parametrize("like", [network(dtype=jnp.float16), network(dtype=jnp.int32)])
def test_another_type_is_refused(two, like):
    with pytest.raises(CannotResume, match="weight: stored float32"):
        checkpoint.restore(two, like)


def test_another_kind_of_key_is_refused(tmp_path):
    checkpoint.save(tmp_path, 1, jax.random.key(0))
    with pytest.raises(CannotResume, match=r"key<fry>.*key<rbg>"):
        checkpoint.restore(tmp_path, jax.random.key(0, impl="rbg"))


def test_a_newer_format_names_the_version_needed(two):
    resign(two / "2", format=2, headstart="9.8.7")
    with pytest.raises(CannotResume, match=r"headstart-rl 9\.8\.7"):
        checkpoint.restore(two, network())


def test_an_export_travels_with_its_metadata(tmp_path):
    path = checkpoint.export(tmp_path / "prior", network(), {"hours": 2.5, "words": ["réversi"]})
    assert {file.name for file in path.iterdir()} == {"policy.safetensors", "config.json", MANIFEST}
    moved = path.rename(tmp_path / "moved here")
    tree, metadata = checkpoint.load_export(moved, eqx.filter_eval_shape(network))
    assert bits(tree.weight) == bits(network().weight)
    assert metadata == {"hours": 2.5, "words": ["réversi"]}
    with pytest.raises(UsageError, match="exists already"):
        checkpoint.export(moved, network(), {})


@pytest.mark.parametrize("name", ["policy.safetensors", "config.json", MANIFEST])
def test_a_damaged_export_is_refused(tmp_path, name):
    path = checkpoint.export(tmp_path / "prior", network(), {})
    corrupt(path / name, 1)
    with pytest.raises(StorageError, match=name):
        checkpoint.load_export(path, network())


def test_twenty_megabytes_are_saved_quickly(tmp_path):
    state = {"replay": np.ones((5, 2**20), np.float32)}
    seconds = []
    for step in range(3):
        began = time.perf_counter()
        checkpoint.save(tmp_path, step, state)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 1.0, seconds  # about 0.05 s on an idle machine
