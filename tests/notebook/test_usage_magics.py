"""`%usage`: what the runs took, and a cap on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from inline_snapshot import snapshot

from agentnb.ledger import Entry, Ledger
from agentnb.messages import Usage
from tests.notebook.conftest import Notebook

PRICED = Usage(1234, 56, cached=1000, reasoning=40, seconds=2.34, first=0.41, usd=0.00123)


def _with(notebook: Notebook, *entries: Entry) -> None:
    notebook.workspace.ledger = Ledger()
    for entry in entries:
        notebook.workspace.ledger.add(entry)


def test_every_run_is_a_row_named_by_its_cell(notebook: Notebook) -> None:
    assert notebook.says("%usage") == "No runs yet."
    usage = replace(PRICED, usd=None, cached=0, reasoning=0)
    _with(notebook, Entry("In [3]", "openai:a", PRICED, 1.0), Entry("In [4]", "openai:b", usage, 2.0))
    assert notebook.says("%usage") == snapshot(
        """\
cell    runs  tokens in  cached  tokens out  thinking  seconds  to first      USD
In [3]     1      1,234   1,000          56        40      2.3       0.4  $0.0012
In [4]     1      1,234                  56                2.3       0.4        –
all        2      2,468   1,000         112        40      4.7            $0.0012
No price is known of 1 of the runs; the USD are those of the others.\
"""
    )


def test_the_runs_of_a_model_are_one_row(notebook: Notebook) -> None:
    _with(notebook, *(Entry(f"In [{n}]", "openai:a", PRICED, n) for n in range(3)))
    assert notebook.says("%usage model") == snapshot(
        """\
model     runs  tokens in  cached  tokens out  thinking  seconds      USD
openai:a     3      3,702   3,000         168       120      7.0  $0.0037\
"""
    )
    assert notebook.says("%usage notebook").splitlines()[1].startswith("this notebook     3")


def test_a_real_cell_is_counted_under_its_number(notebook: Notebook) -> None:
    notebook.says("from agentnb import FakeModel\nws = %agentnb\nws.use_model(FakeModel('one'));")
    notebook.says("%%agent\nhi")
    ran = notebook.says("%usage").splitlines()[1]
    assert ran.startswith("In [2] ")
    assert notebook.says("print('hi' in In[2], Out[2].text)") == "True one"


def test_a_cap_counts_what_is_spent(notebook: Notebook) -> None:
    _with(notebook, Entry("In [1]", "openai:a", PRICED, 1.0))
    assert notebook.says("%usage cap") == "This notebook may cost what it costs. Spent so far: $0.0012."
    assert notebook.says("%usage cap $0.5") == "This notebook may cost at most $0.50. Spent so far: $0.0012."
    assert "Cap of this notebook: $0.50." in notebook.says("%usage")
    assert notebook.says("%usage cap none") == "This notebook may cost what it costs. Spent so far: $0.0012."


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%usage ca", "Did you mean 'cap'?"),
        ("%usage cap lots", "takes an amount in USD"),
        ("%usage cap -1", "takes an amount in USD"),
        ("%usage cap nan", "takes an amount in USD"),
        ("%usage cell model", "does not know 'cell model'"),
    ],
)
def test_a_slip_gets_one_line(notebook: Notebook, cell: str, says: str) -> None:
    assert says in notebook.fails(cell)


def test_help_is_there(notebook: Notebook) -> None:
    assert "%usage cap USD" in notebook.says("%usage --help")


def test_a_call_that_would_break_a_cap_is_not_sent(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-a-person-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")  # whoever asks there gets ConnectionFailed
    refused = notebook.fails("%%agent -m openai:gpt-5.4 --max-cost 0.0000001\nhi")
    assert refused.startswith("BudgetExceeded: ")
    assert "--max-cost" in refused
    notebook.says("%usage cap 0.0000001")
    refused = notebook.fails("%%agent -m openai:gpt-5.4\nhi")
    assert refused.startswith("BudgetExceeded: ")
    assert "%usage cap" in refused
    notebook.says("%usage cap none")
    assert notebook.fails("%%agent -m openai:gpt-5.4\nhi").startswith("ConnectionFailed: ")
