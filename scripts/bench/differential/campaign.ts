/**
 * Random requests to etcd and to a node of ours until so many were compared or something differs;
 * then the list of requests is made as short as it gets while it still differs. Between lists of
 * requests to the KV service come scripts of watches.
 */
import fc from "fast-check";
import { shown } from "./answers.js";
import { request } from "./requests.js";
import { runOnBoth } from "./run.js";
import type { Pair } from "./sides.js";
import { watchOnBoth, watchStep } from "./watches.js";

export interface CampaignOptions {
  readonly seed: number;
  /** Requests to the KV service, and what is done to watches. */
  readonly requests: number;
  /** How long a difference may be made smaller. */
  readonly shrinkMs: number;
}

/** Answered differently, and the smallest that was found. */
export interface Finding {
  readonly requests: readonly string[];
  /** The one that was answered differently, if there is one. */
  readonly request: string | undefined;
  readonly theirs: string;
  readonly ours: string;
  /** How it was answered when it was first seen: the smallest may be another difference. */
  readonly first?: string;
}

export interface CampaignResult {
  readonly compared: number;
  /** How often each expected difference was met. */
  readonly expected: ReadonlyMap<string, number>;
  readonly finding: Finding | undefined;
}

const LIST = { minLength: 1, maxLength: 100, size: "max" } as const;
const SCRIPT = { minLength: 1, maxLength: 30, size: "max" } as const;
const LISTS_A_ROUND = 50;
const SCRIPTS_A_ROUND = 20;

export async function differentialCampaign(
  pair: Pair,
  { seed, requests, shrinkMs }: CampaignOptions,
): Promise<CampaignResult> {
  const campaign = new Campaign(pair, shrinkMs);
  const lists = fc.asyncProperty(fc.array(request, LIST), (list) => campaign.list(list));
  const scripts = fc.asyncProperty(fc.array(watchStep, SCRIPT), (script) =>
    campaign.script(script),
  );
  for (let round = 0; !campaign.isOver(requests); round++) {
    await fc.check(lists, { seed: seed + round, numRuns: LISTS_A_ROUND });
    if (campaign.isOver(requests)) break;
    await fc.check(scripts, { seed: seed + round, numRuns: SCRIPTS_A_ROUND });
  }
  return campaign;
}

class Campaign implements CampaignResult {
  compared = 0;
  readonly expected: Map<string, number> = new Map();
  finding: Finding | undefined;
  readonly #pair: Pair;
  readonly #shrinkMs: number;
  #deadline = Number.POSITIVE_INFINITY;

  constructor(pair: Pair, shrinkMs: number) {
    this.#pair = pair;
    this.#shrinkMs = shrinkMs;
  }

  isOver(requests: number): boolean {
    return this.finding !== undefined || this.compared >= requests;
  }

  async list(list: Parameters<typeof runOnBoth>[1]): Promise<boolean> {
    if (performance.now() > this.#deadline) return true;
    const { compared, expected, difference } = await runOnBoth(this.#pair, list);
    if (difference !== undefined) {
      const { theirs, ours } = difference;
      const requests = list.map((one) => shown(one));
      return this.#found({ requests, request: shown(difference.request), theirs, ours });
    }
    if (this.finding !== undefined) return true;
    this.compared += compared;
    for (const [name, count] of expected) {
      this.expected.set(name, (this.expected.get(name) ?? 0) + count);
    }
    return true;
  }

  async script(steps: Parameters<typeof watchOnBoth>[1]): Promise<boolean> {
    if (performance.now() > this.#deadline) return true;
    const difference = await watchOnBoth(this.#pair, steps);
    if (difference !== undefined) {
      const requests = steps.map((one) => shown(one));
      return this.#found({ requests, request: undefined, ...difference });
    }
    if (this.finding === undefined) this.compared += steps.length;
    return true;
  }

  #found(finding: Finding): false {
    if (this.finding === undefined) this.#deadline = performance.now() + this.#shrinkMs;
    const first = this.finding?.first ?? answersText(finding);
    this.finding = { ...finding, first };
    return false;
  }
}

export function findingText(finding: Finding): string {
  return [
    "the smallest list of requests that is answered differently:",
    ...finding.requests.map((text) => `  ${text}`),
    answersText(finding),
    "as it was seen first:",
    finding.first ?? "",
  ].join("\n");
}

function answersText({ request: one, theirs, ours }: Finding): string {
  const which = one === undefined ? [] : ["of these it is", `  ${one}`];
  return [...which, `  etcd | ${theirs}`, `  ours | ${ours}`].join("\n");
}
