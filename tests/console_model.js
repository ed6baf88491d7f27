// SPDX-License-Identifier: Apache-2.0
// Run by console_test.py on the page: what model.js makes of figures. Gives what is wrong.
(async () => {
  const model = await import("/console/model.js");
  const wrong = [];
  const same = (what, got, wanted) => {
    if (JSON.stringify(got) !== JSON.stringify(wanted)) wrong.push([what, got, wanted]);
  };
  same("bytes", [0, 1023, 1536, 5 * 2 ** 40].map(model.bytesText), ["0 B", "1023 B", "1.5 KiB", "5.0 TiB"]);
  same("ages", [5, 600, 7200, 864000].map(model.ageText), ["5 s", "10 min", "2 h", "10 d"]);
  const before = model.parseMetrics('# HELP x\na{op="get",le="0.1"} 1\na_bucket{le="0.1"} 1\na_bucket{le="+Inf"} 1\n');
  const after = model.parseMetrics('a{op="get"} 21\na_bucket{le="0.1"} 1\na_bucket{le="+Inf"} 5\nodd{x="a\\"b"} 2\n');
  same("labels", after.odd[0].labels.x, 'a"b');
  same("rate", model.rate(before, after, 2, "a"), 10);
  same("restart", model.rate(after, before, 2, "a"), 0);
  same("quantile", model.quantile(before, after, 0.5, "a"), 0.1);
  same("nothing counted", model.quantile(after, after, 0.5, "a"), null);
  const node = (name, alive = true) => ({name, alive, state: "normal", hints_pending_bytes: 0});
  const ring = {ranges: [{from: "0", to: "9223372036854775808", owners: ["a", "b", "c"]},
                         {from: "9223372036854775808", to: "0", owners: ["b", "c", "a"]}]};
  const status = {nodes: [node("a"), node("b"), node("c", false)], operation: null, cluster_id: "x"};
  const bucket = {name: "k", n: 3, r: 2, w: 2};
  same("quorum would be lost", model.mayStop("a", status, [bucket], ring).ok, false);
  same("one of three may go", model.mayStop("a", {...status, nodes: [node("a"), node("b"), node("c")]}, [bucket], ring).ok, true);
  same("a node that owns nothing may go", model.mayStop("d", status, [bucket], ring).ok, true);
  same("n=1 needs its owner", model.mayStop("a", status, [{name: "one", n: 1, r: 1, w: 1}], ring).why,
    "bucket one needs 1 replicas and would have fewer for 50 % of its keys");
  const health = {ready: true, reasons: [], storage: "ok"};
  const causes = (changes) => model.causes({status: {...status, nodes: [node("a")]}, health, buckets: [],
    repair: null, metrics: {}, ...changes});
  same("nothing wrong", causes({}), []);
  same("worst first", causes({health: {...health, storage: "damaged", ready: false, reasons: ["joining"]}})
    .map((cause) => cause.grade), ["bad", "warn"]);
  same("thin bucket", causes({status: {...status, nodes: ["a", "b", "c"].map((n) => node(n))}, buckets: [{...bucket, n: 1}]})[0].next,
    "lariat bucket set k n=3");
  same("verdict", model.verdict({nodes: [node("a")], operation: null}, []).says, "All is well: 1 node serves");
  same("text", model.shownValue(new TextEncoder().encode("grün\n")), "grün\n");
  same("bytes that are no text", model.shownValue(Uint8Array.of(0xff, 0)), "ff 00");
  same("arcs", model.ringArcs(ring.ranges).map((arc) => [arc.from, arc.to, arc.owner]), [[0, 0.5, "a"], [0.5, 1, "b"]]);
  same("one owner, one arc", model.ringArcs([{from: "7", to: "7", owners: ["a"]}]).length, 1);
  return JSON.stringify(wrong);
})()
