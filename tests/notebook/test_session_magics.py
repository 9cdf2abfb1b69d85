"""`%session`: conversations listed, taken up, cut back, searched, remembered and exported."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest
from inline_snapshot import snapshot

from agentnb.models.fake import FakeModel
from agentnb.notebook.complete import Completer
from agentnb.notebook.session_lists import when
from agentnb.session import RunHead
from tests.notebook.conftest import Notebook
from tests.store.conftest import feed, turn


@pytest.fixture
def book(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """A notebook that knows its path, and a model that answers whatever it is asked."""
    monkeypatch.setenv("JPY_SESSION_NAME", "/work/trip.ipynb")
    notebook.workspace.use_model(FakeModel(*(f"answer {n}" for n in range(1, 10))))
    return notebook


def ask(book: Notebook, *prompts: str) -> str:
    """Ask in a cell each; gives the session's id."""
    for prompt in prompts:
        ran = book.run(f"%%agent\n{prompt}", f"cell of {prompt}")
        assert ran.error is None, ran.error
    return book.workspace.session.id


def keep(book: Notebook, session: str, prompt: str, notebook: str | None = None) -> None:
    """A session of another kernel."""
    head = RunHead(f"run of {session}", session, prompt=prompt, notebook=notebook)
    feed(book.workspace.store, head, turn(head.id, prompt, f"answer to {prompt}"))


def shown(text: str) -> str:
    """Without what is different each time."""
    text = re.sub(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-[0-9a-f]{4}", "ID", text)
    return re.sub(r"just now \(.{16}\)", "NOW", text)


def prompts(book: Notebook) -> list[str]:
    return [turn.messages[0].text for turn in book.workspace.session.turns]


def test_without_a_word_it_says_which_one_this_is(book: Notebook) -> None:
    assert shown(book.says("%session")) == "ID · 0 turns"
    ask(book, "Which city?")
    assert shown(book.says("%session")) == "ID · ○ idle · NOW · 1 turn"
    book.says("%session title Towns <of> Norway")
    assert shown(book.says("%session")) == "“Towns <of> Norway” · ID · ○ idle · NOW · 1 turn"


def test_a_new_one_begins_and_the_old_one_stays(book: Notebook) -> None:
    first = ask(book, "one")
    assert shown(book.says("%session new")) == "ID · 0 turns"
    assert book.workspace.session.id != first
    assert prompts(book) == []
    assert shown(book.says("%session new Second thoughts")).startswith("“Second thoughts” · ID")
    assert [each.id for each in book.workspace.store.sessions.list()][-1] == first


def test_the_list_has_this_notebooks_first_and_marks_this_one(book: Notebook) -> None:
    assert shown(book.says("%session list")) == snapshot("""\
No sessions yet.
This one, ID, is kept from its first turn on.\
""")
    first = ask(book, "Which city?")
    book.says("%session new")
    ask(book, "And which <b>river</b>?")
    keep(book, "far", "Elsewhere", "/work/other.ipynb")
    keep(book, "nowhere", "A script")
    text = book.says("%session list")
    assert re.sub(" +", " ", shown(text)) == snapshot("""\
status title turns when notebook id
▸ ○ idle And which <b>river</b>? 1 NOW this one ID
 ○ idle Which city? 1 NOW this one ID
 ● done, unread A script 1 NOW nowhere
 ● done, unread Elsewhere 1 NOW other.ipynb far\
""")
    assert first in text
    assert "other.ipynb" not in book.says("%session list --here")
    assert "Elsewhere" in book.says("%session list other")
    assert book.says("%session list nothing like this").startswith("No session is like that.")
    [html] = book.run("%session list").mime("text/html")
    assert "&lt;b&gt;river&lt;/b&gt;" in str(html)


def test_unread_ones_say_so_until_they_are_looked_at(book: Notebook) -> None:
    keep(book, "far", "Elsewhere")
    assert "● done, unread" in book.says("%session list")
    assert shown(book.says("%session use far")) == "far · ○ idle · NOW · 1 turn"
    keep(book, "near", "Here")
    assert book.says("%session read near") == "Marked as read: 1."
    keep(book, "third", "There")
    assert book.says("%session read --all") == "Marked as read: 1."
    assert "unread" not in book.says("%session list")


def test_the_next_prompt_goes_on_with_the_one_that_is_used(book: Notebook) -> None:
    keep(book, "far", "Elsewhere", "/work/other.ipynb")
    assert shown(book.says("%session use els")) == snapshot("""\
far · ○ idle · NOW · 1 turn
It was last used in other.ipynb; from now on it is this notebook's.\
""")
    ask(book, "more")
    assert prompts(book) == ["Elsewhere", "more"]
    model = book.workspace.model
    assert isinstance(model, FakeModel)
    assert [message.text for message in model.requests[0].messages] == ["Elsewhere", "answer to Elsewhere", "more"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("use nosuch", "There is no session 'nosuch'. %session list shows"),
        ("use Elsewhxre", "Did you mean 'Elsewhere'?"),
        ("use ../../etc/passwd", "There is no session '../../etc/passwd'."),
        ("use a", "Several sessions begin with 'a': a1, a2."),
        ("use twice", "2 sessions are called something like 'twice'"),
        ("use gone", "Session gone was removed. %session restore gone brings it back."),
        ("use", "It is written so: %session use ID|TITLE. See"),
        ("lst", "%session has no verb 'lst'. Did you mean 'list'?"),
        ("list --her", "%session list has no --her. Did you mean '--here'?"),
        ("list --all --here", "contradict each other"),
        ("revoke", "There is nothing to take back"),
        ("unrevoke", "Nothing was taken back"),
        ("fork", "There is nothing to fork"),
        ("title", "There is nothing to name yet"),
        ("rm", "It is written so: %session rm ID…"),
        ("rm nosuch", "There is no session 'nosuch'"),
        ("restore far", "No removed session is called 'far'"),
        ("search", "Say what to look for"),
        ("search ---", "Say what to look for"),
        ("summary edit more words", "There is no summary yet"),
        ("summary now", "It is written so: %session summary"),
        ("summary --now", "nothing new to summarize"),
        ("memory add fct x", "not 'fct'. Did you mean 'fact'?"),
        ("memory rm 99", "no memory 99"),
        ("memory rm x", "by its number"),
        ("memory forget 1", "It is written so: %session memory"),
        ("export", "nothing to export"),
        ("export far out.pdf", "no ending that says what it is to be"),
        ("export far no/such/folder/x.md", "cannot be written: No such file or directory"),
        ("export far out", "There is no session 'far out'"),
        ("artifacts all", "It is written so: %session artifacts"),
    ],
)
def test_a_mistake_gets_one_line_that_names_it(book: Notebook, line: str, says: str) -> None:
    for name, prompt in (("far", "Elsewhere"), ("a1", "twice one"), ("a2", "twice two"), ("gone", "Away")):
        keep(book, name, prompt)
    book.workspace.store.sessions.remove("gone")
    assert says in book.fails(f"%session {line}")


def test_turns_are_taken_back_and_come_again(book: Notebook) -> None:
    ask(book, "one", "two", "three")
    assert (
        book.says("%session revoke 2") == "Took back 2 turns: “two”, “three”. %session unrevoke brings back what went."
    )
    assert prompts(book) == ["one"]
    assert "1 to 1, not '2'" in book.fails("%session revoke 2")
    assert book.says("%session unrevoke").startswith("Brought back 2 turns.")
    assert prompts(book) == ["one", "two", "three"]
    assert "“three”" in book.says("%session revoke")


def test_a_fork_begins_alike_and_goes_its_own_way(book: Notebook) -> None:
    first = ask(book, "one", "two")
    said = book.says("%session fork 1")
    assert said.endswith(f"It begins as {first}, which stays as it is.")
    ask(book, "other")
    assert prompts(book) == ["one", "other"]
    book.says(f"%session use {first}")
    assert prompts(book) == ["one", "two"]


def test_what_is_removed_comes_back(book: Notebook) -> None:
    first = ask(book, "one")
    assert book.says(f"%session rm {first}") == (
        f"'one' is put away. %session restore {first} brings it back, for 30 days. A new conversation begins."
    )
    assert prompts(book) == []
    assert first not in book.says("%session list")
    assert first in book.says("%session list --removed")
    assert first in book.says(f"%session restore {first}")
    assert first in book.says("%session list")


def test_what_is_removed_comes_back_by_its_title(book: Notebook) -> None:
    ask(book, "towns of Norway")
    book.says("%session new")
    ask(book, "towns of Sweden")
    book.says("%session rm norway")
    book.says("%session rm sweden")
    assert "2 sessions are called something like 'towns'" in book.fails("%session restore towns")
    assert "'towns of Norway' is back." in book.says("%session restore norway")


def test_a_title_comes_from_the_person_or_from_the_model(book: Notebook) -> None:
    ask(book, "Which city?")
    assert book.says("%session title") == "“answer 2” (made by the model; %session title TEXT gives another)"
    assert book.says("%session title  My   towns ") == "“My towns”"
    assert len(book.says(f"%session title {'x' * 300}")) == 102
    assert len(prompts(book)) == 1  # the model's answer is no turn


def test_what_was_said_is_found_and_marked(book: Notebook) -> None:
    ask(book, "<script>Penguins</script> walk", "nothing")
    keep(book, "far", "penguins swim")
    ran = book.run("%session search penguins")
    assert ran.error is None
    text = ran.text
    assert "«Penguins»" in text
    assert "«penguins»" in text
    assert "far" not in book.says("%session search penguins --here")
    [html] = ran.mime("text/html")
    assert re.search(r"&lt;script&gt;<mark [^>]*>Penguins</mark>&lt;/script&gt; walk<", str(html))
    assert str(html).count("<mark ") == str(html).count("</mark>") == 3
    assert book.says("%session search zebras") == "Nothing that was said has 'zebras' in it."


def test_turns_are_counted_as_they_stand_where_some_were_taken_back(book: Notebook) -> None:
    ask(book, "one", "two")
    book.says("%session revoke")
    ask(book, "three zebras")
    assert re.search(r"one +2 +user +three «zebras»", book.says("%session search zebras"))


def test_memories_are_kept_changed_and_forgotten(book: Notebook) -> None:
    assert book.says("%session memory").startswith("Nothing is remembered yet.")
    assert re.search(
        r"1 +fact +The <b>sky</b> is blue +100% +1 ", book.says("%session memory add fact The <b>sky</b> is blue")
    )
    assert "It is grey" in book.says("%session memory edit 1 It is grey")
    assert book.says("%session memory rm 1").startswith("Nothing is remembered yet.")


def test_a_summary_is_made_shown_and_edited(book: Notebook) -> None:
    ask(book, "one", "two", "three")
    assert book.says("%session summary").startswith("There is no summary")
    assert shown(book.says("%session summary --now")) == "Version 1, of the first 2 turns, NOW:\n\nanswer 4"
    assert shown(book.says("%session summary edit In other words")).endswith("NOW:\n\nIn other words")


def test_secrets_are_kept_out_of_what_a_person_writes(book: Notebook) -> None:
    book.workspace.mask.add("sk-secret-1")
    book.says("%session title my sk-secret-1")
    book.says("%session memory add fact the key is sk-secret-1")
    store = book.workspace.store
    assert store.sessions.list()[0].title == "my [key]"
    assert store.memory.entries(book.workspace.session.id)[0].content == "the key is [key]"


def test_exports_are_named_by_the_title_and_replace_nothing_unasked(book: Notebook, tmp_path: Path) -> None:
    ask(book, "Which city?")
    assert book.says("%session export") == "1 turn in 'Which-city.md'."
    assert "There is a 'Which-city.md' already" in book.fails("%session export")
    (tmp_path / "Which-city.md").write_text("mine")
    assert book.says("%session export --replace") == "1 turn in 'Which-city.md'."
    assert "answer 1" in (tmp_path / "Which-city.md").read_text()
    assert book.says("%session export .ipynb") == "1 turn in 'Which-city.ipynb'."
    nbformat.validate(nbformat.read(tmp_path / "Which-city.ipynb", 4))
    assert book.says("%session export Which city? page.HTML") == "1 turn in 'page.HTML'."
    (tmp_path / "out").mkdir()
    assert book.says(f"%session export {book.workspace.session.id} ./out").startswith("1 turn in 'out")
    book.says("%session export 'out/with spaces.json'")
    assert json.loads((tmp_path / "out/with spaces.json").read_text())["meta"]["turn_count"] == 1
    assert not list(tmp_path.glob(".*.part"))


def test_keys_that_are_known_later_are_not_in_an_export(book: Notebook, tmp_path: Path) -> None:
    ask(book, "my key is sk-secret-1")
    book.workspace.mask.add("sk-secret-1")
    for suffix in (".md", ".html", ".json", ".ipynb"):
        book.says(f"%session export x{suffix}")
        assert "secret" not in (tmp_path / f"x{suffix}").read_text()


def test_a_cell_talks_in_the_session_that_it_names(book: Notebook) -> None:
    first = ask(book, "one")
    book.says("%%agent --session new\ntwo")
    assert prompts(book) == ["two"]
    book.says(f"%%agent --session {first}\nthree")
    assert prompts(book) == ["one", "three"]
    keep(book, "far", "Elsewhere it is")
    book.says('%%agent --session "elsewhere it"\nfour')
    assert prompts(book) == ["Elsewhere it is", "four"]


def test_a_cell_that_names_no_session_there_is_sends_nothing(book: Notebook) -> None:
    keep(book, "far", "Elsewhere")
    book.workspace.store.sessions.remove("far")
    assert "was removed. %session restore far" in book.fails("%%agent --session far\nhi")
    assert "There is no session 'nosuch'" in book.fails("%%agent --session nosuch\nhi")
    model = book.workspace.model
    assert isinstance(model, FakeModel)
    assert not model.requests


def test_tab_offers_verbs_flags_ids_and_titles(book: Notebook) -> None:
    first = ask(book, "one")
    book.says("%session title Towns")
    suggest = Completer(book.workspace).suggest
    for line, offered in (
        ("%session ", "export"),
        ("%session list --", "--here"),
        ("%session use ", first),
        ("%session export To", "Towns"),
        ("%session memory ", "add"),
        ("%session summary ", "edit"),
        ("%%agent --session ", first),
        ("%%agent --session ", "none"),
    ):
        assert offered in suggest(line, line, 0), line
    book.says(f"%session rm {first}")
    assert list(suggest("", "%session restore ", 0)) == [first]


def test_where_nothing_can_be_kept_one_talks_on_and_is_told(book: Notebook, tmp_path: Path) -> None:
    (tmp_path / "agentnb.db").write_bytes(b"no database " * 500)
    assert re.fullmatch(r"ID · 0 turns\nIt is not kept so far: .*agentnb.db.*", shown(book.says("%session new")))
    assert book.run("%%agent\nhi", "a").text.startswith("answer 1")
    assert shown(book.says("%session")).startswith("ID · 1 turn\n")
    assert "agentnb.db" in book.fails("%session list")
    assert "agentnb.db" in book.fails("%session export")


def test_help_names_every_verb(book: Notebook) -> None:
    told = book.says("%session --help")
    assert book.says("%session list --help") == told
    assert "%session export [ID] [FILE]" in told


def test_inspect_says_what_would_be_sent(book: Notebook) -> None:
    ask(book, "one")
    assert book.says("%session inspect") == book.says("%agent inspect")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "just now"), (120, "2 min ago"), (3600 * 3, "3 h ago"), (86_400 * 3, "3 days ago"), (-50, "just now")],
)
def test_a_time_is_said_as_people_do_with_its_date(seconds: float, said: str) -> None:
    assert re.fullmatch(rf"{said} \(\d{{4}}-\d\d-\d\d \d\d:\d\d\)", when(1.8e9 - seconds, 1.8e9))
