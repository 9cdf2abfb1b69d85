"""A template says what it is asked to, in both roles; whatever is wrong is said before anything is sent."""

from __future__ import annotations

import base64
import time

import pytest

from agentnb import Agent, FakeModel, Template, tool
from agentnb.errors import PromptError
from agentnb.messages import Image, Text

_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SUM = Template("Summarise in {{language}}:\n\n{{text}}", name="sum")


def fails(template: Template, *args: object, **values: object) -> str:
    with pytest.raises(PromptError) as caught:
        template.fill(*args, **values)  # type: ignore[arg-type]  # what a test gives is what it is
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_placeholders_are_told_in_order_and_arguments_are_those_that_are_names() -> None:
    template = Template("{{b}} {{ a }} {{a}} {{n + 1}} {{TOOLS}} {single} {{{{literal}}}} {{input}}")
    assert template.placeholders == ("b", "a", "n + 1", "TOOLS", "input")
    assert template.arguments == ("b", "a", "input")


def test_arguments_go_before_variables() -> None:
    filled = SUM.fill({"language": "French"}, {"language": "German", "text": "All of it."})
    assert filled.text == "Summarise in French:\n\nAll of it."
    assert SUM.fill(language="French", text=1.5).text == "Summarise in French:\n\n1.5"
    assert Template("{{n}} {{n + 1}} {single} {{{{n}}}}").fill(n=2).text == "2 3 {single} {{n}}"


def test_a_value_injects_no_placeholder() -> None:
    filled = SUM.fill(language="{{text}}", text="{{language}} {{TOOLS}} {{{{x}}}}", strict=False)
    assert filled.text == "Summarise in {{text}}:\n\n{{language}} {{TOOLS}} {{{{x}}}}"


def test_a_missing_value_is_named_with_its_template_and_what_to_write() -> None:
    assert fails(SUM, language="x") == (
        "Template 'sum' has no value for {{text}}. Give text=…, or make a variable of that name. Nothing was sent."
    )
    assert "no value for {{language}}, {{text}}. Give language=…" in fails(SUM)
    assert "Write it below the line, or input=…" in fails(Template("{{input}}"))
    assert "and 2 more. Give a=…" in fails(Template("".join(f"{{{{{each}}}}}" for each in "abcdefg")))
    assert fails(Template("{{n + 1}}", name="plus")).startswith("Template 'plus': {{n + 1}}: there is no variable 'n'.")


@pytest.mark.parametrize("name", ["input", "type", "id", "list", "format"])
def test_a_built_in_of_python_is_no_value(name: str) -> None:
    assert f"no value for {{{{{name}}}}}" in fails(Template(f"{{{{{name}}}}}"))
    assert Template(f"{{{{{name}}}}}").fill({name: "mine"}).text == "mine"


def test_an_argument_that_nothing_asks_for_is_a_slip() -> None:
    assert fails(SUM, langage="x", text="y") == (
        "Template 'sum' has no placeholder 'langage'. Did you mean 'language'? It has {{language}}, {{text}}. "
        "Nothing was sent."
    )
    assert "It has none." in fails(Template("Hi"), x=1)
    assert Template("{{[each + n for each in range(2)]}}").fill(n=1).text == "[1, 2]"


def test_lenient_it_leaves_what_has_no_value_as_it_stands() -> None:
    template = Template("{{ a }} {{b}} {{{{a}}}} {{a}}}} {{1 + 1}}")
    assert template.fill(b=1, strict=False).text == "{{ a }} 1 {{a}} {{a}}}} 2"
    assert template.fill(b=1, extra=2, strict=False).text.startswith("{{ a }} 1")


@pytest.mark.parametrize("content", ["{{", "{{a", "{{ }}", "{{a b}}", "{{{{a", "{{from}}", "{{\0}}"])
def test_what_cannot_be_read_is_said_with_the_template(content: str) -> None:
    assert fails(Template(content, name="odd")).startswith("Template 'odd': ")
    with pytest.raises(PromptError, match="Template 'odd'"):
        _ = Template(content, name="odd").placeholders


def test_the_words_of_a_cell_go_where_the_template_says_or_below_it() -> None:
    names = {"x": 1, "y": 2}
    assert Template("Be brief. {{input}} (x={{x}})").around("\nAdd {{y}}.\n").fill({}, names).text == (
        "Be brief. Add 2. (x=1)"
    )
    assert Template("Be brief.\n").around("Add {{y}}.").fill({}, names).text == "Be brief.\n\nAdd 2."
    assert SUM.around(" \n ") is SUM
    assert SUM.around("more").name == "sum"
    with pytest.raises(PromptError, match="never closed"):
        SUM.around("{{a")


def test_braces_at_the_seams_are_not_read_together() -> None:
    template = Template("{{{{a}}}}{{input}}{{x}}}").around("{{{{b}}}} {")
    assert template.fill(x=1).text == "{{a}}{{b}} {\n1}"


def test_the_tools_go_where_the_template_says() -> None:
    template = Template("{{x}} with {{ TOOLS }} {{{{TOOLS}}}}")
    assert template.fill(x="{{TOOLS}}", tools="a table").text == "{{TOOLS}} with a table {{TOOLS}}"
    assert template.fill(x=1).text == "1 with {{TOOLS}} {{TOOLS}}"
    assert template.fill({"TOOLS": "mine"}, {"x": 1, "TOOLS": "no"}, tools="a table").text == "1 with mine {{TOOLS}}"
    assert template.fill({"x": 1}, {"TOOLS": "a variable"}, tools="a table").text == "1 with a table {{TOOLS}}"


@tool
def double(n: int) -> int:
    """Twice as much."""
    return 2 * n


def test_in_a_system_prompt_only_the_template_asks_for_the_tools() -> None:
    template = Template("You are {{who}}. {{TOOLS}} {{{{TOOLS}}}}")
    value = "x {{TOOLS}} {{{{TOOLS}}}} {{{TOOLS}}} {{TOOLS}}{{TOOLS}}"
    model = FakeModel("ok")
    Agent(model, tools=[double], system=template.system(who=value)).run_sync("Hi")
    table = "| Tool(s) | Description |\n|---|---|\n| double | Twice as much. |"
    assert model.requests[0].messages[0].text == f"You are {value}. {table} {{{{TOOLS}}}}"


def test_a_system_prompt_takes_no_pictures() -> None:
    picture = Image(_DOT, "image/png")
    assert isinstance(Template("{{it}}").fill(it=picture).content[-1], Image)
    with pytest.raises(PromptError, match=r"a system prompt takes words only.*image.*Use it in a prompt instead"):
        Template("{{it}}").system(it=picture)


def test_an_agent_takes_what_a_template_says() -> None:
    model = FakeModel("ok", "ok")
    agent = Agent(model, namespace={"text": "no"})
    agent.run_sync(SUM.fill(language="French", text="{{text}}"))
    agent.run_sync(Template("{{a}}").fill(a="{{text}}"))
    assert [each.messages[-1].content for each in model.requests] == [
        (Text("Summarise in French:\n\n{{text}}"),),
        (Text("{{text}}"),),
    ]


def test_a_megabyte_is_filled_at_once() -> None:
    began = time.perf_counter()
    content = "x {single} <b>" * 75_000 + "{{a}}"
    assert Template(content).fill(a=1).text == content.removesuffix("{{a}}") + "1"
    with pytest.raises(PromptError, match="never closed"):
        Template("{{a} " * 200_000).fill(a=1)
    assert time.perf_counter() - began < 5
