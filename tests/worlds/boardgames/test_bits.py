"""Shifts of bit boards against the plain way of doing it, on boards of every shape."""

import jax
import jax.numpy as jnp
import numpy as np

from headstart.worlds.boardgames.bits import DIRECTIONS, Bits, Geometry, from_cells, to_bits


def test_steps_in_all_directions_on_all_boards():
    rng = np.random.default_rng(0)
    step = jax.jit(lambda shape, bits: shape.step(bits).cells())
    for rows in range(3, 9):
        for columns in range(3, 9):
            for torus in (False, True):
                cells = rng.random((rows, columns)) < 0.5
                shape = Geometry(jnp.int32(rows), jnp.int32(columns), jnp.array(torus))
                found = np.asarray(step(shape, to_bits(cells)))[:, :rows, :columns]
                for direction, (down, right) in enumerate(DIRECTIONS.tolist()):
                    expected = np.zeros_like(cells)
                    for row, column in np.argwhere(cells):
                        there = (row + down, column + right)
                        if torus:
                            there = (there[0] % rows, there[1] % columns)
                        if 0 <= there[0] < rows and 0 <= there[1] < columns:
                            expected[there] = True
                    np.testing.assert_array_equal(found[direction], expected)


def test_cells_and_bits_are_the_same_set():
    cells = np.random.default_rng(1).random((6, 6)) < 0.5
    bits = to_bits(cells)
    np.testing.assert_array_equal(np.asarray(bits.cells(6)), cells)
    assert bool(from_cells(jnp.asarray(cells)) == bits)
    assert int(bits.count()) == cells.sum()
    assert bool(Bits.single(jnp.int32(5), jnp.int32(2)).cells()[5, 2])
    assert not bool(Bits.single(jnp.int32(9), jnp.int32(0)).any())
