/**
 * Joins calls and completions, as recorders write them one after the other, to operations. The
 * place in the file is the time. A call that never completes is pending for ever.
 */
import { must } from "../../src/base/assert.js";
import type { Completion, Operation } from "../history.js";
import { FormatError } from "./format-error.js";

/** How a line says that an operation ended; the answer may need what was asked. */
export type Ending<Answer> =
  | { readonly kind: "ok"; readonly answer: Answer }
  | { readonly kind: "fail" | "info" };

interface Open<Request> {
  readonly request: Request;
  readonly calledAt: number;
  readonly line: number;
  readonly place: number;
}

export class Pairing<Request, Answer> {
  private readonly open = new Map<number, Open<Request>>();
  private readonly done: (Operation<Request, Answer> | undefined)[] = [];
  private now = 0;

  call(line: number, process: number, request: Request): void {
    const other = this.open.get(process);
    if (other !== undefined) {
      const what = `process ${process} calls while its call of line ${other.line} is open`;
      throw new FormatError(line, what);
    }
    const place = this.done.push(undefined) - 1;
    this.open.set(process, { request, calledAt: this.now++, line, place });
  }

  complete(line: number, process: number, endingOf: (request: Request) => Ending<Answer>): void {
    const call = this.open.get(process);
    if (call === undefined) {
      throw new FormatError(line, `process ${process} completes what it did not call`);
    }
    this.open.delete(process);
    this.close(process, call, { ...endingOf(call.request), completedAt: this.now++ });
  }

  /** All operations, in the order of their calls. */
  operations(): readonly Operation<Request, Answer>[] {
    for (const [process, call] of this.open) this.close(process, call, { kind: "info" });
    this.open.clear();
    return this.done.map((operation) => must(operation));
  }

  private close(process: number, call: Open<Request>, completion: Completion<Answer>): void {
    const { request, calledAt, place } = call;
    this.done[place] = { process, request, calledAt, ...completion };
  }
}
