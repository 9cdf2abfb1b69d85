"""Skills: folders with a SKILL.md that a model opens when it needs them (the Agent Skills specification)."""
