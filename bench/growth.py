# SPDX-License-Identifier: Apache-2.0
"""What an operation costs with more keys, nodes, bytes of a value, buckets.

Each point is a cluster of its own with a limit on its time, and is kept in a file, so that a run
that was ended goes on where it was; what failed or took too long is tried again. Between points the
machine may change: shapes count, not small steps.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass

from figures import Refused, cpu_us, medians
from plot import Curve, Panel, draw
from stores import Case, Lariat, Load

USUAL_KEYS = 100_000
DATA_MAX = 256 << 20  # bytes of all values, where values are large
UNDER_WAY_MAX = 16 << 20  # bytes of values at once: nodes refuse what is much more
# Values of 1 MiB take a slow disk longer than a request usually may.
SETTINGS = {"request.timeout_ms": 60_000}
FIGURES = ((cpu_us, "server CPU, us per operation"), (lambda f: f["p99_us"], "p99, us"))


@dataclass(frozen=True)
class Point:
    series: str
    x: int
    keys: int
    nodes: int = 3
    value: int = 500
    buckets: int = 1


def points(max_keys):
    """All points, the cheap ones of each series first."""
    usual = min(USUAL_KEYS, max_keys)
    out = [Point("keys", keys, keys)
           for step in range(4, 8) for keys in (10 ** step, 3 * 10 ** step)
           if keys <= min(max_keys, 10 ** 7)]
    out += [Point("nodes", nodes, usual, nodes=nodes) for nodes in (3, 5, 7, 9)]
    out += [Point("value", size, max(1000, min(usual, DATA_MAX // size)), value=size)
            for size in (10, 100, 1000, 10_000, 100_000, 1 << 20)]
    out += [Point("buckets", count, usual, buckets=count) for count in (1, 10, 100, 1000)]
    return out


NAMES = {"keys": "keys", "nodes": "nodes", "value": "bytes of a value", "buckets": "buckets"}


def add_options(parser):
    parser.add_argument("--growth", action="store_true",
                        help="curves instead of the table: keys, nodes, values, buckets")
    parser.add_argument("--series", default=",".join(NAMES), help="of growth: %(default)s")
    parser.add_argument("--state", default="build/bench-growth.json", metavar="FILE",
                        help="finished points; a run goes on there (%(default)s)")
    parser.add_argument("--svg", default="docs/growth.svg", metavar="FILE",
                        help="the plot of growth (%(default)s)")
    parser.add_argument("--point-limit", type=float, default=600,
                        help="seconds for a point of growth, loading too (default %(default)s)")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class State:
    """Finished points, on disk after each."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.points = json.loads(self.path.read_text()) if self.path.exists() else {}

    def keep(self, name, figures):
        self.points[name] = figures
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.points, indent=1) + "\n", encoding="utf-8")
        os.replace(fresh, self.path)


def name_of(point, options):
    return (f"{point.series} {point.x}, engine {options.engine or 'default'}, {point.keys} keys, "
            f"{options.connections} connections, {options.rounds} x {options.duration} s")


def measure(point, options):
    """{"put": figures, "get": figures}. Raises subprocess.TimeoutExpired when time is up."""
    ends = time.monotonic() + options.point_limit
    connections = min(options.connections, max(1, UNDER_WAY_MAX // point.value))
    own = argparse.Namespace(**{**vars(options), "keys": point.keys, "value": point.value,
                                "connections": connections})
    engine = {"storage.engine": options.engine} if options.engine else {}
    with Lariat(point.nodes, {**SETTINGS, **engine}) as store:
        names = ["b"] if point.buckets == 1 else [f"b-{i}" for i in range(point.buckets)]
        for name in names:
            store.make_bucket(name)
        load = TimedLoad(own, store, "b", ends, ["--buckets", point.buckets])
        load.run("load")
        cases = [Case(workload, workload, load, workload) for workload in ("put", "get")]
        rounds = {"put": [], "get": []}
        for number in range(options.rounds):
            for case in cases if number % 2 == 0 else reversed(cases):
                rounds[case.id].append(case.measure(options.duration))
    return {workload: medians(found) for workload, found in rounds.items()}


class TimedLoad(Load):
    """With no ledger, and a time at which it is given up."""

    def __init__(self, options, store, bucket, ends, flags):
        super().__init__(options, store, bucket, keep_ledger=False)
        self.ends, self.flags = ends, flags

    def run(self, workload, seconds=1, *flags, timeout=None):
        return super().run(workload, seconds, *self.flags, *flags,
                           timeout=max(0, self.ends - time.monotonic()))


def panels(done):
    """One for each figure and series. `done`: (point, figures) of those that have figures."""
    out = []
    for figure, title in FIGURES:
        for series, unit in NAMES.items():
            mine = [(point, found) for point, found in done if point.series == series]
            curves = [Curve(name, [(point.x, figure(found[name])) for point, found in mine])
                      for name in ("put", "get")]
            out.append(Panel(title, unit, [curve for curve in curves if curve.points]))
    return out


def show(done):
    print(f"{'':24} {'put us':>9} {'p99 us':>9} {'ops/s':>9} {'get us':>9} {'p99 us':>9} "
          f"{'ops/s':>9}")
    for point, found in done:
        row = [value for name in ("put", "get") for value in (
            cpu_us(found[name]), found[name]["p99_us"], found[name]["per_second"])]
        print(f"{point.x:>10,} {NAMES[point.series]:13} " + " ".join(f"{v:9,.0f}" for v in row))


def run(options):
    state, done = State(options.state), []
    ended = set(NAMES) - set(options.series.split(","))
    for point in points(options.max_keys):
        name = name_of(point, options)
        # Where one was too much, the next one of its series would be, too.
        if name not in state.points and point.series not in ended:
            say(f"measuring {name}")
            try:
                state.keep(name, measure(point, options))
            except subprocess.TimeoutExpired:
                say(f"not within {options.point_limit:.0f} s: {name}")
                ended.add(point.series)
            except Refused as refused:
                print(refused, file=sys.stderr, flush=True)
                ended.add(point.series)
        if name in state.points:
            done.append((point, state.points[name]))
    show(done)
    pathlib.Path(options.svg).write_text(draw(panels(done), len(NAMES)), encoding="utf-8")
    say(f"plotted in {options.svg}")
