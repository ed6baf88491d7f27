# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of bench/run: medians, ratios against the targets, and tables."""
import statistics
from dataclasses import dataclass

NOT_SUPPORTED = "not supported here"


class Refused(SystemExit):
    """There are no figures, and why."""


def refuse_failed(name, got):
    """No figure of a run in which anything failed: what fails is cheap."""
    if got["failed"]:
        why = ", ".join(f"{count} x {status}" for status, count in got["failures"].items())
        said = f"; one said {got['failure']!r}" if got.get("failure") else ""
        raise Refused(f"bench: {name}: {got['failed']} operations failed ({why}{said}): "
                      "no figures")
    if not got["all"]["operations"]:
        raise Refused(f"bench: {name}: not one operation was done: no figures")


def refuse_lost(name, got):
    """`got` by a run that compared what is there with what was acknowledged."""
    if got["lost"] or got["wrong"]:
        raise Refused(f"bench: {name}: of {got['all']['operations']} keys {got['lost']} lost an "
                      f"acknowledged write, {got['wrong']} show what nobody wrote (such as "
                      f"{got['example']}): no figures")
    refuse_failed(name, got)


def medians(rounds):
    return {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}


def cpu_us(figures):
    return figures["user_us_per_op"] + figures["system_us_per_op"]


@dataclass(frozen=True)
class Target:
    """What `case` may cost `beside` another: `limit` must be reached, `aim` is behind it."""
    case: str
    beside: str            # empty: the figure itself is limited
    limit: float
    aim: float
    figure: str = "cpu"    # cpu (microseconds per operation), per_second or p99_us
    copies: int = 1        # of what stands beside
    least: bool = False    # the limit is a minimum


TARGETS = [
    Target("three.put.periodic", "redis3.put.wait", 2.0, 1.2),
    Target("three.put.sync", "rocksdb.put-sync.50", 2.0, 1.3, copies=3),
    Target("three.put.sync", "etcd.put", 0.35, 0.2),
    Target("three.put.sync", "etcd.put", 3.0, 6.0, figure="per_second", least=True),
    Target("three.get", "redis.get", 4.0, 2.5),
    Target("one.put.sync", "redis.put.always", 1.5, 1.0),
    Target("one.get", "redis.get", 1.6, 1.1),
    Target("serial.put", "etcd.put", 0.45, 0.3),
    Target("serial.put", "etcd.put", 2.5, 4.0, figure="per_second", least=True),
    Target("serial.get", "etcd.get", 3.0, 6.0, figure="per_second", least=True),
    Target("size.large.put", "size.small.put", 1.15, 1.05),
    Target("size.large.get", "size.small.get", 1.15, 1.05),
    Target("memory.quarter.put", "memory.whole.put", 4.0, 1.5),
    Target("three.put.sync.4", "", 2000, 1000, figure="p99_us"),
]


def figure_of(target, figures):
    return cpu_us(figures) if target.figure == "cpu" else figures[target.figure]


def measured(target, rounds):
    """Median over the rounds of the ratio within one round, which met the same machine; None when
    a case was not run. `rounds`: case -> its figures, round by round."""
    if target.case not in rounds or (target.beside and target.beside not in rounds):
        return None
    mine = [figure_of(target, figures) for figures in rounds[target.case]]
    if not target.beside:
        return statistics.median(mine)
    other = [figure_of(target, figures) * target.copies for figures in rounds[target.beside]]
    if not all(other):
        return None  # a run too short for one tick of CPU time
    return statistics.median(a / b for a, b in zip(mine, other))


def judge(rounds):
    """All targets whose cases were run, each with what was measured and whether that is enough."""
    found = []
    for target in TARGETS:
        value = measured(target, rounds)
        if value is None:
            continue
        reached = [value >= x if target.least else value <= x for x in (target.limit, target.aim)]
        found.append({"case": target.case, "beside": target.beside, "copies": target.copies,
                      "figure": target.figure, "least": target.least, "limit": target.limit,
                      "aim": target.aim, "measured": value, "met": reached[0],
                      "aim_met": reached[1]})
    return found


# --- tables ---------------------------------------------------------------------------------------

def time_text(us):
    if us >= 10000:
        return f"{us / 1000:.0f} ms"
    return f"{us / 1000:.1f} ms" if us >= 1000 else f"{us:.0f} us" if us >= 10 else f"{us:.1f} us"


def count_text(count):
    if count is None:
        return "-"
    return f"{count:,.0f}" if count >= 100 else f"{count:.2f}"


def show_table(rows, texts=1):
    """The first columns are texts, the others numbers."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) if i < texts else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


def show_ratios(ratios, titles):
    unit = {"cpu": "CPU", "per_second": "ops/s", "p99_us": "p99"}
    rows = [["case", "beside", "figure", "must", "aim", "measured", ""]]
    for r in ratios:
        text = time_text if not r["beside"] else "{:.2f} x".format
        sign = ">=" if r["least"] else "<="
        copies = f"{r['copies']} x " if r["copies"] > 1 else ""
        rows.append([titles[r["case"]],
                     copies + titles[r["beside"]] if r["beside"] else "-", unit[r["figure"]],
                     f"{sign} {text(r['limit'])}", f"{sign} {text(r['aim'])}", text(r["measured"]),
                     "aim met" if r["aim_met"] else "met" if r["met"] else "MISSED"])
    show_table(rows, texts=2)


def show(report, titles):
    machine = report["machine"]
    print(f"{machine['cores']} cores ({machine['cpu']}), Linux {machine['kernel']}, "
          f"{machine['filesystem']}; fdatasync of a growing file {machine['sync_us']:.0f} us; "
          f"load before {machine['load_before']:.1f}")
    print(f"{report['keys']:,} keys, values of {report['value_bytes']} bytes, "
          f"{report['connections']} connections, medians of {report['rounds']} round(s) of "
          f"{report['seconds']} s; CPU is that of the servers\n")
    rows = [["", "ops/s", "p50", "p99", "p999", "CPU us/op", "user", "system", "syscalls/op",
             "instr/op"]]
    for r in report["results"]:
        rows.append([r["title"], f"{r['per_second']:,.0f}", *(time_text(r[q]) for q in (
            "p50_us", "p99_us", "p999_us")), f"{cpu_us(r):.1f}", f"{r['user_us_per_op']:.1f}",
            f"{r['system_us_per_op']:.1f}", count_text(r["syscalls_per_op"]),
            count_text(r["instructions_per_op"])])
    show_table(rows)
    print(f"\nsystem calls: {report['counted_by'] or NOT_SUPPORTED}, in a run of their own; "
          "instructions: " + ("perf stat" if any(
              r["instructions_per_op"] for r in report["results"]) else NOT_SUPPORTED))
    print("memory per key (resident growth while loading, all replicas together):")
    for name, size in report["bytes_per_key"].items():
        print(f"  {name}: {size:,.0f} bytes")
    for v in report["verified"]:
        print(f"verified after a kill of all of {v['store']}, {v['bucket']}: {v['keys']:,} keys, "
              "no acknowledged write is missing")
    if report["ratios"]:
        print()
        show_ratios(report["ratios"], titles)
