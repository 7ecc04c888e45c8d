"""Here much is compiled and little computed."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def compile_quickly(quick_to_compile):
    """See `quick_to_compile`."""
