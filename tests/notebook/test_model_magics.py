"""`%model`: choosing, listing, making and trying models."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from agentnb.models.fake import FakeModel
from tests.kernel.conftest import ThreadedProvider
from tests.notebook.conftest import Notebook
from tests.provider import Answer, Asked, document, says

KEY = "sk-secret-of-a-person-1"


def listed(*names: str) -> object:
    """A list of models, as OpenAI gives it."""
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def test_a_new_person_sees_what_can_answer_now_and_what_a_key_would_add(notebook: Notebook) -> None:
    head, *rows = notebook.says("%model list").splitlines()
    assert head.split() == ["model", "what", "state"]
    assert [row.split()[0] for row in rows[:4]] == ["ollama:…", "vllm:…", "lmstudio:…", "llamacpp:…"]
    assert all(row.startswith("local:") for row in rows[4:7])
    assert "also: openai, openai-responses (OPENAI_API_KEY), azure (AZURE_OPENAI_API_KEY), anthropic" in rows[7]
    assert len(rows) == 9


def test_a_provider_with_a_key_comes_up_and_says_where_the_key_is(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.setenv("SOME_KEY", KEY)
    notebook.says("%credential add work --provider mistral --from-env SOME_KEY")
    rows = notebook.says("%model list")
    assert [row.split()[0] for row in rows.splitlines()[1:4]] == ["mistral:…", "groq:…", "ollama:…"]
    assert "key in GROQ_API_KEY" in rows
    assert "key kept as work" in rows
    notebook.says("%credential disable work")
    notebook.says("%credential disable groq")
    rows = notebook.says("%model list")
    assert "off: %credential enable work" in rows
    assert "off: %credential enable groq" in rows
    assert KEY not in rows


def test_a_provider_is_asked_and_the_cards_say_the_rest(
    notebook: Notebook, remote: ThreadedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = remote.serve(document(listed("gpt-4o-mini", "gpt-x")))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    ran = notebook.run("%model list openai 4o-mini")
    assert ran.text.splitlines()[:2] == snapshot(
        [
            "model               name         context  takes              USD in  USD out",
            "openai:gpt-4o-mini  GPT-4o mini  128,000  text, image, file   $0.15    $0.60",
        ]
    )
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_what_a_provider_says_is_no_markup(
    notebook: Notebook, remote: ThreadedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"data": [{"id": "a/new", "name": "<b>New</b>"}]}
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", remote.serve(document(named)).url)
    html = str(notebook.run("%model list openrouter").mime("text/html")[0])
    assert "&lt;b&gt;New&lt;/b&gt;" in html
    assert "<b>" not in html


def test_hundreds_of_models_are_not_shown_at_once(
    notebook: Notebook, remote: ThreadedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", remote.serve(document(listed(*(f"m{n}" for n in range(400))))).url)
    monkeypatch.setenv("OPENROUTER_BASE_URL", remote.serve(document(listed(*(f"a/m{n}" for n in range(400))))).url)
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    shown = notebook.says("%model list openrouter")
    assert "These are 50 of 400" in shown
    assert notebook.says("%model list openrouter m39").count("openrouter:a/m39") == 11
    assert "No model of 400 has 'zzz' in its name." in notebook.says("%model list openrouter zzz")


def test_without_a_key_what_is_known_here_is_shown_with_the_reason(notebook: Notebook) -> None:
    shown = notebook.says("%model list openai")
    assert "openai:gpt-4o-mini" in shown
    assert "OPENAI_API_KEY is not set" in shown
    assert "Prices in USD for a million tokens, read on" in shown


def test_a_refused_key_is_said_and_never_shown(
    notebook: Notebook, remote: ThreadedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = document({"error": {"message": f"Incorrect API key provided: {KEY}."}}, 401)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", remote.serve(refusal).url)
    ran = notebook.run("%model list openai")
    assert "OPENAI_API_KEY" in ran.text
    assert KEY not in ran.everything()


def test_built_in_models_are_a_provider_too(notebook: Notebook) -> None:
    assert "local:qwen2.5-coder-0.5b    491 MB  Apache-2.0" in notebook.says("%model list local")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%model list opnai", "Did you mean 'openai'?"),
        ("%model list openai --all", "takes no options"),
        ("%model tset", "neither a model nor a verb of %model. Did you mean 'test'?"),
        ("%model openai:a openai:b", "one too many"),
        ('%model openai:a -p {"temprature": 1}', "Did you mean 'temperature'?"),
        ("%model add", "needs a name"),
        ("%model add a", "needs the model it is made of"),
        ("%model add a opnai:x", "Did you mean 'openai'?"),
        ("%model add a openai:x y", "one too many"),
        ("%model add list openai:x", "cannot be called 'list'"),
        ("%model add a openai:x --retries two", "takes a whole number"),
        ("%model add a openai:x --rate often", "is not a rate"),
        ("%model add a openai:x --timeout soon=3", "first=30"),
        ("%model add a openai:x --connect -1", "takes a number greater than 0"),
        ("%model add a openai:x --fallback", "needs a value"),
        ("%model add a openai:x --fallback nope", "does not name a model"),
        ("%model add a openai:x --balance openai:y=0", "models with weights"),
        ("%model add a openai:x --params {'x': 1}", "not valid JSON"),
        ("%model add a openai:x --replay a.json --bogus", "no option --bogus"),
        ("%model alias a", "takes two names"),
        ("%model alias a nope", "does not name a model"),
        ("%model alias a a", "stands for 'a' itself"),
        ("%model alias rm openai:x", "cannot be called 'rm'"),
        ("%model rm", "needs the name"),
        ("%model rm nothing", "No model is registered as 'nothing'"),
        ("%model test nope", "does not name a model"),
        ("%model pull nope", "nope"),
    ],
)
def test_a_slip_gets_one_line(notebook: Notebook, cell: str, says: str) -> None:
    assert says in notebook.fails(cell)


def test_a_model_of_ones_own_is_called_by_both_names(notebook: Notebook) -> None:
    made = notebook.says(
        "%model add fast openai:gpt-5.4 --fallback groq:x, xai:y --retries 3 --timeout first=30,idle=9"
    )
    assert made == snapshot(
        "fast is openai:gpt-5.4, fallback groq:x, xai:y, retries 3, timeout first=30,idle=9. Choose it: %model fast"
    )
    assert notebook.says("%model fast").startswith("fast (openai:gpt-5.4) answers from now on.")
    assert notebook.says("%model") == "fast (openai:gpt-5.4)"
    assert "openai:gpt-5.4, fallback groq:x, xai:y" in notebook.says("%model list")
    notebook.workspace.use_model(FakeModel("hi"))
    assert notebook.says("%model") == "fake:script"


def test_an_alias_may_be_given_and_taken_away(notebook: Notebook) -> None:
    assert notebook.says("%model alias tutor openai:gpt-5.4") == "tutor is openai:gpt-5.4."
    notebook.says("%model tutor")
    assert notebook.says("%model rm tutor") == "tutor is forgotten."
    assert notebook.says("%model") == "openai:gpt-5.4"
    assert "tutor" in notebook.fails("%model tutor")


def test_whoever_chooses_a_model_without_a_key_hears_it_at_once(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = notebook.says('%model openai:gpt-5.4 -p {"thinking": "low", "headers": {"x-team": "secret-team"}}')
    assert said == snapshot(
        """\
openai:gpt-5.4 answers from now on, with thinking low.
It has no key yet: set OPENAI_API_KEY, or %credential add openai\
"""
    )
    assert notebook.says("%model") == "openai:gpt-5.4, with thinking low"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert notebook.says("%model openai:gpt-5.4") == "openai:gpt-5.4 answers from now on."
    assert "no key" not in notebook.says("%model openai:x --api-base http://127.0.0.1:9/v1")


def test_what_is_put_around_a_model_works(notebook: Notebook, remote: ThreadedProvider, tmp_path: Path) -> None:
    busy = remote.serve(document({"error": {"message": "Busy"}}, 503))
    server = remote.serve(says("hello"))
    notebook.says(f"%model add good openai:x --api-base {server.url} --record tape.json --cache memory --rate 100/s")
    notebook.says(f"%model add bad openai:y --api-base {busy.url} --retries 0 --fallback good --connect 2")
    for _ in range(2):
        assert notebook.says("%%agent -m bad --session none\nhi").startswith("hello")
    assert len(server.requests) == 1
    assert "hello" in (tmp_path / "tape.json").read_text("utf-8")
    assert notebook.says("%model add again --replay tape.json").startswith("again is replay tape.json")
    assert notebook.says("%%agent -m again --session none\nhi").startswith("hello")


def test_a_model_is_asked_for_one_word(notebook: Notebook, remote: ThreadedProvider) -> None:
    server = remote.serve(says("ready"))
    notebook.says(f"%model add mine openai:x --api-base {server.url}")
    assert notebook.says("%model test mine").startswith("mine: openai:x answers: ")
    notebook.says("%model mine")
    assert notebook.says("%model test").startswith("openai:x answers: ")
    assert "does not answer" in notebook.says("%model test anthropic:x")


def test_a_model_that_does_not_answer_says_why_without_the_key(
    notebook: Notebook, remote: ThreadedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(asked: Asked) -> Answer:
        return document({"error": {"message": f"No: {asked.headers['authorization']}"}}, 403)

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", remote.serve(refuse).url)
    said = notebook.says("%model test openai:x")
    assert "does not answer" in said
    assert KEY not in said


@pytest.mark.parametrize("cell", ["%model --help", "%model add --help", "%model list -h", "%model rm --help"])
def test_help_is_there_wherever_one_asks_for_it(notebook: Notebook, cell: str) -> None:
    said = notebook.says(cell)
    assert "%model alias NAME PROVIDER:NAME" in said
    assert "--fallback" in said


def test_a_model_of_ones_own_is_kept_for_every_notebook(notebook: Notebook) -> None:
    notebook.says("%model add fast openai:gpt-5-mini --retries 3")
    assert notebook.says("%model save fast") == "fast is kept. In any notebook: %model fast"
    assert notebook.workspace.kept("model") == {"fast": {"base": "openai:gpt-5-mini", "settings": {"retries": "3"}}}
    assert "needs the name" in notebook.fails("%model save")
    assert "was not made here" in notebook.fails("%model save other")
    notebook.says("%model rm fast")
    assert notebook.workspace.kept("model") == {}
