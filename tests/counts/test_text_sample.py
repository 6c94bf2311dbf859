"""Which part of a long text is counted."""

from __future__ import annotations

import numpy as np
import pytest

from rnngen.counts.sample import PIECES, TextSample


@pytest.mark.parametrize(("n", "most"), [(10_000, 640), (10_000, 9_999), (100_003, 6400), (70, 64)])
def test_the_part_comes_from_all_of_the_text_and_knows_its_places(n, most):
    sample, places = TextSample(n, most), np.arange(n)
    taken = sample.take(places)
    assert not sample.is_whole
    assert most - PIECES <= len(taken) <= most
    np.testing.assert_array_equal(sample.contains(places), np.isin(places, taken))
    assert taken.min() == 0
    assert taken.max() > n * (1 - 2 / PIECES)


def test_a_short_text_is_taken_whole():
    sample, ids = TextSample(5, 5), np.array([4, 3, 2, 1, 0])
    np.testing.assert_array_equal(sample.take(ids), ids)
    assert sample.contains(np.arange(5)).all()
