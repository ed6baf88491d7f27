# SPDX-License-Identifier: Apache-2.0
"""What the machine says of itself, and what its kernel counts."""
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import time


def sync_cost_us(directory):
    """Median time of appending 512 bytes to a file and making them durable."""
    times = []
    path = directory / "sync-cost"
    with open(path, "wb", buffering=0) as out:
        for _ in range(100):
            out.write(b"x" * 512)
            start = time.perf_counter()
            os.fdatasync(out.fileno())
            times.append((time.perf_counter() - start) * 1e6)
    path.unlink()
    return statistics.median(times)


def describe_machine(scratch):
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", info, re.M)
    filesystem = subprocess.run(["stat", "-f", "-c", "%T", scratch], capture_output=True, text=True,
                                check=True).stdout.strip()
    return {"cores": os.cpu_count(), "cpu": model[1] if model else "unknown",
            "kernel": os.uname().release, "filesystem": filesystem,
            "sync_us": sync_cost_us(scratch), "load_before": os.getloadavg()[0],
            "time": time.strftime("%Y-%m-%d %H:%M:%S")}


def busy_share(seconds):
    """Of all cores' time, what is neither idle nor waiting for disks."""
    def ticks():
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        numbers = [int(field) for field in fields]
        return sum(numbers), numbers[3] + numbers[4]
    total, idle = ticks()
    time.sleep(seconds)
    total_after, idle_after = ticks()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def wait_calm(limit_s=10):
    """Until what the case before has left to do (flushes, compactions, rewrites of a log) is done,
    whichever store does it. On a machine that is never calm, no longer than the limit."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and busy_share(0.3) > 0.1:
        pass


class Counters:
    """System calls and instructions of some processes while an operation runs, by `perf stat`;
    without perf the system calls by strace, which slows what it watches."""

    def __init__(self, scratch):
        self.output = scratch / "counters"
        self.tool = next((t for t in ("perf", "strace") if self._works(t)), None)

    def _command(self, tool, target):
        if tool == "perf":
            return ["perf", "stat", "-x", ",", "-o", str(self.output), "-e",
                    "raw_syscalls:sys_enter", "-e", "instructions", *target]
        return ["strace", "-c", "-f", "-o", str(self.output), *target]

    def _works(self, tool):
        if shutil.which(tool) is None:
            return False
        done = subprocess.run(self._command(tool, ["true"]), capture_output=True, check=False)
        return done.returncode == 0 and self._read(tool)["syscalls"] is not None

    def _read(self, tool):
        counts = {"syscalls": None, "instructions": None}
        text = self.output.read_text() if self.output.exists() else ""
        if tool == "perf":
            for name, event in (("syscalls", "raw_syscalls"), ("instructions", "instructions")):
                found = re.search(rf"^(\d+),[^,]*,{event}", text, re.M)
                counts[name] = int(found[1]) if found else None
        elif found := re.search(r"^100\.00.*?(\d+)\s+(?:\d+\s+)?total$", text, re.M):
            counts["syscalls"] = int(found[1])
        return counts

    def during(self, pids, operate):
        """operate() returns how many operations it did; the result is counts per operation."""
        if self.tool is None:
            return {"syscalls": None, "instructions": None}
        self.output.unlink(missing_ok=True)
        if self.tool == "perf":
            target = ["-p", ",".join(map(str, pids))]
        else:
            target = [word for pid in pids for word in ("-p", str(pid))]
        watcher = subprocess.Popen(self._command(self.tool, target), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(0.3)  # neither tool says when it is attached
        operations = operate()
        watcher.send_signal(signal.SIGINT)
        watcher.wait(20)
        return {name: count / max(operations, 1) if count is not None else None
                for name, count in self._read(self.tool).items()}
