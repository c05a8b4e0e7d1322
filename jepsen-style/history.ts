/**
 * What every instrument records and every checker reads: a history is a list of operations, each
 * with who asked, what was asked, when it was called, when it completed, and how. It holds no
 * opinion on whether the history is right. Times are of one clock, in any unit.
 */

/** Completion is `ok`, `fail` (it certainly did not happen) or `info` (nobody knows). */
export type Completion<Answer> =
  | { readonly kind: "ok"; readonly completedAt: number; readonly answer: Answer }
  | { readonly kind: "fail"; readonly completedAt: number }
  | { readonly kind: "info"; readonly completedAt?: number };

export interface Call<Request> {
  /** Has one operation open at a time; who saw `info` goes on under another number. */
  readonly process: number;
  readonly request: Request;
  readonly calledAt: number;
}

export type Operation<Request, Answer> = Call<Request> & Completion<Answer>;

/** Absence is modRevision 0 and version 0, as in etcd. */
export type Expectation =
  | { readonly target: "value"; readonly equal: string }
  | { readonly target: "modRevision" | "version"; readonly equal: number };

/** What the workloads ask of one key of our store. */
export type KeyValueRequest =
  | { readonly type: "get"; readonly key: string }
  | { readonly type: "put"; readonly key: string; readonly value: string }
  | { readonly type: "delete"; readonly key: string }
  | {
      readonly type: "compareAndSet";
      readonly key: string;
      readonly expected: Expectation;
      readonly value: string;
    };

/** Numbers that an answer does not carry are no constraint. */
export type KeyValueAnswer =
  | { readonly type: "put"; readonly revision?: number }
  | { readonly type: "delete"; readonly deleted: boolean; readonly revision?: number }
  | { readonly type: "compareAndSet"; readonly succeeded: boolean; readonly revision?: number }
  | { readonly type: "get"; readonly found: false }
  | {
      readonly type: "get";
      readonly found: true;
      readonly value: string;
      readonly modRevision?: number;
      readonly version?: number;
    };

export type KeyValueOperation = Operation<KeyValueRequest, KeyValueAnswer>;

/** Whether it changed the store: a delete may find nothing, a compare may not hold. */
export function hasEffect(answer: KeyValueAnswer): boolean {
  if (answer.type === "delete") return answer.deleted;
  return answer.type === "put" || (answer.type === "compareAndSet" && answer.succeeded);
}

/** The same call with an outcome that nobody knows: a weaker statement about the system. */
export function forgotten<Request, Answer>(
  operation: Operation<Request, Answer>,
): Operation<Request, Answer> {
  const { process, request, calledAt } = operation;
  return { process, request, calledAt, kind: "info" };
}
