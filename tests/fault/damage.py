"""Damage: each bit of a step file and of journal lines flipped, and each length that they can be cut to."""

from kills import Workshop, tool
from scenarios import SCENARIOS


def run(options, _names):
    """True when all damage was noticed."""
    scenario = next(one for one in SCENARIOS if one.name == "server")
    with Workshop(scenario) as workshop:
        whole = workshop.dir / "whole"
        model = (whole / "model.id").read_text().splitlines()[0]
        asked = "\n".join(workshop.asked())
        steps = tool("steps", whole / "steps", 53 if options.sample else 1)
        journal = tool("journal", whole / "journal", model, 1 if options.sample else 12, stdin=asked)
    print(f"\n{steps.stdout}{journal.stdout}", end="")
    return steps.returncode == 0 and journal.returncode == 0
