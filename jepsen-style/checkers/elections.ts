/**
 * An election: whoever leads has a term, the create revision of his place in line. All that shows
 * who leads at a revision is one claim; in the order of revisions
 *
 *   terms never go back: no two lead at once, and nobody writes as a leader after the next one
 *   a term that has ended, or had somebody else or nobody in between, does not come again
 *   what is proclaimed is seen in the term it was proclaimed in, at its revision, and not at all
 *   where that was refused
 *   one who observes hears of terms and proclamations in their order; one who looks sees no
 *   older revision than that of an answer that had come before
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

export type ElectionRequest =
  | { readonly type: "grant" | "look" | "observe" }
  | { readonly type: "campaign"; readonly value: string }
  /** `write` is of something else than the leader's own key. */
  | { readonly type: "proclaim" | "write"; readonly term: number; readonly value: string }
  /** Or the end of the lease, on purpose. */
  | { readonly type: "resign"; readonly term: number };

/** A leader, or nobody, as a revision shows it. */
export interface Seen {
  readonly revision: number;
  readonly leader:
    | { readonly term: number; readonly value: string; readonly modRevision: number }
    | undefined;
}

export type ElectionAnswer =
  | { readonly type: "grant" | "resign"; readonly revision: number }
  /** It led at the revision. */
  | { readonly type: "campaign"; readonly revision: number; readonly term: number }
  | { readonly type: "proclaim" | "write"; readonly revision: number; readonly done: boolean }
  | { readonly type: "look" | "observe"; readonly seen: readonly Seen[] };

type ElectionOperation = Operation<ElectionRequest, ElectionAnswer>;

/** `term` leads at the revision; undefined: nobody does. */
interface Claim {
  readonly revision: number;
  readonly term: number | undefined;
  readonly operation: ElectionOperation;
}

const ONE = "one leads at a time";
const ORDER = "observers see leaders in their order";
const VALUES = "proclamations are seen in their own term";
const NEWEST = "looks are new enough";

export function checkElections(operations: readonly ElectionOperation[]): readonly Finding[] {
  return [
    claimsFault(operations) ?? valid(ONE),
    orderFault(operations) ?? valid(ORDER),
    valuesFault(operations) ?? valid(VALUES),
    newestFault(operations) ?? valid(NEWEST),
  ];
}

function claimsOf(operation: ElectionOperation): readonly Claim[] {
  if (operation.kind !== "ok") return [];
  const { answer, request } = operation;
  switch (answer.type) {
    case "campaign":
      return [{ revision: answer.revision, term: answer.term, operation }];
    case "proclaim":
    case "write":
      if (!answer.done || !("term" in request)) return [];
      return [{ revision: answer.revision, term: request.term, operation }];
    case "look":
    case "observe":
      return answer.seen.map(({ revision, leader }) => {
        return { revision, term: leader?.term, operation };
      });
    default:
      return [];
  }
}

function claimsFault(operations: readonly ElectionOperation[]): Finding | undefined {
  const claims = operations.flatMap(claimsOf).toSorted((a, b) => a.revision - b.revision);
  let last: Claim | undefined;
  let vacant: Claim | undefined;
  for (const claim of claims) {
    const rival = rivalOf(claim, last, vacant);
    if (rival !== undefined) return overlap(rival, claim);
    if (claim.term === undefined) vacant = claim;
    else last = claim;
  }
  return endsFault(operations, claims);
}

/** What the claim contradicts, of the last two that somebody and that nobody led. */
function rivalOf(
  { revision, term }: Claim,
  last: Claim | undefined,
  vacant: Claim | undefined,
): Claim | undefined {
  if (term === undefined) return last?.revision === revision ? last : undefined;
  if (vacant?.revision === revision) return vacant;
  if (last?.term === undefined) return undefined;
  if (term < last.term || (term !== last.term && revision === last.revision)) return last;
  return term === last.term && (vacant?.revision ?? 0) > last.revision ? vacant : undefined;
}

function endsFault(
  operations: readonly ElectionOperation[],
  claims: readonly Claim[],
): Finding | undefined {
  const ends = endsOf(operations);
  for (const { term, revision, operation } of claims) {
    const end = term === undefined ? undefined : ends.get(term);
    if (end === undefined || end.revision > revision) continue;
    const text = `term ${term} led at ${revision}, after it had ended at ${end.revision}`;
    return invalid(ONE, text, [end.operation, operation]);
  }
  return undefined;
}

/** By term: where its place was certainly gone. */
function endsOf(
  operations: readonly ElectionOperation[],
): ReadonlyMap<number, { readonly revision: number; readonly operation: ElectionOperation }> {
  return new Map(
    operations.flatMap((operation) => {
      const { request, kind } = operation;
      if (request.type !== "resign" || kind !== "ok" || operation.answer.type !== "resign")
        return [];
      return [[request.term, { revision: operation.answer.revision, operation }] as const];
    }),
  );
}

function overlap(earlier: Claim, later: Claim): Finding {
  const [before, after] = [earlier, later].map(({ term, revision }) => {
    return `${term === undefined ? "nobody" : `term ${term}`} led at ${revision}`;
  });
  return invalid(ONE, `${after}, and ${before}`, [earlier.operation, later.operation]);
}

function orderFault(operations: readonly ElectionOperation[]): Finding | undefined {
  for (const operation of operations) {
    if (operation.kind !== "ok" || operation.answer.type !== "observe") continue;
    const { seen } = operation.answer;
    const at = seen.findIndex((one, index) => index > 0 && isBehind(one, seen[index - 1]!));
    if (at === -1) continue;
    const text = `${seenText(seen[at]!)} was shown after ${seenText(seen[at - 1]!)}`;
    return invalid(ORDER, text, [operation]);
  }
  return undefined;
}

/** A leader's place may be older than what the one before him proclaimed last. */
function isBehind(later: Seen, before: Seen): boolean {
  if (later.revision < before.revision) return true;
  if (later.leader === undefined || before.leader === undefined) return false;
  const terms = later.leader.term - before.leader.term;
  return terms < 0 || (terms === 0 && later.leader.modRevision < before.leader.modRevision);
}

function seenText({ revision, leader }: Seen): string {
  if (leader === undefined) return `nobody at ${revision}`;
  return `${leader.value} of term ${leader.term} at ${revision}`;
}

/** Where a value can be seen, as far as it is known. */
interface Place {
  readonly term?: number;
  readonly modRevision?: number;
}

function valuesFault(operations: readonly ElectionOperation[]): Finding | undefined {
  const owners = new Map<string, ElectionOperation>();
  for (const operation of operations) {
    const { request } = operation;
    const isOwner = request.type === "campaign" || request.type === "proclaim";
    if (isOwner) owners.set(request.value, operation);
  }
  const first = new Map<string, Place>();
  for (const { operation, leader } of operations.flatMap(leadersIn)) {
    const { value } = leader;
    const owner = owners.get(value);
    if (owner === undefined) return invalid(VALUES, `nobody proclaimed ${value}`, [operation]);
    const place = placeOf(owner);
    const before = first.get(value) ?? leader;
    first.set(value, before);
    if (place !== undefined && isAt(leader, place) && isAt(leader, before)) continue;
    const shown = `${value} is of term ${leader.term}, at ${leader.modRevision}`;
    return invalid(VALUES, shown, [owner, operation]);
  }
  return undefined;
}

type Leader = NonNullable<Seen["leader"]>;

function leadersIn(
  operation: ElectionOperation,
): readonly { readonly operation: ElectionOperation; readonly leader: Leader }[] {
  if (operation.kind !== "ok" || !("seen" in operation.answer)) return [];
  return operation.answer.seen.flatMap(({ leader }) =>
    leader === undefined ? [] : [{ operation, leader }],
  );
}

/** undefined: nowhere, since it was refused. */
function placeOf(owner: ElectionOperation): Place | undefined {
  const { request } = owner;
  const answer = owner.kind === "ok" ? owner.answer : undefined;
  if (answer?.type === "campaign") return { term: answer.term, modRevision: answer.term };
  // A candidate who gave up, or does not know, may have stood in line and led.
  if (request.type !== "proclaim") return {};
  if (owner.kind === "fail") return undefined;
  if (answer?.type !== "proclaim") return { term: request.term };
  return answer.done ? { term: request.term, modRevision: answer.revision } : undefined;
}

function isAt(leader: Leader, { term, modRevision }: Place): boolean {
  const isInTerm = term === undefined || term === leader.term;
  return isInTerm && (modRevision === undefined || modRevision === leader.modRevision);
}

function newestFault(operations: readonly ElectionOperation[]): Finding | undefined {
  const answered = operations
    .flatMap((operation) => {
      if (operation.kind !== "ok" || "seen" in operation.answer) return [];
      const { revision } = operation.answer;
      return [{ operation, revision, completedAt: operation.completedAt }];
    })
    .toSorted((a, b) => a.completedAt - b.completedAt);
  let at = 0;
  let newest: (typeof answered)[number] | undefined;
  for (const look of operations.toSorted((a, b) => a.calledAt - b.calledAt)) {
    for (; at < answered.length && answered[at]!.completedAt < look.calledAt; at++) {
      if (answered[at]!.revision > (newest?.revision ?? 0)) newest = answered[at];
    }
    if (look.kind !== "ok" || newest === undefined) continue;
    const { answer } = look;
    const first = "seen" in answer ? answer.seen[0]?.revision : undefined;
    const shown = answer.type === "campaign" ? answer.revision : first;
    if (shown === undefined || shown >= newest.revision) continue;
    const text = `revision ${shown} was shown after ${newest.revision}`;
    return invalid(NEWEST, text, [newest.operation, look]);
  }
  return undefined;
}
