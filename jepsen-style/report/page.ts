/** A run as one page without any other file: verdicts, charts, the offence, how to do it again. */
import type { Finding } from "../checkers/finding.js";
import { latencies, leaders, rates } from "./charts.js";
import { offence } from "./offence.js";
import type { RunData } from "./run-data.js";
import { STYLE } from "./style.js";
import { escape } from "./svg.js";

export function reportPage(data: RunData): string {
  const axis = { fromMs: 0, toMs: Math.max(1, data.endedMs) };
  const bad = data.findings.filter(({ verdict }) => verdict !== "valid");
  return [
    "<!doctype html>",
    `<html lang="en"><head><meta charset="utf-8"><title>${escape(data.title)}: ${data.verdict}</title>`,
    `<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head><body>`,
    `<h1><span class="verdict ${data.verdict}">${data.verdict}</span> ${escape(data.title)}</h1>`,
    `<pre class="command">${escape(data.command)}</pre>`,
    ...bad.map((finding) => badFinding(data, finding)),
    "<h2>Checks</h2>",
    checks(data.findings),
    `<h2>Latency</h2>${legend()}${latencies(data, axis)}`,
    `<h2>Rate</h2>${rates(data, axis)}`,
    `<h2>Leaders, terms and faults</h2>${leaders(data, axis)}`,
    "<h2>Operations</h2>",
    counts(data),
    "<h2>Faults</h2>",
    faults(data),
    "<h2>How it was made</h2>",
    table(["", ""], data.facts),
    "</body></html>",
  ].join("\n");
}

function badFinding(data: RunData, finding: Finding): string {
  const { checker, verdict, lines } = finding;
  const heading = `<h2><span class="verdict ${verdict}">${verdict}</span> ${escape(checker)}</h2>`;
  return `${heading}<pre>${escape(lines.join("\n"))}</pre>${offence(data, finding)}`;
}

/** Those that did not pass a row each; the others together, by what they were of. */
function checks(findings: readonly Finding[]): string {
  const badge = (verdict: Finding["verdict"]): string =>
    `<span class="verdict ${verdict}">${verdict}</span>`;
  const row = (verdict: Finding["verdict"], group: string, names: string): string =>
    `<tr><td>${badge(verdict)}</td><td>${escape(group)}</td><td>${escape(names)}</td></tr>`;
  const passed = new Map<string, string[]>();
  const rows: string[] = [];
  for (const { checker, verdict } of findings) {
    const [group, name] = groupOf(checker);
    if (verdict !== "valid") rows.push(row(verdict, group, name));
    else if (passed.has(group)) passed.get(group)!.push(name);
    else passed.set(group, [name]);
  }
  for (const [group, names] of passed) rows.push(row("valid", group, names.join("; ")));
  return `<table>${rows.join("")}</table>`;
}

/** The workload or the keyspace, and the check; what has neither is of the cluster. */
function groupOf(checker: string): readonly [string, string] {
  const at = checker.indexOf(": ");
  if (at < 0) return ["cluster", checker];
  const group = checker.slice(0, at);
  return [group, checker.slice(at + 2).replace(`${group}: `, "")];
}

function legend(): string {
  const words = { ok: "done", fail: "certainly not done", info: "nobody knows" };
  const items = Object.entries(words).map(
    ([kind, word]) => `<span class="key ${kind}"></span>${word}`,
  );
  return `<p>${items.join(" ")} <span class="key fault"></span>a fault is on</p>`;
}

/** By what was asked and what came of it, with the error that was met most. */
function counts({ operations }: RunData): string {
  const rows = new Map<string, { ok: number; fail: number; info: number; errors: string[] }>();
  for (const { request, kind, error } of operations) {
    const row = rows.get(request.type) ?? { ok: 0, fail: 0, info: 0, errors: [] };
    rows.set(request.type, row);
    row[kind] += 1;
    if (error !== undefined) row.errors.push(error);
  }
  const cells = [...rows].map(([type, { ok, fail, info, errors }]) => {
    const met = [...new Set(errors)].map((error) => {
      return `${error} ${errors.filter((each) => each === error).length}`;
    });
    return [type, `${ok}`, `${fail}`, `${info}`, met.join(", ")];
  });
  return table(["", "done", "not done", "unknown", "errors"], cells);
}

function faults({ faults: all }: RunData): string {
  const seconds = (ms: number): string => (ms / 1000).toFixed(1);
  if (all.length === 0) return "<p>none</p>";
  const rows = all.map(({ text, fromMs, toMs }) => [seconds(fromMs), seconds(toMs), text]);
  return table(["from s", "to s", ""], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join("")}</tr>`;
  const hasHead = head.some((word) => word !== "");
  return `<table>${hasHead ? cells("th", head) : ""}${rows.map((row) => cells("td", row)).join("")}</table>`;
}
