import { simulate } from "./simulate.js";
import { drawFaults } from "./faults.js";
import { drawSettings, streamsOf } from "./settings.js";
const from = Number(process.argv[2] ?? 1);
const to = Number(process.argv[3] ?? from);
const trace = process.argv[4] !== undefined;
for (let seed = from; seed <= to; seed++) {
  const settings = drawSettings(seed);
  const faults = drawFaults(settings, streamsOf(seed).faults);
  const t0 = performance.now();
  const r = await simulate(settings, faults, trace ? {
    line: (at, who, what) => console.log(at.toFixed(2), who, what),
    tracer: (m, w) => ({ trace: (l, msg, f) => console.log(w.nowMs.toFixed(2), m.name, l, msg, JSON.stringify(f)) }),
  } : {});
  const ms = performance.now() - t0;
  console.log(seed, r.failure ?? "ok", "nodes", settings.cluster.nodes, "sim", (r.simulatedMs/1000).toFixed(1), "x", (r.simulatedMs/ms).toFixed(0), "ev", r.events, (ms*1000/r.events).toFixed(1)+"us", "ops", r.acknowledged, "/", r.operations, "commits", r.commits, "el", r.elections, JSON.stringify([...r.faults]));
}
