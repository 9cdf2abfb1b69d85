"""Print counts and means of the penguins by species, island, sex or year, as a Markdown table."""

import csv
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

GROUPS = ("species", "island", "sex", "year")
DATA = Path(__file__).resolve().parents[3] / "data" / "penguins.csv"


def numbers(rows, column):
    """The values of a column; those that nobody measured are left out."""
    return [float(row[column]) for row in rows if row[column] not in ("", "NA")]


def main(by="species", path=DATA):
    if by not in GROUPS:
        sys.exit(f"There is no group {by!r}. It is one of {', '.join(GROUPS)}.")
    groups = defaultdict(list)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            groups[row[by] if row[by] not in ("", "NA") else "unknown"].append(row)
    lines = [f"| {by} | penguins | mean body mass (g) | mean flipper length (mm) |", "|---|---:|---:|---:|"]
    for name, rows in sorted(groups.items()):
        mass, flipper = numbers(rows, "body_mass_g"), numbers(rows, "flipper_length_mm")
        lines.append(f"| {name} | {len(rows)} | {mean(mass):.0f} | {mean(flipper):.0f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
