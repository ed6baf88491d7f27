// SPDX-License-Identifier: Apache-2.0
// What a cluster's figures mean. Pure functions over the replies of the API; no browser.

export function bytesText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    ++unit;
  }
  return (unit === 0 ? String(Math.round(bytes)) : bytes.toFixed(1)) + " " + units[unit];
}

export function ageText(seconds) {
  if (seconds < 90) return Math.max(0, Math.round(seconds)) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " d";
}

export function rateText(perSecond) {
  return perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString("en");
}

// Prometheus text -> name -> [{labels, value}].
export function parseMetrics(text) {
  const metrics = {};
  for (const line of text.split("\n")) {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    const labels = {};
    for (const label of (found[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[label[1]] = label[2].replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    }
    (metrics[found[1]] = metrics[found[1]] || []).push({labels, value: Number(found[3])});
  }
  return metrics;
}

function says(series, where) {
  return Object.entries(where).every(([label, value]) => series.labels[label] === value);
}

export function sum(metrics, name, where = {}) {
  return (metrics[name] || []).filter((series) => says(series, where))
    .reduce((all, series) => all + series.value, 0);
}

// Per second between two looks; 0 after a restart between them.
export function rate(before, after, seconds, name, where = {}) {
  const counted = sum(after, name, where) - sum(before, name, where);
  return seconds > 0 ? Math.max(0, counted) / seconds : 0;
}

// Upper bound of the bucket that the share q falls into; null if nothing was counted.
export function quantile(before, after, q, name) {
  const counted = new Map();
  const add = (metrics, sign) => {
    for (const series of metrics[name + "_bucket"] || []) {
      const bound = series.labels.le === "+Inf" ? Infinity : Number(series.labels.le);
      counted.set(bound, (counted.get(bound) || 0) + sign * series.value);
    }
  };
  add(after, 1);
  add(before, -1);
  const bounds = [...counted.keys()].sort((a, b) => a - b);
  const all = bounds.length ? counted.get(bounds[bounds.length - 1]) : 0;
  if (all <= 0) return null;
  let last = 0;
  for (const bound of bounds) {
    if (bound === Infinity) return last;
    last = bound;
    if (counted.get(bound) >= q * all) return bound;
  }
  return last;
}

// The first `n` owners of each range, since a ring that was asked for with more owners lists the
// others behind them.
function replicasOf(range, n) {
  return range.owners.slice(0, n);
}

// May this node be stopped now? {ok, why}. `ring` has the owners of at least the greatest n.
export function mayStop(node, status, buckets, ring) {
  if (status.operation && status.operation.node === node) {
    return {ok: false, why: "it takes part in the change under way"};
  }
  const alive = new Set(status.nodes.filter((n) => n.alive && n.name !== node).map((n) => n.name));
  for (const bucket of buckets) {
    const needed = Math.max(bucket.r, bucket.w);
    let short = 0;
    let total = 0;
    for (const range of ring.ranges) {
      const owners = replicasOf(range, bucket.n);
      ++total;
      if (!owners.includes(node)) continue;
      if (owners.filter((owner) => alive.has(owner)).length < needed) ++short;
    }
    if (short > 0) {
      const part = Math.max(1, Math.round((100 * short) / total));
      return {ok: false, why: `bucket ${bucket.name} needs ${needed} replicas and would have fewer `
        + `for ${part} % of its keys`};
    }
  }
  return {ok: true, why: ""};
}

const WORST = {good: 0, warn: 1, bad: 2};

// What is wrong, worst first: [{grade, says, next}]. `next` is the line to type.
export function causes({status, health, buckets, repair, metrics}) {
  const found = [];
  const say = (grade, text, next) => found.push({grade, says: text, next});
  if (!status.cluster_id) {
    say("bad", "the cluster is not formed yet: " + (health.reasons.join("; ") || "nodes are missing"),
      "lariat cluster why");
    return found;
  }
  for (const node of status.nodes) {
    if (node.state === "removed") continue;
    if (!node.alive) {
      say("bad", `${node.name} is not reached`, `lariatd --replace ${node.name}, if its disk is lost`);
    }
    if (node.twin) say("bad", `${node.name} runs twice, also at ${node.twin}`, "stop the copy");
    if (node.draining) say("warn", `${node.name} is out of service`, `lariat drain ${node.name} --undo`);
    if (Math.abs(node.clock_offset_ms || 0) > 250) {
      say("warn", `the clock of ${node.name} is ${(node.clock_offset_ms / 1000).toFixed(1)} s off`,
        "NTP on its machine");
    }
    if (node.hints_pending_bytes > 0) {
      say("warn", `${node.name} keeps ${bytesText(node.hints_pending_bytes)} of hints for others`,
        "lariat repair status");
    }
  }
  if (!health.ready) say("bad", `this node does not serve: ${health.reasons.join("; ")}`, "lariat cluster why");
  if (health.storage === "disk_full") say("bad", "its disk is nearly full: of writes only deletes go on", "free disk");
  if (health.storage === "damaged") say("warn", "a file of its store is damaged", "restart it: the others refill it");
  if (health.storage === "dead") say("bad", "its storage has failed", "read its log");
  const free = sum(metrics, "lariat_disk_free_bytes");
  const wanted = 2 * sum(metrics, "lariat_disk_reserve_bytes") + sum(metrics, "lariat_disk_bytes") / 4;
  if (health.storage === "ok" && free > 0 && free < wanted) {
    say("warn", `${bytesText(free)} of its disk are free`, "add disk, or a node");
  }
  if (sum(metrics, "lariat_clock_off") > 0) {
    say("bad", "this node refuses lww and expiring writes: its clock is wrong", "NTP on its machine");
  }
  const doubt = repair ? repair.ranges.filter((range) => range.state === "doubt").length : 0;
  if (doubt > 0) say("bad", `this node may lack records of ${doubt} ranges and refuses their reads`, "lariat repair --wait");
  const dirty = repair ? repair.ranges.filter((range) => range.state === "dirty").length : 0;
  if (dirty > 0) say("warn", `${dirty} ranges wait for a comparison`, "lariat repair status");
  if (status.operation && status.operation.waiting_for) {
    say("warn", `the ${status.operation.kind} of ${status.operation.node} waits: ${status.operation.waiting_for}`,
      "lariat cluster why");
  }
  const normal = status.nodes.filter((node) => node.state === "normal").length;
  for (const bucket of buckets) {
    if (bucket.n < Math.min(3, normal)) {
      say("warn", `bucket ${bucket.name} keeps ${bucket.n} ${bucket.n === 1 ? "copy" : "copies"} of each key`,
        `lariat bucket set ${bucket.name} n=${Math.min(3, normal)}`);
    }
  }
  return found.sort((a, b) => WORST[b.grade] - WORST[a.grade]);
}

// {grade, says}: the one sentence on top.
export function verdict(status, found) {
  const bad = found.filter((cause) => cause.grade === "bad").length;
  if (bad > 0) return {grade: "bad", says: bad === 1 ? "One thing needs you" : `${bad} things need you`};
  const change = status.operation
    ? `; ${status.operation.kind} of ${status.operation.node} is under way` : "";
  if (found.length > 0) return {grade: "warn", says: "It serves, with something to look at" + change};
  const count = status.nodes.filter((node) => node.state === "normal").length;
  return {grade: "good", says: `All is well: ${count} ${count === 1 ? "node serves" : "nodes serve"}` + change};
}

// Of a base64 text: its characters if it is printable UTF-8, else hexadecimal.
export function shownValue(bytes) {
  const hex = () => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");
  try {
    const text = decodeURIComponent(Array.from(bytes, (b) => "%" + b.toString(16).padStart(2, "0")).join(""));
    // eslint-disable-next-line no-control-regex
    return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text) ? hex() : text;
  } catch {
    return hex();
  }
}

// The ring as parts of a circle: [{from, to, owner}] with angles in turns, neighbours of one owner
// joined.
export function ringArcs(ranges) {
  const turns = (token) => Number((BigInt(token) * 1000000n) / (1n << 64n)) / 1000000;
  const arcs = [];
  for (const range of ranges) {
    if (range.owners.length === 0) continue;
    const from = turns(range.from);
    let to = turns(range.to);
    if (to <= from) to += 1;
    const last = arcs[arcs.length - 1];
    if (last && last.owner === range.owners[0] && Math.abs(last.to - from) < 1e-6) {
      last.to = to;
    } else {
      arcs.push({from, to, owner: range.owners[0]});
    }
  }
  return arcs;
}
