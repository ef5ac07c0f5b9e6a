"""References of a pipeline's step to other steps: what is wrong with one that leads to no step before it."""

from __future__ import annotations

from collections.abc import Mapping

from mistudio import v1
from mistudio_gateway.quoting import quoted

_SHOWN = 10
Edges = Mapping[str, tuple[str, ...]]


def step_problem(step: str, named: str, edges: Edges) -> str:
    """Returns why `step` cannot use the output of `named`, which is no step before it.

    `edges` has, for each step of the pipeline, the steps that it names; it is empty outside of one.
    """
    if not edges:
        return f"there is no step {quoted(named)}, for only a pipeline has steps: name an artifact or a job"
    if named not in edges:
        return f"there is no step {quoted(named)} in the pipeline"
    if cycle := _way(named, step, edges):
        round_trip = " needs ".join([*cycle[:_SHOWN], *(["…"] if len(cycle) > _SHOWN else []), named])
        return f"is part of a cycle: {round_trip}"
    return f"step {quoted(named)} stands after this one: put it before"


def _way(start: str, goal: str, edges: Edges) -> list[str]:
    """Returns the steps on a shortest way along what steps name; [] if there is none."""
    came_from: dict[str, str] = {start: ""}
    frontier = [start]
    while frontier and goal not in came_from:
        reached = [(name, step) for step in frontier for name in edges.get(step, ()) if name not in came_from]
        for name, step in reached:
            came_from.setdefault(name, step)
        frontier = [name for name, _ in reached]
    way = [goal] if goal in came_from else []
    while way and came_from[way[-1]]:
        way.append(came_from[way[-1]])
    return way[::-1]


def edges_of(named: Mapping[str, list[v1.ArtifactRef]]) -> Edges:
    """Returns the steps that each step names, from its references."""
    return {step: tuple(ref.step for ref in refs if ref.WhichOneof("ref") == "step") for step, refs in named.items()}
