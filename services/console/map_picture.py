"""Where a consignment is and was, as an SVG made here: a base map of our own disk, no tiles, no script. Pure but for `land`.

Places are UN/LOCODEs. Their position is that of the airport of the same name (`airportsdata`), else of the short list of
seaports below; a place that has none is named beside the map.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import airportsdata

from services.console.assets import base_map
from services.console.consignment import Story

WIDTH, HEIGHT = 1000, 420
LEAST_DEG: Final = 50.0
GRID_DEG: Final = 10.0
"""Views begin and end on this grid, so that consignments of one trade share a drawn coast."""
BEND_POINTS: Final = 24
SEAPORTS: Final = {  # degrees, to a tenth; where no airport of the code stands near
    "AEJEA": (55.1, 25.0),
    "BEANR": (4.4, 51.3),
    "CNDLC": (121.6, 38.9),
    "CNNSA": (113.6, 22.7),
    "CNSZX": (113.9, 22.5),
    "CNTXG": (117.8, 39.0),
    "CNYTN": (114.3, 22.6),
    "ESALG": (-5.4, 36.1),
    "INNSA": (72.9, 18.9),
    "LKCMB": (79.8, 6.9),
    "MYPKG": (101.4, 3.0),
    "MYTPP": (103.5, 1.4),
    "NLRTM": (4.1, 51.9),
    "PABLB": (-79.6, 8.9),
    "THLCH": (100.9, 13.1),
    "USTIW": (-122.4, 47.3),
    "VNHPH": (106.7, 20.8),
    "VNVUT": (107.0, 10.5),
}

_LOCODE: Final = re.compile(r"[A-Z]{2}[A-Z2-9]{3}")

Point = tuple[float, float]
"""Degrees: east, north. East goes past 180 where a way does."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A place on the way: `been` there, or still `ahead`; `x`, `y` in the picture."""

    code: str
    been: bool
    last: bool
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Map:
    """`been`, `ahead`: paths; `unknown`: places without a position. Without a base map `land` is empty."""

    land: str
    been: str
    ahead: str
    stops: list[Stop]
    unknown: list[str]
    sentence: str


def drawn(been: Sequence[str], ahead: Sequence[str]) -> Map | None:
    """The map of places passed, in order, and of those still to come; None where fewer than two have a position."""
    codes = list(dict.fromkeys([*been, *ahead]))
    known = [(code, point) for code in codes if (point := position(code)) is not None]
    unknown = [code for code in codes if position(code) is None]
    if len(known) < 2:
        return None
    points = _unwrapped([point for _, point in known])
    passed = len([code for code, _ in known if code in been])
    ways = [_bent(a, b) for a, b in itertools.pairwise(points)]
    view = _view([point for way in ways for point in way])
    put = _Projection(view)
    stops = [
        Stop(code, code in been, index == passed - 1, *put.at(point))
        for index, ((code, _), point) in enumerate(zip(known, points, strict=True))
    ]
    told = f"Was at {', '.join(code for code, _ in known[:passed]) or 'no place yet'}"
    told += f"; goes on to {', '.join(code for code, _ in known[passed:])}" if passed < len(known) else ""
    return Map(
        land=land(view),
        been="".join(put.path(way) for way in ways[: max(passed - 1, 0)]),
        ahead="".join(put.path(way) for way in ways[max(passed - 1, 0) :]),
        stops=stops,
        unknown=unknown,
        sentence=f"{told}.",
    )


@cache
def _airports() -> dict[str, Any]:
    return dict(airportsdata.load("IATA"))


def position(code: str) -> Point | None:
    """Where a UN/LOCODE lies, roughly."""
    if code in SEAPORTS:
        return SEAPORTS[code]
    airport = _airports().get(code[2:]) if len(code) == 5 else None
    return (airport["lon"], airport["lat"]) if airport and airport["country"] == code[:2] else None


@lru_cache(maxsize=64)
def land(view: tuple[float, float, float, float]) -> str:
    """The coasts within a view as one path."""
    put = _Projection(view)
    west, south, east, north = view
    path = []
    for ring in _rings():
        low, high = min(x for x, _ in ring), max(x for x, _ in ring)
        for turn in (-360.0, 0.0, 360.0):
            if high + turn < west or low + turn > east:
                continue
            if max(y for _, y in ring) < south or min(y for _, y in ring) > north:
                continue
            inside = _clipped([(x + turn, y) for x, y in ring], view)
            if len(inside) > 2:
                path.append(put.path(inside) + "Z")
    return "".join(path)


@cache
def _rings() -> list[list[Point]]:
    """Every outline of land, of TopoJSON: arcs of differences on a grid, put together end to end."""
    told = base_map()
    if told is None:
        return []
    world = json.loads(told)
    (step_x, step_y), (at_x, at_y) = world["transform"]["scale"], world["transform"]["translate"]
    arcs = []
    for arc in world["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * step_x + at_x, y * step_y + at_y))
        arcs.append(points)
    return [_joined(ring, arcs) for ring in _outlines(world["objects"]["land"])]


def _outlines(shape: dict[str, Any]) -> Iterator[list[int]]:
    if shape["type"] == "GeometryCollection":
        for one in shape["geometries"]:
            yield from _outlines(one)
    elif shape["type"] == "MultiPolygon":
        for polygon in shape["arcs"]:
            yield from polygon
    elif shape["type"] == "Polygon":
        yield from shape["arcs"]


def _joined(ring: Sequence[int], arcs: Sequence[list[Point]]) -> list[Point]:
    points: list[Point] = []
    for number in ring:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        points += arc[1:] if points else arc
    points = _unwrapped(points)  # outlines run on over the date line
    if abs(points[0][0] - points[-1][0]) > 180:  # Antarctica's runs round the pole
        points += [(points[-1][0], -90.0), (points[0][0], -90.0)]
    return points


def _clipped(ring: list[Point], view: tuple[float, float, float, float]) -> list[Point]:
    """Sutherland and Hodgman: what of a polygon lies within the view, one edge after the other."""
    west, south, east, north = view
    for axis, limit, sign in ((0, west, 1), (0, east, -1), (1, south, 1), (1, north, -1)):
        cut: list[Point] = []
        for index, point in enumerate(ring):
            before = ring[index - 1]
            inside, was = (sign * (one[axis] - limit) >= 0 for one in (point, before))
            if inside != was:
                part = (limit - before[axis]) / (point[axis] - before[axis])
                cut.append((before[0] + part * (point[0] - before[0]), before[1] + part * (point[1] - before[1])))
            if inside:
                cut.append(point)
        ring = cut
    return ring


def _unwrapped(points: Sequence[Point]) -> list[Point]:
    """Each next point by the shorter way round."""
    found: list[Point] = []
    for east, north in points:
        if found:
            east += 360 * round((found[-1][0] - east) / 360)
        found.append((east, north))
    return found


def _bent(begin: Point, end: Point) -> list[Point]:
    """The great circle between two points."""
    a, b = (_vector(point) for point in (begin, end))
    angle = math.acos(max(-1.0, min(1.0, sum(x * y for x, y in zip(a, b, strict=True)))))
    if angle < 1e-6:
        return [begin, end]
    points = []
    for index in range(BEND_POINTS + 1):
        part = index / BEND_POINTS
        left, right = math.sin((1 - part) * angle) / math.sin(angle), math.sin(part * angle) / math.sin(angle)
        x, y, z = (left * one + right * other for one, other in zip(a, b, strict=True))
        points.append((math.degrees(math.atan2(y, x)), math.degrees(math.asin(max(-1.0, min(1.0, z))))))
    return _unwrapped([begin, *points[1:-1], end])


def _vector(point: Point) -> tuple[float, float, float]:
    east, north = (math.radians(value) for value in point)
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)


def _view(points: Sequence[Point]) -> tuple[float, float, float, float]:
    """West, south, east, north: all points and some room, in the shape of the picture."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    shape = WIDTH / HEIGHT
    width = max(max(xs) - min(xs), (max(ys) - min(ys)) * shape, LEAST_DEG) + 2 * GRID_DEG
    middle_x, middle_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    width = math.ceil(width / GRID_DEG) * GRID_DEG
    west = round((middle_x - width / 2) / GRID_DEG) * GRID_DEG
    height = width / shape
    south = round((middle_y - height / 2) / GRID_DEG) * GRID_DEG
    return west, south, west + width, south + height


class _Projection:
    """Degrees to the picture's points; equal steps of degrees."""

    def __init__(self, view: tuple[float, float, float, float]) -> None:
        self._west, _, east, self._north = view
        self._scale = WIDTH / (east - self._west)

    def at(self, point: Point) -> tuple[int, int]:
        return round((point[0] - self._west) * self._scale), round((self._north - point[1]) * self._scale)

    def path(self, points: Sequence[Point]) -> str:
        """An SVG path; what falls on the same point of the picture is left out."""
        places = [place for place, _ in itertools.groupby(self.at(point) for point in points)]
        return "M" + "L".join(f"{x} {y}" for x, y in places)


def of_story(story: Story) -> Map | None:
    """The map of a consignment: where it was by the words that count, and where its declared route still leads."""
    words = sorted((one for one in story.said if one.decides and one.classifier == "actual"), key=lambda one: one.occurred_at)
    been = [one.place for one in words if _LOCODE.fullmatch(one.place)]
    return drawn(been, [end for end in story.ends if _LOCODE.fullmatch(end) and end not in been])
