/** A bank's books: every reader sees all accounts, none overdrawn, and always the same sum. */
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, unknown, valid } from "./finding.js";

export type BankRequest =
  | { readonly type: "open"; readonly total: number }
  | {
      readonly type: "transfer";
      readonly from: number;
      readonly to: number;
      readonly amount: number;
    }
  | { readonly type: "read"; readonly level: ReadLevel };

export type BankAnswer =
  | { readonly type: "open" }
  | { readonly type: "transfer"; readonly done: boolean }
  | { readonly type: "read"; readonly balances: readonly number[] };

const NAME = "the sum stays";

export function checkBank(operations: readonly Operation<BankRequest, BankAnswer>[]): Finding {
  const opening = operations.find(({ request, kind }) => request.type === "open" && kind === "ok");
  if (opening?.kind !== "ok" || opening.request.type !== "open") {
    return unknown(NAME, "the bank was never opened");
  }
  for (const operation of operations) {
    if (operation.kind !== "ok" || operation.answer.type !== "read") continue;
    const { balances } = operation.answer;
    const { request, calledAt } = operation;
    const isStale = request.type === "read" && request.level === "stale";
    // A stale read may show the time before there was a bank.
    if (isStale && balances.length === 0) continue;
    if (calledAt < opening.completedAt) continue;
    const total = balances.reduce((sum, balance) => sum + balance, 0);
    if (total !== opening.request.total) {
      return invalid(NAME, `a reader saw ${total} of ${opening.request.total}`, [operation]);
    }
    if (balances.some((balance) => balance < 0)) {
      return invalid(NAME, "an account is overdrawn", [operation]);
    }
  }
  return valid(NAME);
}
