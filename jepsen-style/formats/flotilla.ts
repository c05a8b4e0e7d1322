/**
 * Our own histories: one operation a line, in JSON, in any order. Fields as in `history.ts`:
 *
 *   {"process":1,"request":{"type":"put","key":"a","value":"x"},"calledAt":3,"kind":"ok",
 *    "completedAt":7,"answer":{"type":"put","revision":12}}
 */
import type {
  Expectation,
  KeyValueAnswer,
  KeyValueOperation,
  KeyValueRequest,
} from "../history.js";
import { FormatError } from "./format-error.js";

export function writeFlotilla(operations: readonly KeyValueOperation[]): string {
  return operations.map((operation) => `${JSON.stringify(operation)}\n`).join("");
}

export function readFlotilla(text: string): readonly KeyValueOperation[] {
  return text.split("\n").flatMap((content, index) => {
    return content.trim() === "" ? [] : [readLine(index + 1, content)];
  });
}

function readLine(line: number, content: string): KeyValueOperation {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw new FormatError(line, "not JSON");
  }
  const fields = new Fields(line, value);
  const request = requestOf(fields.inside("request"));
  const call = { process: fields.number("process"), request, calledAt: fields.number("calledAt") };
  const kind = fields.text("kind");
  if (kind === "info") {
    const completedAt = fields.optionalNumber("completedAt");
    return { ...call, kind, ...(completedAt !== undefined && { completedAt }) };
  }
  const completedAt = fields.number("completedAt");
  if (completedAt < call.calledAt) throw fields.fault("it completed before it was called");
  if (kind === "fail") return { ...call, kind, completedAt };
  if (kind !== "ok") throw fields.fault(`"kind" is none of ok, fail, info`);
  const answer = answerOf(fields.inside("answer"));
  if (answer.type !== request.type) throw fields.fault("the answer is not of what was asked");
  return { ...call, kind, completedAt, answer };
}

function requestOf(fields: Fields): KeyValueRequest {
  const type = fields.text("type");
  const key = fields.text("key");
  if (type === "get" || type === "delete") return { type, key };
  const value = fields.text("value");
  if (type === "put") return { type, key, value };
  if (type !== "compareAndSet") throw fields.fault(`unknown request "${type}"`);
  return { type, key, expected: expectationOf(fields.inside("expected")), value };
}

function expectationOf(fields: Fields): Expectation {
  const target = fields.text("target");
  if (target === "value") return { target, equal: fields.text("equal") };
  if (target !== "modRevision" && target !== "version") {
    throw fields.fault(`unknown target "${target}"`);
  }
  return { target, equal: fields.number("equal") };
}

function answerOf(fields: Fields): KeyValueAnswer {
  const type = fields.text("type");
  if (type === "get") return getAnswerOf(fields);
  const revision = fields.optionalNumber("revision");
  const known = revision === undefined ? {} : { revision };
  if (type === "put") return { type, ...known };
  if (type === "delete") return { type, deleted: fields.truth("deleted"), ...known };
  if (type !== "compareAndSet") throw fields.fault(`unknown answer "${type}"`);
  return { type, succeeded: fields.truth("succeeded"), ...known };
}

function getAnswerOf(fields: Fields): KeyValueAnswer {
  if (!fields.truth("found")) return { type: "get", found: false };
  const modRevision = fields.optionalNumber("modRevision");
  const version = fields.optionalNumber("version");
  return {
    type: "get",
    found: true,
    value: fields.text("value"),
    ...(modRevision !== undefined && { modRevision }),
    ...(version !== undefined && { version }),
  };
}

/** The fields of an object of the file, each read as what it must be. */
class Fields {
  private readonly line: number;
  private readonly fields: ReadonlyMap<string, unknown>;

  constructor(line: number, value: unknown) {
    this.line = line;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.fault("not an object where one is expected");
    }
    this.fields = new Map(Object.entries(value));
  }

  fault(what: string): FormatError {
    return new FormatError(this.line, what);
  }

  inside(name: string): Fields {
    if (!this.fields.has(name)) throw this.fault(`"${name}" is missing`);
    return new Fields(this.line, this.fields.get(name));
  }

  text(name: string): string {
    const value = this.fields.get(name);
    if (typeof value !== "string") throw this.fault(`"${name}" must be a string`);
    return value;
  }

  number(name: string): number {
    const value = this.fields.get(name);
    if (typeof value !== "number") throw this.fault(`"${name}" must be a number`);
    return value;
  }

  optionalNumber(name: string): number | undefined {
    return this.fields.has(name) ? this.number(name) : undefined;
  }

  truth(name: string): boolean {
    const value = this.fields.get(name);
    if (typeof value !== "boolean") throw this.fault(`"${name}" must be true or false`);
    return value;
  }
}
