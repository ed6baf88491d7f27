// SPDX-License-Identifier: Apache-2.0
// Asks the node every two seconds and shows what it says. Text becomes text nodes, never markup.
import * as model from "/console/model.js";

const PERIOD_MS = 2000;
const HISTORY = 60;
const COLORS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999933", "#882255"];

const byId = (id) => document.getElementById(id);
let token = "";  // of this page alone: it is gone with it
let before = null;
const history = [];

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, form = "json") {
  const headers = token ? {Authorization: "Bearer " + token} : {};
  const reply = await fetch(path, {headers, cache: "no-store"});
  if (!reply.ok) {
    const body = await reply.json().catch(() => ({}));
    throw new Refused(reply.status, body.error ? body.error.message : "status " + reply.status);
  }
  return form === "text" ? reply.text() : reply.json();
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// rows: arrays of cells; a cell is text, a node, or {text, class}.
function showTable(id, head, rows, empty) {
  const table = byId(id);
  if (rows.length === 0) {
    table.replaceChildren(element("tbody", {}, element("tr", {}, element("td", {}, empty))));
    return;
  }
  const cell = (content) => {
    if (content !== null && typeof content === "object" && !(content instanceof Node)) {
      return element("td", {class: content.class}, content.text);
    }
    return element("td", {}, content === null || content === undefined ? "" : content);
  };
  table.replaceChildren(
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", {scope: "col"}, text)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))));
}

function showTiles(id, tiles) {
  byId(id).replaceChildren(...tiles.map(([figure, what, grade]) => element("div", {class: "tile"},
    element("b", grade ? {class: grade} : {}, figure), element("span", {}, what))));
}

const number = (text) => ({text: String(text), class: "number"});

function showVerdict(state) {
  const found = model.causes(state);
  const verdict = model.verdict(state.status, found);
  byId("verdict").className = verdict.grade;
  byId("verdict-says").textContent = verdict.says;
  byId("verdict-causes").replaceChildren(...found.map((cause) => element("li", {},
    element("span", {class: cause.grade}, cause.says), " — ", element("code", {}, cause.next))));
}

function showNodes(state) {
  const {status, buckets, ring} = state;
  showTable("nodes", ["Name", "State", "Alive", "May be stopped", "Owns", "Data", "Hints", "Clock", "Place", "HTTP"],
    status.nodes.map((node) => {
      const stop = node.alive ? model.mayStop(node.name, status, buckets, ring) : null;
      const clock = node.clock_offset_ms;
      return [
        node.name + (node.self ? " (this one)" : ""),
        node.state + (node.draining ? ", out of service" : ""),
        {text: node.alive ? "yes" : "no", class: node.alive ? "good" : "bad"},
        stop === null ? "" : {text: stop.ok ? "yes" : "no: " + stop.why, class: stop.ok ? "good" : "warn long"},
        number((node.owns * 100).toFixed(1) + " %"), number(model.bytesText(node.data_bytes)),
        number(model.bytesText(node.hints_pending_bytes)),
        number(clock === undefined ? "?" : clock + " ms"), `${node.dc} / ${node.rack}`,
        element("a", {href: location.protocol + "//" + node.http + "/"}, node.http),
      ];
    }), "none yet");
}

function showRequests(state) {
  const {metrics} = state;
  const now = performance.now() / 1000;
  if (before) {
    const seconds = now - before.at;
    const rate = (name, where) => model.rate(before.metrics, metrics, seconds, name, where);
    const millis = (q) => {
      const bound = model.quantile(before.metrics, metrics, q, "lariat_request_seconds");
      return bound === null ? "–" : (bound * 1000).toFixed(1) + " ms";
    };
    const all = rate("lariat_requests_total", {});
    const unknown = rate("lariat_requests_total", {outcome: "unknown"});
    const refused = rate("lariat_requests_total", {outcome: "not_done"});
    showTiles("requests", [
      [model.rateText(rate("lariat_requests_total", {op: "get"})), "gets a second"],
      [model.rateText(rate("lariat_requests_total", {op: "put"})), "puts a second"],
      [millis(0.5), "p50, at most"], [millis(0.99), "p99, at most"],
      [model.rateText(refused), "refused a second", refused > 0 ? "bad" : ""],
      [model.rateText(unknown), "unknown outcomes a second", unknown > 0 ? "warn" : ""],
      [String(model.sum(metrics, "lariat_requests_in_flight")), "in work"],
    ]);
    history.push(all);
    if (history.length > HISTORY) history.shift();
    const most = Math.max(1, ...history);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("points", history.map((value, i) =>
      `${(300 * i) / (HISTORY - 1)},${58 - (56 * value) / most}`).join(" "));
    byId("rate").replaceChildren(line);
  }
  before = {at: now, metrics};
}

function showRepair(state) {
  const {repair, metrics} = state;
  if (!repair) return;
  const passes = repair.ranges.map((range) => range.last_pass_ms);
  const known = passes.filter((pass) => pass !== null);
  const oldest = known.length === passes.length && known.length > 0
    ? model.ageText((Date.now() - Math.min(...known)) / 1000) + " ago" : "not yet complete";
  const count = (wanted) => repair.ranges.filter((range) => range.state === wanted).length;
  const blocked = Object.entries(repair.sweep.blocked).map(([why, many]) => `${many} ${why}`).join(", ");
  showTiles("repair", [
    [repair.enabled ? oldest : "off", "oldest complete comparison"],
    [String(count("dirty")), "ranges dirty", count("dirty") > 0 ? "warn" : ""],
    [String(count("doubt")), "ranges in doubt", count("doubt") > 0 ? "bad" : ""],
    [String(repair.sweep.tombstones), "tombstones" + (blocked ? ` (kept: ${blocked})` : "")],
    [String(model.sum(metrics, "lariat_repair_keys_received_total")), "keys mended since the start"],
    [String(repair.scrub.damaged), "damaged records found", repair.scrub.damaged > 0 ? "warn" : ""],
  ]);
  showTable("hints", ["Hints for", "How many", "Bytes", "Since", "State"], repair.hints.map((backlog) => [
    backlog.target, number(backlog.hints), number(model.bytesText(backlog.bytes)),
    backlog.oldest_ms ? model.ageText((Date.now() - backlog.oldest_ms) / 1000) : "", backlog.state,
  ]), "this node owes nobody a write");
}

function showTasks(tasks) {
  showTable("tasks", ["Task", "What", "Of", "State", "Progress", "Waits for"], tasks.slice(0, 12).map((task) => {
    const progress = task.progress;
    const bar = progress && progress.ranges_total > 0
      ? element("progress", {value: progress.ranges_done, max: progress.ranges_total}) : "";
    return [number(task.task), task.kind, task.node, task.state, bar, {text: progress ? progress.waiting_for : "", class: "long"}];
  }), "none");
}

async function showHot() {
  const by = byId("hot-by").value;
  const hot = await ask("/v1/hot?limit=10&by=" + by);
  const figure = (key) => by === "size" || by === "bytes"
    ? model.bytesText(by === "size" ? key.bytes : key.per_s) : model.rateText(key.per_s);
  showTable("hot", ["Bucket", "Key", by === "size" ? "Size" : "A second"],
    hot.keys.map((key) => [key.bucket, {text: key.key, class: "long"}, number(figure(key))]), "none was asked for lately");
}

function showRing(state) {
  const names = state.status.nodes.map((node) => node.name);
  const color = (name) => COLORS[Math.max(0, names.indexOf(name)) % COLORS.length];
  const point = (turn, radius) => {
    const angle = 2 * Math.PI * turn - Math.PI / 2;
    return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`;
  };
  byId("ring").replaceChildren(...model.ringArcs(state.ring.ranges).map((arc) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const to = arc.to - arc.from >= 1 ? arc.from + 0.99999 : arc.to;
    const large = to - arc.from > 0.5 ? 1 : 0;
    path.setAttribute("d", `M ${point(arc.from, 100)} A 100 100 0 ${large} 1 ${point(to, 100)} `
      + `L ${point(to, 72)} A 72 72 0 ${large} 0 ${point(arc.from, 72)} Z`);
    path.setAttribute("fill", color(arc.owner));
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = arc.owner;
    path.append(title);
    return path;
  }));
  byId("ring-legend").replaceChildren(...state.status.nodes.map((node) => {
    const box = element("i");
    box.style.background = color(node.name);
    return element("li", {}, box, `${node.name}: ${(node.owns * 100).toFixed(1)} % of the replicas`);
  }));
}

function showBuckets(buckets) {
  showTable("buckets", ["Name", "Conflicts", "n", "r", "w", "Durability", "TTL", "Sloppy"], buckets.map((bucket) => [
    bucket.name, bucket.conflict, number(bucket.n), number(bucket.r), number(bucket.w), bucket.durability,
    number(bucket.ttl === 0 ? "none" : model.ageText(bucket.ttl)), bucket.sloppy ? "yes" : "no",
  ]), "none");
}

// --- a key ------------------------------------------------------------------------------------------

function showValue(value) {
  const bytes = Uint8Array.from(atob(value.value), (c) => c.charCodeAt(0));
  const clock = Object.entries(value.version).map(([node, events]) => `${node} ${events}`).join(", ");
  return element("div", {class: "value"},
    element("div", {}, `${model.bytesText(bytes.length)}, ${value.content_type}`),
    element("div", {class: "note"}, `${new Date(value.timestamp).toISOString()}; ${clock}`),
    element("pre", {}, model.shownValue(bytes)));
}

async function explore(event) {
  event.preventDefault();
  const out = byId("explored");
  const bucket = byId("explore-bucket").value;
  const key = byId("explore-key").value;
  try {
    const where = `bucket=${encodeURIComponent(bucket)}&key=${encodeURIComponent(key)}`;
    const explained = await ask("/v1/debug/explain?" + where);
    // "batch" and "range" are paths of their own unless a letter is written so.
    const path = encodeURIComponent(key).replace(/^b(?=atch$)/, "%62").replace(/^r(?=ange$)/, "%72");
    const shown = await ask(`/v1/buckets/${encodeURIComponent(bucket)}/kv/${path}`)
      .catch((refused) => ({missing: refused.message}));
    const values = shown.missing ? [] : shown.conflict ? shown.siblings : [shown];
    const table = element("table", {id: "replicas"});
    out.replaceChildren(
      element("p", {}, shown.missing || (values.length > 1
        ? `${values.length} values that nobody has chosen between; a write with the context of a read resolves them`
        : "one value")),
      element("div", {class: "values"}, ...values.map(showValue)),
      element("div", {class: "wide"}, table),
      element("p", {class: "note"}, `token ${explained.token}; `
        + (explained.agree ? "all reachable replicas agree" : "replicas differ; the next read repairs them")
        + (explained.kept_because ? `; ${explained.kept_because}` : "")));
    showTable("replicas", ["Replica", "Alive", "Holds", "Values", "Tombstones", "Bytes", "Digest"],
      explained.replicas.map((replica) => [replica.node, replica.alive ? "yes" : "no", replica.state,
        number(replica.siblings), number(replica.tombstones), number(replica.bytes), replica.digest]), "none");
  } catch (refused) {
    out.replaceChildren(element("p", {class: "bad"}, refused.message));
  }
}

// --- asking -----------------------------------------------------------------------------------------

async function look() {
  const [status, health, metricsText, buckets, repair, tasks] = await Promise.all([
    ask("/v1/cluster/status"), ask("/healthz"), ask("/metrics", "text"), ask("/v1/buckets"),
    ask("/v1/admin/repair").catch(() => null), ask("/v1/admin/tasks").catch(() => ({tasks: []})),
  ]);
  const most = Math.max(1, ...buckets.buckets.map((bucket) => bucket.n));
  const ring = await ask("/v1/cluster/ring?n=" + most);
  const state = {status, health, metrics: model.parseMetrics(metricsText), buckets: buckets.buckets, repair, ring};
  byId("whoami").textContent =
    `${status.answered_by}, version ${health.version}, up for ${model.ageText(health.uptime_s)}; cluster `
    + `${status.cluster_id || "not formed"}, epoch ${status.epoch}`;
  document.title = `Lariat: ${status.answered_by}`;
  showVerdict(state);
  showNodes(state);
  showRequests(state);
  showRepair(state);
  showTasks(tasks.tasks);
  showRing(state);
  showBuckets(state.buckets);
  await showHot();
}

async function live() {
  try {
    await look();
    byId("login").hidden = true;
  } catch (problem) {
    if (problem.status === 401) {
      byId("login").hidden = false;
    } else {
      byId("verdict").className = "lost";
      byId("verdict-says").textContent = "This node does not answer";
      byId("verdict-causes").replaceChildren(element("li", {}, problem.message));
    }
  }
  setTimeout(live, PERIOD_MS);
}

async function login(event) {
  event.preventDefault();
  const body = JSON.stringify({user: byId("user").value, password: byId("password").value});
  const reply = await fetch("/v1/login", {method: "POST", headers: {"Content-Type": "application/json"}, body});
  byId("password").value = "";
  if (reply.ok) token = (await reply.json()).token;
  byId("login-says").textContent = reply.ok ? "" : "refused";
}

byId("login").addEventListener("submit", login);
byId("explore").addEventListener("submit", explore);
byId("hot-by").addEventListener("change", () => showHot().catch(() => {}));
live();
