"""`%%agent` with answers of a type, pictures, sounds, caps and secrets, in each of the three displays."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from inline_snapshot import snapshot

from agentnb.errors import OutputError
from agentnb.messages import Audio, File, Image
from agentnb.models.fake import FakeModel, Turn, call
from agentnb.prompting import to_media
from agentnb.result import Result
from tests.kernel.conftest import ThreadedProvider
from tests.notebook.conftest import Notebook
from tests.provider import says

KEY = "sk-secret-of-a-person-1"
TYPES = """
import dataclasses, typing, pydantic, typing_extensions
class City(pydantic.BaseModel):
    name: str
    people: int
@dataclasses.dataclass
class Town:
    name: str
    people: int
class Village(typing_extensions.TypedDict):
    name: str
Cities = list[City]
"""
OSLO = '{"name": "Oslo", "people": 709000}'
MODES = pytest.mark.parametrize("mode", ["live", "static", "text"])


def use(notebook: Notebook, *turns: Turn) -> FakeModel:
    """Let a scripted model answer."""
    model = FakeModel(*turns)
    notebook.workspace.use_model(model)
    return model


def value(notebook: Notebook, name: str) -> object:
    """A variable of the notebook."""
    return notebook.shell.user_ns[name]


@pytest.mark.parametrize(
    ("schema", "answer", "shown"),
    [
        ("City", OSLO, "City(name='Oslo', people=709000)"),
        ("Town", OSLO, "Town(name='Oslo', people=709000)"),
        ("Village", '{"name": "Flåm"}', "{'name': 'Flåm'}"),
        ("list[City]", f'{{"response": [{OSLO}]}}', "[City(name='Oslo', people=709000)]"),
        ("Cities", f"[{OSLO}]", "[City(name='Oslo', people=709000)]"),
        ("dict[str, int]", '{"Oslo": 1}', "{'Oslo': 1}"),
        ('typing.Literal["yes", "no"]', '"yes"', "'yes'"),
        ('{"type": "object", "properties": {"big": {"type": "boolean"}}}', '{"big": true}', "{'big': True}"),
        ("{'type': 'object', 'required': ['a']}", '{"a": 1}', "{'a': 1}"),
    ],
)
def test_the_variable_holds_the_instance_and_the_underscore_the_run(
    notebook: Notebook, schema: str, answer: str, shown: str
) -> None:
    notebook.says(TYPES)
    use(notebook, answer)
    notebook.says(f"%%agent --schema {schema} -o it\nWhich?")
    assert repr(value(notebook, "it")) == shown
    assert isinstance(value(notebook, "_"), Result)


def test_an_answer_that_is_wrong_is_asked_for_again_and_that_is_shown(notebook: Notebook) -> None:
    notebook.says(TYPES)
    model = use(notebook, "Oslo, I think.", '{"name": "Oslo"}', OSLO)
    ran = notebook.run("%%agent --schema City -o city\nWhich?")
    assert [words for words in ran.text.splitlines() if words.startswith("↻")] == snapshot(
        ["↻ Your answer is not valid: it is not JSON", "↻ Your answer is not valid: people: Field required"]
    )
    assert len(model.requests) == 3
    assert value(notebook, "city").people == 709_000  # type: ignore[attr-defined]  # a City


def test_an_answer_that_stays_wrong_fails_the_cell_with_the_last_one(notebook: Notebook) -> None:
    notebook.says(TYPES)
    use(notebook, "no", "no", "still no")
    ran = notebook.run("%%agent --schema City -o city\nWhich?")
    assert isinstance(ran.error, OutputError)
    assert str(ran.error).endswith("The last answer: still no")
    assert "city" not in notebook.shell.user_ns


def test_tools_work_on_the_way_to_a_typed_answer(notebook: Notebook) -> None:
    notebook.says(TYPES + "def people(city: str) -> int:\n    'How many.'\n    return 709000")
    use(notebook, call("people", city="Oslo"), OSLO)
    notebook.says("%%agent --schema City -t people -o city\nOslo?")
    assert value(notebook, "city").people == 709_000  # type: ignore[attr-defined]  # a City


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%%agent --schema Cty\nx", "--schema Cty: there is no variable 'Cty'. Did you mean 'City'? Nothing was sent."),
        ("%%agent --schema City(\nx", "is never closed"),
        ("%%agent --schema 1+\nx", "--schema 1+ is not a Python expression"),
        ("%%agent --schema {'a':1}\nx", "not a JSON Schema"),
        ("%%agent --schema 3\nx", "cannot be an answer"),
        ("%%agent -i nothing\nx", "--image nothing: there is no variable 'nothing'"),
        ("%%agent -i 1/0\nx", "--image 1/0: ZeroDivisionError: division by zero. Nothing was sent."),
        ("%%agent -i no.png\nx", "--image no.png: there is no such file"),
        ("%%agent -i City\nx", "is no picture"),
        ("%%agent -i data:image/png;base64,AAAA\nx", "is no picture"),
        ("%%agent --audio City\nx", "is no sound"),
        ("%%agent --max-cost much\nx", "--max-cost takes an amount in USD"),
        ("%%agent -p '{\"top_k\": true}'\nx", "The option 'top_k' takes a whole number"),
        ("%%agent -p '{\"temprature\": 1}'\nx", "Did you mean 'temperature'?"),
        ("%%agent -p [1]\nx", "takes a JSON object"),
        ("%%agent --api-base http://127.0.0.1:9/v1\nx", "go with --model"),
    ],
)
def test_a_slip_gets_one_line_and_nothing_is_sent(notebook: Notebook, cell: str, says: str) -> None:
    notebook.says(TYPES)
    model = use(notebook, "never")
    assert says in notebook.fails(cell)
    assert model.requests == []


@pytest.mark.parametrize(
    "source",
    ["picture", "pixels", "figure", "'a, file.png'", "file", "https://example.org/x.png", "DATA", "[picture, pixels]"],
)
def test_pictures_come_from_wherever_they_are(notebook: Notebook, tmp_path: Path, source: str) -> None:
    notebook.says(
        "import numpy as np, PIL.Image, pathlib, matplotlib\nmatplotlib.use('agg')\n"
        "import matplotlib.pyplot as plt\npixels = np.zeros((8, 8, 3), dtype=np.uint8)\n"
        "picture = PIL.Image.fromarray(pixels)\nfigure = plt.figure(figsize=(1, 1))\n"
        "file = pathlib.Path('a, file.png')\npicture.save(file)"
    )
    data = base64.b64encode((tmp_path / "a, file.png").read_bytes()).decode()
    model = use(notebook, "seen")
    notebook.says(f"%%agent -i {source.replace('DATA', f'data:image/png;base64,{data}')}\nWhat is it?")
    blocks = [block for block in model.requests[0].messages[0].content if isinstance(block, Image)]
    assert blocks
    assert len(blocks) == (2 if source.startswith("[") else 1)
    assert all(block.data.startswith(b"\x89PNG") or block.url for block in blocks)


def test_a_sound_comes_as_samples_with_their_rate(notebook: Notebook) -> None:
    notebook.says("import numpy as np\nsound = (8000, np.zeros(80))")
    model = use(notebook, "heard")
    notebook.says("%%agent --audio sound\nWhat is it?")
    assert [type(block) for block in model.requests[0].messages[0].content][-1] is Audio


def test_a_model_that_only_reads_is_sent_no_picture(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    monkeypatch.setenv("DEEPSEEK_BASE_URL", "http://127.0.0.1:9/v1")  # whoever asks there gets ConnectionFailed
    notebook.says("import numpy as np\npixels = np.zeros((8, 8))")
    refused = notebook.fails("%%agent -m deepseek:deepseek-v4-pro -i pixels\nWhat is it?")
    assert refused.startswith("UsageError: deepseek:deepseek-v4-pro takes no images: its card")


def test_options_go_out_in_the_providers_words(notebook: Notebook, remote: ThreadedProvider) -> None:
    server = remote.serve(says("hello"))
    ask = f"%%agent -m openai:x --api-base {server.url} --session none"
    notebook.says(f'{ask} -p {{"thinking": "low", "temperature": 0}} --max-tokens 9\nhi')
    body = server.requests[0].json
    assert (body["reasoning_effort"], body["temperature"], body["max_completion_tokens"]) == ("low", 0, 9)
    assert "openai:x has no option 'top_k'" in notebook.fails(f'{ask} -p {{"top_k": 1}}\nhi')
    assert len(server.requests) == 1


@MODES
def test_a_key_that_a_model_or_a_tool_says_is_masked(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("AGENTNB_DISPLAY", mode)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    notebook.says(
        "import os\ndef leak() -> str:\n    'Leak.'\n    print(os.environ['OPENAI_API_KEY'])\n"
        "    return 'It is ' + os.environ['OPENAI_API_KEY']"
    )
    use(notebook, call("leak"), f"Your key is {KEY}, and in base64 {base64.b64encode(KEY.encode()).decode()}.")
    ran = notebook.run("%%agent -t leak\nWhat is {{os.environ['OPENAI_API_KEY']}}?")
    assert ran.error is None
    everything = ran.everything()
    assert KEY not in everything
    assert base64.b64encode(KEY.encode()).decode() not in everything
    assert everything.count("[key]") >= 3


def test_an_error_that_quotes_an_answer_is_masked_too(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    notebook.says(TYPES)
    use(notebook, *[f"no: {KEY}"] * 3)
    assert notebook.fails("%%agent --schema City\nWhich?").endswith("The last answer: no: [key]")


PNG = next(iter(to_media(np.zeros((4, 4), dtype=np.uint8), "image")))
WAV = next(iter(to_media((8000, np.zeros(80)), "audio")))


@MODES
def test_what_a_model_makes_is_shown_or_named(notebook: Notebook, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("AGENTNB_DISPLAY", mode)
    big = Audio(b"\0" * 3_000_000)
    use(notebook, ["Here:", PNG, WAV, big, File("<b>.pdf", b"%PDF-1", "application/pdf"), Image(url="https://a/b.png")])
    ran = notebook.run("%%agent\nDraw")
    names = ["[audio/wav, 204 bytes]", "[audio/wav, 3.0 MB]", "[file <b>.pdf, 6 bytes]", "[image https://a/b.png]"]
    assert [name for name in names if name in ran.text] == names
    if mode == "text":
        assert "[image/png, " in ran.text
        return
    assert isinstance(PNG, Image)
    assert ran.mime("image/png") == [base64.b64encode(PNG.data).decode()]
    html = "".join(map(str, ran.mime("text/html")))
    assert html.count('<audio controls src="data:audio/wav;base64,') == 1
    assert "<b>" not in html
    assert "<img" not in html


@MODES
def test_every_display_ends_with_what_it_took(notebook: Notebook, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("AGENTNB_DISPLAY", mode)
    use(notebook, "It is three.")
    assert notebook.says("%%agent\nHow many are they?").splitlines()[-1] == snapshot(
        "fake:script · 1 round · 7 tokens: 4 in, 3 out"
    )


def test_a_dry_run_shows_all_that_would_go_and_what_it_costs_at_least(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    notebook.says(TYPES + f"secret = '{KEY}'\nimport numpy as np\npixels = np.zeros((8, 8))")
    said = notebook.says(
        '%%agent --dry-run -m openai:gpt-5.4 --schema City -p {"thinking": "low"} -i pixels -s "Be brief."\n'
        "Is it {{secret}}?"
    )
    assert said == snapshot("""\
Dry run: nothing was sent. To openai:gpt-5.4, about 2,043 tokens, at least $0.0051.

── system ──────────────────────────────────────────────────────
Be brief.

── user ────────────────────────────────────────────────────────
Is it [key]?
[image/png, 69 bytes]

── answer as City ──────────────────────────────────────────────
{
  "properties": {
    "name": {
      "type": "string"
    },
    "people": {
      "type": "integer"
    }
  },
  "required": [
    "name",
    "people"
  ],
  "type": "object"
}

── options ─────────────────────────────────────────────────────
{"thinking": "low"}\
""")
    assert KEY not in said


def test_a_dry_run_of_a_model_without_a_price_claims_none(notebook: Notebook) -> None:
    use(notebook, "never")
    assert notebook.says("%%agent --dry-run\nHi").startswith(
        "Dry run: nothing was sent. To fake:script, about 1 token.\n"
    )


def test_a_format_still_wins_over_the_schema(notebook: Notebook) -> None:
    notebook.says(TYPES)
    use(notebook, OSLO, OSLO)
    assert "```json" in str(notebook.run("%%agent --schema City\nWhich?").mime("text/markdown")[0])
    assert "```json" not in str(notebook.run("%%agent --schema City -f text\nWhich?").displays)


@pytest.mark.parametrize("line", ["\n{{int(KEY)}}", " --dry-run\n{{ {}[KEY] }}", " --schema {}[KEY]\nHi"])
def test_a_placeholder_that_fails_quotes_no_secret(notebook: Notebook, line: str) -> None:
    notebook.workspace.mask.add("hunter2-hunter2")
    notebook.run("KEY = 'hunter2-hunter2'")
    ran = notebook.run(f"%%agent{line}")
    assert "[key]" in str(ran.error)
    assert "hunter2" not in ran.everything()


def test_a_dry_run_shows_what_would_drive_a_terminal(notebook: Notebook) -> None:
    notebook.run("page = '\\x1b[2Jgone'")
    assert "␛[2Jgone" in notebook.says("%%agent --dry-run\n{{page}}")
