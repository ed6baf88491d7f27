# SPDX-License-Identifier: Apache-2.0
"""Clients that write while a test breaks things, and know afterwards what must be there.

Each writer has a key at a time and writes it with the context of its last reply, so the key has one
value: that of the last acknowledged write, or of one write after it whose outcome is unknown. After
an unknown outcome the writer goes on with another key.
"""

import base64
import http.client
import threading
import uuid
from dataclasses import dataclass

from lariat_e2e import Http, wait_until

JSON = {"Accept": "application/json"}


def values(reply):
    """All values of a GET's reply that was asked for as JSON."""
    if reply.status == 404:
        return []
    assert reply.status == 200, (reply.status, reply.body)
    body = reply.json()
    shown = [v["value"] for v in body["values"]] if body["conflict"] else [body["value"]]
    return sorted(base64.b64decode(value) for value in shown)


@dataclass
class Written:
    acknowledged: bytes = None
    unknown: bytes = None

    def allows(self, found):
        allowed = [[value] for value in (self.acknowledged, self.unknown) if value is not None]
        return found in allowed or (self.acknowledged is None and found == [])


class Writers:
    """Started by `with`, and stopped at its end at the latest."""

    def __init__(self, nodes, threads=8, writes_per_key=5, value_bytes=100, query=""):
        self.ports = [node.http_port for node in nodes]
        self.writes_per_key, self.query = writes_per_key, query
        self.padding = b"." * value_bytes
        self.keys = {}          # path -> Written; each entry belongs to one thread
        self.statuses = []      # of all replies; connection errors are 0
        self.acknowledged = 0   # grows; for waiting on progress
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def wait_for(self, more, timeout=30.0):
        """Until so many more writes have been acknowledged."""
        goal = self.acknowledged + more
        wait_until(lambda: self.acknowledged >= goal, timeout, f"{more} more writes", every=0.001)

    def _run(self, number):
        clients = [Http(port) for port in self.ports]
        turn = number
        while not self.stopping.is_set():
            path = f"/kv/load-{uuid.uuid4()}"
            written = self.keys.setdefault(path, Written())
            context = ""
            for count in range(self.writes_per_key):
                turn += 1
                value = f"{path} {count} ".encode() + self.padding
                outcome, context = self._write(clients[turn % len(clients)], path, value, context)
                if outcome == "done":
                    written.acknowledged = value
                    self.acknowledged += 1
                elif outcome == "unknown":
                    written.unknown = value
                    break
                elif self.stopping.wait(0.005):
                    break
        for client in clients:
            client.close()

    def _write(self, client, path, value, context):
        try:
            reply = client.request("PUT", path + self.query, value, {"X-Context": context})
        except ConnectionRefusedError:
            self.statuses.append(0)
            return "not done", context
        except (OSError, http.client.HTTPException):
            self.statuses.append(0)
            return "unknown", context
        self.statuses.append(reply.status)
        if reply.status == 201:
            return "done", reply.header("X-Context")
        return "unknown" if reply.status == 504 else "not done", context

    def wrong(self, node, query="?r=2"):
        """What a node shows that may not be, as [(path, found, wanted)]."""
        client = Http(node.http_port)
        bad = []
        for path, written in list(self.keys.items()):
            reply = client.request("GET", path + query, headers=JSON)
            found = values(reply) if reply.status in (200, 404) else reply.body
            if not written.allows(found):
                bad.append((path, found, written))
        client.close()
        return bad
