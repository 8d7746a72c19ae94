"""Global assignment: of all the pairs that could be, the set that is best together.

Edges are (left, right, cost) in integers. Each connected component is solved on its own: exactly
(as many pairs as possible, then the least total cost) up to a size, above it by mutual best in
order of cost. First-fit is never used, and the order of the input decides nothing: ties go to the
lower numbers, which the caller gives by source and row.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import NamedTuple


class Edge(NamedTuple):
    """A pair that could be one, and what speaks against it (0 is best)."""

    left: int
    right: int
    cost: int


class Chosen(NamedTuple):
    """An edge that was chosen. `runner_up_cost` is the best cost that either of its legs had
    elsewhere; `contested` says that a free leg would have done exactly as well."""

    edge: Edge
    runner_up: tuple[int, int] | None
    runner_up_cost: int | None
    contested: bool


def assign(edges: Iterable[Edge], component_max: int) -> tuple[list[Chosen], int]:
    """Choose among `edges`; also returns how many components were above `component_max`."""
    chosen: list[Chosen] = []
    large = 0
    for component in components(edges):
        lefts, rights = len({e.left for e in component}), len({e.right for e in component})
        bounded = lefts + rights <= component_max or len(component) == 1
        large += not bounded
        if lefts == 1 or rights == 1:
            chosen.append(_star(component))
        else:
            picked = _exact(component) if bounded else _mutual_best(component)
            chosen.extend(_with_rivals(component, picked))
    return sorted(chosen, key=lambda c: c.edge), large


def components(edges: Iterable[Edge]) -> list[list[Edge]]:
    """Edges grouped by what they are connected to, everything in order."""
    ordered = sorted(set(edges))
    by_left: dict[int, list[Edge]] = defaultdict(list)
    by_right: dict[int, list[Edge]] = defaultdict(list)
    for edge in ordered:
        by_left[edge.left].append(edge)
        by_right[edge.right].append(edge)
    found = []
    seen_left: set[int] = set()
    seen_right: set[int] = set()
    for start in by_left:
        if start in seen_left:
            continue
        seen_left.add(start)
        waiting, group = [start], []
        while waiting:
            mine = by_left[waiting.pop()]
            group.extend(mine)
            for edge in mine:
                if edge.right not in seen_right:
                    seen_right.add(edge.right)
                    near = {e.left for e in by_right[edge.right]} - seen_left
                    seen_left |= near
                    waiting.extend(near)
        found.append(sorted(group))
    return found


def _star(component: list[Edge]) -> Chosen:
    """The best of edges that all share one leg; the next best is its rival."""
    best, *others = sorted(component, key=lambda e: (e.cost, e.left, e.right))
    if not others:
        return Chosen(best, None, None, contested=False)
    rival = others[0]
    return Chosen(best, (rival.left, rival.right), rival.cost, rival.cost <= best.cost)


def _mutual_best(component: list[Edge]) -> list[Edge]:
    """Edges in order of cost, each taken if both its legs are still free."""
    lefts: set[int] = set()
    rights: set[int] = set()
    picked = []
    for edge in sorted(component, key=lambda e: (e.cost, e.left, e.right)):
        if edge.left not in lefts and edge.right not in rights:
            lefts.add(edge.left)
            rights.add(edge.right)
            picked.append(edge)
    return picked


def _exact(component: list[Edge]) -> list[Edge]:
    """Least-cost matching of greatest size, by shortest augmenting paths (Bellman-Ford on the
    residual graph: costs along a path may fall when a pair is dissolved)."""
    adjacent: dict[int, list[Edge]] = defaultdict(list)
    for edge in component:
        adjacent[edge.left].append(edge)
    taken_left: dict[int, Edge] = {}
    taken_right: dict[int, Edge] = {}
    while True:
        path = _cheapest_path(adjacent, taken_left, taken_right)
        if path is None:
            return sorted(taken_left.values())
        for edge in path:  # the edges that join; those between them dissolve by being overwritten
            taken_left[edge.left] = edge
            taken_right[edge.right] = edge


def _cheapest_path(
    adjacent: dict[int, list[Edge]], taken_left: dict[int, Edge], taken_right: dict[int, Edge]
) -> list[Edge] | None:
    """The cheapest way to match one more left leg, as the edges that join; None when there is none."""
    best: dict[int, int] = {left: 0 for left in sorted(adjacent) if left not in taken_left}
    came: dict[int, Edge] = {}  # right -> the edge that reached it
    reached: dict[int, int] = {}  # right -> cost
    waiting = deque(best)
    while waiting:
        left = waiting.popleft()
        held = taken_left.get(left)
        for edge in adjacent[left]:
            cost = best[left] + edge.cost
            if edge == held or (edge.right in reached and reached[edge.right] <= cost):
                continue
            reached[edge.right], came[edge.right] = cost, edge
            owner = taken_right.get(edge.right)
            if owner is not None:
                through = cost - owner.cost
                if owner.left not in best or through < best[owner.left]:
                    best[owner.left] = through
                    if owner.left not in waiting:
                        waiting.append(owner.left)
    free = [(cost, right) for right, cost in reached.items() if right not in taken_right]
    if not free:
        return None
    path = []
    right: int | None = min(free)[1]
    while right is not None:
        edge = came[right]
        path.append(edge)
        held = taken_left.get(edge.left)
        right = held.right if held is not None else None
    return path


def _with_rivals(component: list[Edge], picked: list[Edge]) -> list[Chosen]:
    """For each chosen edge its best rival, and whether a leg that stayed free does as well."""
    lefts, rights = {e.left for e in picked}, {e.right for e in picked}
    by_left: dict[int, list[Edge]] = defaultdict(list)
    by_right: dict[int, list[Edge]] = defaultdict(list)
    for edge in component:
        by_left[edge.left].append(edge)
        by_right[edge.right].append(edge)
    found = []
    for edge in picked:
        rivals = [r for r in (*by_left[edge.left], *by_right[edge.right]) if r != edge]
        best = min(rivals, key=lambda r: (r.cost, r.left, r.right), default=None)
        contested = any(
            r.cost <= edge.cost
            and (r.right not in rights if r.left == edge.left else r.left not in lefts)
            for r in rivals
        )
        found.append(
            Chosen(
                edge,
                None if best is None else (best.left, best.right),
                None if best is None else best.cost,
                contested,
            )
        )
    return found
