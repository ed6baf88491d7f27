# SPDX-License-Identifier: Apache-2.0
"""Curves as SVG text: panels in rows; x is logarithmic, y too where it spans much."""
import math
from dataclasses import dataclass

WIDTH, HEIGHT, GAP = 240, 180, 60
COLOURS = ("#c33", "#36c")


@dataclass
class Curve:
    name: str
    points: list  # of (x, y), x > 0


@dataclass
class Panel:
    title: str
    unit: str  # of x
    curves: list


def nice_step(top):
    """A step of 1, 2 or 5 times a power of ten that divides `top` into at most five."""
    power = 10 ** math.floor(math.log10(top / 5))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= top)


def y_scale(values):
    """(ticks, share of the height for a value): from 0, or from a power of ten to another."""
    top = max(values)
    if min(values) > 0 and top / min(values) >= 30:
        low = math.floor(math.log10(min(values)))
        high = math.ceil(math.log10(top))
        return ([10 ** power for power in range(low, high + 1)],
                lambda y: (math.log10(y) - low) / (high - low))
    step = nice_step(top or 1)
    ticks = [step * number for number in range(math.ceil((top or 1) / step) + 1)]
    return ticks, lambda y: y / ticks[-1]


def number_text(x):
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if x >= size:
            return f"{x / size:.3g}{letter}"
    return f"{x:g}"


def draw(panels, columns):
    rows = math.ceil(len(panels) / columns)
    width, height = columns * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP) + GAP
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="11">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for number, panel in enumerate(panels):
        left = GAP + number % columns * (WIDTH + GAP)
        top = GAP + number // columns * (HEIGHT + GAP)
        out += draw_panel(panel, left, top)
    return "\n".join(out) + "\n</svg>\n"


def draw_panel(panel, left, top):
    bottom, right = top + HEIGHT, left + WIDTH
    out = [f'<text x="{left}" y="{top - 8}" font-weight="bold">{panel.title}</text>',
           f'<text x="{right}" y="{bottom + 28}" text-anchor="end">{panel.unit}</text>',
           f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
           'stroke="#888"/>']
    points = [point for curve in panel.curves for point in curve.points]
    if not points:
        return out
    ticks, share_of = y_scale([y for _, y in points])
    low, high = (math.log10(f(x for x, _ in points)) for f in (min, max))

    def place(x, y):
        share = (math.log10(x) - low) / (high - low) if high > low else 0.5
        return left + 8 + share * (WIDTH - 16), bottom - share_of(y) * HEIGHT
    for tick in ticks:
        y = bottom - share_of(tick) * HEIGHT
        out += [f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>',
                f'<text x="{left - 4}" y="{y + 4:.1f}" text-anchor="end">'
                f'{number_text(tick)}</text>']
    for x in sorted({x for x, _ in points}):
        out.append(f'<text x="{place(x, ticks[-1])[0]:.1f}" y="{bottom + 14}" text-anchor="middle">'
                   f'{number_text(x)}</text>')
    for curve, colour in zip(panel.curves, COLOURS):
        placed = [place(x, y) for x, y in sorted(curve.points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in placed]
        out.append(f'<text x="{placed[-1][0] - 2:.1f}" y="{placed[-1][1] - 6:.1f}" '
                   f'text-anchor="end" fill="{colour}">{curve.name}</text>')
    return out
