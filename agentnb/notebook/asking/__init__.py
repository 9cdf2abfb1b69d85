"""How a person is asked during a run: by a widget, by `input()`, or not at all."""
