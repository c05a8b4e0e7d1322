/** The report's looks: light and dark as the reader's system has it. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1d2330; --paper: #ffffff; --rule: #dfe3ea;
  --soft: #f4f6f9; --ok: #2f6fb3; --fail: #c98a1b; --info: #c2363d; --shade: #8a94a626;
  --struck: #7d8798; --t0: #8fc1e8; --t1: #a7d7a0; --t2: #e6c987; --t3: #cfb3e6; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe4ee; --paper: #14171d; --rule: #2b313c;
  --soft: #1c2028; --ok: #6aa9e9; --fail: #e0b04f; --info: #f0737a; --shade: #97a3b722;
  --struck: #97a3b7; --t0: #2f6690; --t1: #3d7a44; --t2: #8a6d24; --t3: #6d4d8f; } }
body { margin: 2rem auto; max-width: 1140px; padding: 0 1rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
pre { background: var(--soft); border: 1px solid var(--rule); border-radius: 6px;
  padding: .7rem .9rem; overflow-x: auto; font: 13px/1.5 ui-monospace, monospace; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left;
  vertical-align: top; font-variant-numeric: tabular-nums; } th { font-weight: 600; }
svg { display: block; width: 100%; height: auto; margin: .4rem 0; }
svg text { font: 11px system-ui, sans-serif; }
svg text { fill: var(--ink); }
.label { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; font-weight: 600; }
svg text.name { font-size: 10px; opacity: .7; }
.grid { stroke: var(--rule); }
.verdict { border-radius: 4px; padding: 0 .45rem; color: #fff; font-size: .85em; }
.verdict.valid { background: #2f7d4f; } .verdict.invalid { background: #b3262e; }
.verdict.unknown { background: #8a6d24; }
.fault { fill: var(--shade); } .struck { fill: var(--struck); }
.dots { stroke-width: 3; stroke-linecap: round; fill: none; }
.line { stroke-width: 1.5; fill: none; }
.dots.ok, .line.ok { stroke: var(--ok); } .dots.fail, .line.fail { stroke: var(--fail); }
.dots.info, .line.info { stroke: var(--info); }
rect.ok { fill: var(--ok); opacity: .45; } rect.fail { fill: var(--fail); opacity: .45; }
rect.info { fill: var(--info); opacity: .3; } rect.guilty { opacity: .95; }
.term0 { fill: var(--t0); } .term1 { fill: var(--t1); } .term2 { fill: var(--t2); }
.term3 { fill: var(--t3); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 1em; }
.key.ok { background: var(--ok); } .key.fail { background: var(--fail); }
.key.info { background: var(--info); } .key.fault { background: var(--rule); }
`;
