"""Any objects that a user may send: strategies."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from scoop_mpi.wire.serializer import OUT_OF_BAND_BYTES
from tests.unit.helpers import Box

atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(), max_size=8)
    | st.binary(max_size=8)
)
nested = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | inner.map(Box)
    ),
    max_leaves=8,
)
big = st.integers(OUT_OF_BAND_BYTES - 8, OUT_OF_BAND_BYTES + 8).map(
    lambda size: Box(np.arange(size).astype(np.uint8).tobytes())
)
