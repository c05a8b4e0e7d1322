/**
 * Registers of one keyspace: key by key there is an order (key-value.ts), and across all keys
 * revisions grow in time: whoever is called after somebody heard of a revision hears of no lower
 * one, and a write of a higher one.
 */
import { inWords } from "../judge.js";
import type { KeyValueAnswer, KeyValueRequest, Operation } from "../history.js";
import { hasEffect } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, unknown, valid } from "./finding.js";
import { checkKeyValue, keyValueModel } from "./key-value.js";

/** What an answer says of the keyspace's revision. */
export interface Dated {
  readonly header: number;
}

export function checkRegisters(
  operations: readonly Operation<KeyValueRequest, KeyValueAnswer & Dated>[],
): readonly Finding[] {
  return [
    checkOrder(operations),
    checkRevisions(operations, (answer) => answer.type !== "get" && hasEffect(answer)),
  ];
}

function checkOrder(operations: readonly Operation<KeyValueRequest, KeyValueAnswer>[]): Finding {
  const verdict = checkKeyValue(operations);
  const name = "linearizable";
  if (verdict.verdict === "linearizable") return valid(name);
  const [first = "", ...rest] = inWords(keyValueModel, verdict).report;
  if (verdict.verdict === "unknown") return unknown(name, first);
  const lines = [first, ...rest];
  return { checker: name, verdict: "invalid", lines, operations: verdict.offence.operations };
}

/** Answers of one dense keyspace, none of them of a stale read. */
export function checkRevisions<Request, Answer extends Dated>(
  operations: readonly Operation<Request, Answer>[],
  wrote: (answer: Answer) => boolean,
): Finding {
  const name = "revisions";
  const heard = operations.filter((each) => each.kind === "ok");
  const byReturn = heard.toSorted((a, b) => a.completedAt - b.completedAt);
  const byCall = heard.toSorted((a, b) => a.calledAt - b.calledAt);
  const writers = new Map<number, Operation<Request, Answer>>();
  let newest: (typeof heard)[number] | undefined;
  let returned = 0;
  for (const operation of byCall) {
    const before = (): (typeof heard)[number] | undefined => byReturn[returned];
    for (let one = before(); one !== undefined && one.completedAt < operation.calledAt;) {
      if (newest === undefined || one.answer.header > newest.answer.header) newest = one;
      returned++;
      one = before();
    }
    const { header } = operation.answer;
    const writes = wrote(operation.answer);
    if (newest !== undefined && header < newest.answer.header + (writes ? 1 : 0)) {
      const what = writes ? "a write was given a revision" : "an answer shows a revision";
      return invalid(name, `${what} that others had seen passed before`, [newest, operation]);
    }
    if (!writes) continue;
    const other = writers.get(header);
    if (other !== undefined) return invalid(name, "two writes of one revision", [other, operation]);
    writers.set(header, operation);
  }
  return valid(name);
}
