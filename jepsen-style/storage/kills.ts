/**
 * A kill loop on a real disk: a process writes to a store and is killed at a moment drawn by
 * chance, while it opens, too; the next one must find everything that the last one called durable.
 * It kills only what it has started. What a power cut would take stays in the page cache.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Prng } from "../../src/base/prng.js";

export interface KillReport {
  readonly kills: number;
  /** Entries that were durable in all directories together. */
  readonly entries: number;
  readonly problems: readonly string[];
}

export interface KillOptions {
  /** The built kill-child.js. */
  readonly script: string;
  readonly seed: number;
  readonly kills: number;
  readonly untilMs?: number | undefined;
}

/** With more entries than this, the look at them takes too long: a new directory. */
const ENTRIES_MAX = 20_000;
/** Half of the processes live so long at most; the others hardly finish a flush. */
const LIFE_MS_MAX = 3000;
const LIFETIME_MS_MAX = 60_000;

export async function killLoop(directory: string, options: KillOptions): Promise<KillReport> {
  const prng = new Prng(options.seed);
  const untilMs = options.untilMs ?? Number.POSITIVE_INFINITY;
  const problems: string[] = [];
  let entries = 0;
  let kills = 0;
  let acknowledged = 0;
  let round = 0;
  while (kills < options.kills && Date.now() < untilMs && problems.length === 0) {
    const home = join(directory, `round-${round}`);
    mkdirSync(home, { recursive: true });
    const isEarly = prng.chance(0.2);
    const args = [options.script, home, String(options.seed + round), String(acknowledged)];
    const afterMs = prng.between(0, isEarly || prng.chance(0.5) ? 500 : LIFE_MS_MAX);
    const life = await live(args, acknowledged, { isEarly, afterMs });
    kills++;
    entries += Math.max(0, life.acknowledged - acknowledged);
    acknowledged = Math.max(acknowledged, life.acknowledged);
    if (life.problem !== undefined) problems.push(`${home}, kill ${kills}: ${life.problem}`);
    else if (acknowledged > ENTRIES_MAX) {
      rmSync(home, { recursive: true });
      acknowledged = 0;
      round++;
    }
  }
  return { kills, entries, problems };
}

interface Life {
  readonly acknowledged: number;
  readonly problem: string | undefined;
}

/** One process to its end; `isEarly`: the time counts from its start, otherwise from "ready". */
function live(
  args: readonly string[],
  acknowledged: number,
  death: { readonly isEarly: boolean; readonly afterMs: number },
): Promise<Life> {
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIFETIME_MS_MAX,
    killSignal: "SIGKILL",
  });
  const heard = { durable: acknowledged, errors: "", killed: false };
  const kill = (): void => {
    setTimeout(() => {
      heard.killed = true;
      child.kill("SIGKILL");
    }, death.afterMs);
  };
  if (death.isEarly) kill();
  listen(child, heard, () => {
    if (!death.isEarly) kill();
  });
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      const isMeant = heard.killed && signal === "SIGKILL";
      const why = heard.errors === "" ? `it ended with ${code ?? signal}` : heard.errors;
      resolve({ acknowledged: heard.durable, problem: isMeant ? undefined : why });
    });
  });
}

function listen(
  child: ChildProcess,
  heard: { durable: number; errors: string },
  ready: () => void,
): void {
  let rest = "";
  child.stdout?.on("data", (chunk: Uint8Array) => {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [word, number] = line.split(" ");
      if (word === "ready") ready();
      heard.durable = Math.max(heard.durable, Number(number));
    }
  });
  child.stderr?.on("data", (chunk: Uint8Array) => (heard.errors += String(chunk)));
}
