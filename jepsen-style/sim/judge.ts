/** Judges what the clients of a run have seen: key by key for its order, and across keys. */
import { checkKeyValue } from "../checkers/key-value.js";
import type { KeyValueAnswer, KeyValueOperation, KeyValueRequest } from "../history.js";
import type { History, Operation } from "./load.js";
import { checkObservations } from "./observations.js";

/** More clients than a run ever has. */
const CLIENTS = 1000;

/** What is wrong with a history, and which check says so. */
export interface Finding {
  readonly by: "observations" | "order";
  readonly text: string;
}

/** The first thing that is wrong with it. */
export function checkHistory(history: History): Finding | undefined {
  const shown = checkObservations(history);
  if (shown !== undefined) return { by: "observations", text: shown };
  const text = orderFault(history.operations);
  return text === undefined ? undefined : { by: "order", text };
}

function orderFault(operations: readonly Operation[]): string | undefined {
  const verdict = checkKeyValue(keyValueOperations(operations));
  if (verdict.verdict === "linearizable") return undefined;
  if (verdict.verdict === "unknown") return "the order of the operations could not be judged";
  return `no order explains the operations: ${verdict.offence.text}`;
}

/** Stale reads have no place in the order. Who did not hear an answer goes on as somebody else. */
function keyValueOperations(operations: readonly Operation[]): readonly KeyValueOperation[] {
  const renamed = new Map<number, number>();
  const told: KeyValueOperation[] = [];
  for (const operation of operations) {
    if (operation.kind === "get" && operation.level === "stale") continue;
    const { client, outcome, callMs, returnMs } = operation;
    const times = renamed.get(client) ?? 0;
    const call = {
      process: client + times * CLIENTS,
      request: requestOf(operation),
      calledAt: callMs,
    };
    if (outcome === "info") {
      renamed.set(client, times + 1);
      told.push({ ...call, kind: "info" });
    } else if (outcome === "fail") {
      told.push({ ...call, kind: "fail", completedAt: returnMs });
    } else {
      told.push({ ...call, kind: "ok", completedAt: returnMs, answer: answerOf(operation) });
    }
  }
  return told;
}

function requestOf(operation: Operation): KeyValueRequest {
  const key = `${operation.keyspace}/${operation.key}`;
  switch (operation.kind) {
    case "put":
      return { type: "put", key, value: operation.value };
    case "delete":
      return { type: "delete", key };
    case "cas": {
      const expected = { target: "modRevision", equal: operation.expected } as const;
      return { type: "compareAndSet", key, expected, value: operation.value };
    }
    case "get":
      return { type: "get", key };
  }
}

function answerOf(operation: Operation): KeyValueAnswer {
  const { kind, revision } = operation;
  switch (kind) {
    case "put":
      return { type: "put", revision };
    case "delete":
      return operation.deleted > 0
        ? { type: "delete", deleted: true, revision }
        : { type: "delete", deleted: false };
    case "cas":
      return operation.succeeded
        ? { type: "compareAndSet", succeeded: true, revision }
        : { type: "compareAndSet", succeeded: false };
    case "get": {
      const { value, modRevision, version } = operation;
      if (value === undefined) return { type: "get", found: false };
      return { type: "get", found: true, value, modRevision, version };
    }
  }
}
