"""Sparklines and charts, small enough to check by eye."""

import math

import pytest

from rnngen.cli.charts import bar, chart, sparkline


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        (range(8), 8, "▁▂▃▄▅▆▇█"),
        ([1, 0], 8, "█▁"),
        ([2, 2, 2], 8, "▁▁▁"),
        ([0, 2, 5, 9], 2, "▁█"),
        ([0, math.nan, 1, math.inf], 8, "▁█"),
        ([math.nan], 8, ""),
        ([], 8, ""),
        ([1, 2], 0, ""),
    ],
)
def test_a_sparkline_fills_its_range_and_leaves_out_what_is_not_finite(values, width, drawn):
    assert sparkline(list(values), width) == drawn


def test_a_sparkline_of_many_values_has_its_width_and_shows_means():
    assert sparkline([0, 0, 7, 7, 3, 4], 3) == "▁█▅"
    assert len(sparkline(list(range(1000)), 32)) == 32


def test_a_chart_has_labelled_axes_and_a_sign_at_every_point():
    assert chart([("·", [(0, 1.0), (4, 0.0)]), ("o", [(2, 0.5)])], width=5, height=3, x_name="s") == (
        "   1.000 │·\n"
        "         │  o\n"
        "   0.000 │    ·\n"
        "         └─────\n"
        "          0 s 4\n"
    )  # fmt: skip


def test_in_a_chart_a_later_series_covers_an_earlier_one():
    drawn = chart([("·", [(0, 1.0), (1, 2.0)]), ("o", [(1, 2.0)])], width=2, height=2)
    assert drawn.startswith("   2.000 │ o\n   1.000 │·\n")


@pytest.mark.parametrize("point", [(3, 2.5), (0, 0.0)])
def test_a_chart_of_one_point_is_drawn(point):
    assert chart([("o", [point])], width=4, height=2).count("o") == 1


def test_a_chart_leaves_out_what_is_not_finite():
    line = [(0, 1.0), (1, math.nan), (2, math.inf), (3, 0.0)]
    assert chart([("o", line)], width=4, height=4).count("o") == 2
    assert chart([("o", [(0, math.nan)])]) == ""
    assert chart([]) == ""


def test_a_bar_starts_at_zero_and_is_drawn_to_an_eighth():
    assert [bar(value, 2.0, 4) for value in (2.0, 1.0, 0.75, 1 / 16, 0.0)] == ["████", "██", "█▌", "▏", ""]
    assert bar(0.0, 0.0, 4) == ""
