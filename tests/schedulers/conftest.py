"""The fixtures of the tests on real schedulers."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.schedulers.batch")

from tests.schedulers.batch import venv  # noqa: E402

__all__ = ["venv"]
