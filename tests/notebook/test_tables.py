"""Tables, in a terminal and in a front end."""

from __future__ import annotations

from agentnb.masking import Mask
from agentnb.notebook.tables import Table


def test_a_table_is_columns_in_a_terminal() -> None:
    table = Table(
        ("model", "tokens", "USD"), (("a:b", "1,234", "$0.0100"), ("long:name", "5", "")), "Prices are a guide."
    )
    assert str(table) == (
        "model      tokens      USD\na:b         1,234  $0.0100\nlong:name       5\nPrices are a guide."
    )


def test_dates_and_ids_that_begin_with_one_are_no_numbers() -> None:
    table = Table(
        ("when", "id"), (("2026-11-28 07:36", "2026-11-28_07-36-20-3113"), ("2026-11-28 07:36", "2026-11-28_a"))
    )
    assert str(table).splitlines()[0] == "when              id"
    assert "text-align:right" not in table._repr_html_()


def test_what_a_provider_said_is_no_markup() -> None:
    html = Table(("<b>",), (("<script>",),), "<i>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in html
    assert "&lt;i&gt;" in html


def test_without_rows_only_the_note_is_shown() -> None:
    table = Table(("a", "b"), (), "None yet.")
    assert str(table) == "None yet."
    assert "<table" not in table._repr_html_()
    assert "None yet." in table._repr_html_()


def test_a_column_with_nothing_in_it_is_left_out() -> None:
    assert str(Table(("a", "b", "c"), (("1", "", "x"), ("2", "", "")))) == "a  c\n1  x\n2"


def test_characters_that_take_two_columns_do_not_push_the_others_away() -> None:
    assert str(Table(("name", "n"), (("千问", "1"), ("ab", "2")))) == "name  n\n千问  1\nab    2"


def test_control_characters_and_long_cells_do_no_harm() -> None:
    table = Table(("a", "b"), (("\x1b[31mred\nblue\u202e", "x" * 500),), "one\x1b[2J\ntwo")
    shown = str(table)
    assert shown.splitlines()[1].startswith("red blue  xxx")
    assert max(map(len, shown.splitlines())) < 100
    assert shown.splitlines()[2:] == ["one", "two"]
    assert "\x1b" not in shown + table._repr_html_()


def test_secrets_are_masked_in_cells_and_note() -> None:
    table = Table(("a",), (("sk-1234567",),), "sk-1234567!").masked(Mask("sk-1234567"))
    assert str(table) == "a\n[key]\n[key]!"
