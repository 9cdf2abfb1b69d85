"""A run with one of everything, for the tests of what is shown."""

from __future__ import annotations

import io

from agentnb import events, messages
from agentnb.messages import Data, Image, Text, user

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> "
    "[click](javascript:alert(1)) ![p](https://leak.example/p.png)"
)

ANSWER = """## Penguins by mass

**Gentoo** penguins are the heaviest, by more than a kilogram:

| species | count | mean mass (g) |
|---|---:|---:|
| Adelie | 152 | 3700.7 |
| Chinstrap | 68 | 3733.1 |
| Gentoo | 124 | 5076.0 |

The mean is $\\bar{x} = \\frac{1}{n}\\sum_{i=1}^{n} x_i$, computed with:

```python
penguins.groupby("species").body_mass_g.mean()
```

1. Select the species.
2. Average `body_mass_g`.

> Two rows have no mass; they are left out.
"""


def picture() -> bytes:
    """A small real figure."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    image = Pillow.new("RGB", (360, 150), "white")
    draw = ImageDraw.Draw(image)
    for row, (width, colour) in enumerate(((222, "#ff8c00"), (224, "#a034c0"), (304, "#0a7d7d"))):
        draw.rectangle((40, 18 + 42 * row, 40 + width, 46 + 42 * row), fill=colour)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def call(call_id: str, name: str, arguments: str) -> list[events.Event]:
    """A call as it arrives."""
    half = len(arguments) // 2
    return [
        events.ToolCallStart(call_id, name),
        events.ToolCallArgs(call_id, arguments[:half]),
        events.ToolCallArgs(call_id, arguments[half:]),
        events.ToolCallEnd(call_id),
    ]


def result(call_id: str, name: str, *content: messages.Content, is_error: bool = False) -> events.Event:
    """Its answer."""
    return events.ToolResult(messages.ToolResult(call_id, name, content, is_error))


def run(answer: str = ANSWER) -> list[events.Event]:
    """Thinking, parallel calls with output, an error and a picture, then the answer."""
    thought = (
        "The user wants the mean mass per species. I can call mean_mass for each of them, then plot.\n\nFirst Gentoo."
    )
    words = [answer[at : at + 7] for at in range(0, len(answer), 7)]
    options = '{"kind": "bar", "colors": ["#ff8c00", "#a034c0", "#0a7d7d"]}'
    failure = "KeyError: 'Emperor' is not a species of this table. Known: Adelie, Chinstrap, Gentoo."
    return [
        events.RunStarted("openai:gpt-5-mini"),
        events.MessageAdded(user("Which species is the heaviest?")),
        *(events.ThinkingDelta(thought[at : at + 9]) for at in range(0, len(thought), 9)),
        events.TextDelta("I'll look at the data."),
        *call("x1", "mean_mass", '{"species": "Gentoo"}'),
        *call("x2", "plot_mass", f'{{"by": "species", "options": {options}}}'),
        *call("x3", "mean_mass", '{"species": "Emperor"}'),
        events.Usage(messages.Usage(812, 96)),
        events.MessageEnd("tool_calls"),
        events.ToolStarted("x1"),
        events.ToolStarted("x2"),
        events.ToolOutput("x2", Text("reading 344 rows\n")),
        result("x2", "plot_mass", Text("A bar chart."), Image(picture(), alt="mean mass by species")),
        result("x1", "mean_mass", Data(5076.0)),
        events.ToolStarted("x3"),
        result("x3", "mean_mass", Text(failure), is_error=True),
        *map(events.TextDelta, words),
        events.Usage(messages.Usage(1130, 240)),
        events.MessageEnd("stop"),
        events.RunFinished("done", messages.Usage(1942, 336)),
    ]
