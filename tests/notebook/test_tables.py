from __future__ import annotations

from agentnb.notebook.tables import Table


def test_a_table_is_columns_in_a_terminal() -> None:
    table = Table(
        ("model", "tokens", "USD"), (("a:b", "1,234", "$0.0100"), ("long:name", "5", "")), "Prices are a guide."
    )
    assert str(table) == (
        "model      tokens      USD\na:b         1,234  $0.0100\nlong:name       5\nPrices are a guide."
    )


def test_what_a_provider_said_is_no_markup() -> None:
    html = Table(("<b>",), (("<script>",),), "<i>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in html
    assert "&lt;i&gt;" in html


def test_a_table_without_rows_has_its_headings() -> None:
    assert str(Table(("a", "b"), ())) == "a  b"
    assert "<th" in Table(("a", "b"), ())._repr_html_()
