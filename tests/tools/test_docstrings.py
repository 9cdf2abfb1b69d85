from __future__ import annotations

import pytest

from agentnb.tools.docstrings import LONGEST, parse_docstring

GOOGLE = """Rank products.

    Ties keep their order.

    Args:
        df (DataFrame): The sales
            of a month.
        n: How many.

    Returns:
        The best.
    """
NUMPY = """Rank products.

    Parameters
    ----------
    df : DataFrame
        The sales
        of a month.
    n : int, optional
        How many.

    Returns
    -------
    DataFrame
    """
SPHINX = """Rank products.

    :param df: The sales
        of a month.
    :param int n: How many.
    :returns: The best.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_the_three_styles_say_the_same(text: str) -> None:
    found = parse_docstring(text)
    assert found.description.startswith("Rank products.")
    assert dict(found.parameters) == {"df": "The sales of a month.", "n": "How many."}


def test_the_longer_description_is_kept_without_the_sections() -> None:
    assert parse_docstring(GOOGLE).description == "Rank products.\n\nTies keep their order."


def test_a_numpy_entry_for_two_parameters_describes_both() -> None:
    found = parse_docstring("F.\n\nParameters\n----------\nx, y : int\n    A coordinate.\n")
    assert dict(found.parameters) == {"x": "A coordinate.", "y": "A coordinate."}


@pytest.mark.parametrize("text", [None, "", "   \n "])
def test_no_docstring_is_no_description(text: str | None) -> None:
    assert parse_docstring(text).description == ""


def test_a_description_is_no_longer_than_providers_take() -> None:
    found = parse_docstring("word " * 1000).description
    assert len(found) == LONGEST
    assert found.endswith("…")


def test_a_text_in_no_style_is_the_description() -> None:
    assert parse_docstring("Sum: adds two numbers - a + b.").description == "Sum: adds two numbers - a + b."
