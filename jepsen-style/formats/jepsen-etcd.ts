/**
 * Logs of the early Jepsen test of etcd: lines `INFO  jepsen.util - PROCESS :TYPE :F VALUE`; others
 * are skipped. A read of nil found nothing. A compare-and-set that failed saw another value, a read
 * that failed says nothing, what timed out may happen at any time after its call, or never.
 */
import type { RegisterAnswer, RegisterOperation, RegisterRequest } from "../checkers/register.js";
import { FormatError } from "./format-error.js";
import { Pairing } from "./pairing.js";
import type { Ending } from "./pairing.js";

const TYPES: Readonly<Record<string, RegisterRequest["type"]>> = {
  read: "read",
  write: "write",
  cas: "compareAndSet",
};
const LINE = /^INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(\w+)\s+:(\w+)\s+(.*\S)\s*$/;

export function readJepsenEtcd(text: string): readonly RegisterOperation[] {
  const pairing = new Pairing<RegisterRequest, RegisterAnswer>();
  text.split("\n").forEach((content, index) => {
    const match = LINE.exec(content);
    if (match === null) return;
    const [, number = "", type = "", f = "", value = ""] = match;
    const line = index + 1;
    const process = Number(number);
    if (type === "invoke") pairing.call(line, process, requestOf(line, f, value));
    else {
      pairing.complete(line, process, (request) => {
        if (TYPES[f] === request.type) return endingOf(line, type, f, value);
        throw new FormatError(line, `a :${f} completes what was called as ${request.type}`);
      });
    }
  });
  return pairing.operations();
}

function requestOf(line: number, f: string, value: string): RegisterRequest {
  if (f === "read") return { type: "read" };
  if (f === "write" && /^-?\d+$/.test(value)) return { type: "write", value };
  const [, expected, wanted] = /^\[(-?\d+)\s+(-?\d+)\]$/.exec(value) ?? [];
  if (f === "cas" && expected !== undefined && wanted !== undefined) {
    return { type: "compareAndSet", expected, value: wanted };
  }
  throw new FormatError(line, `not an operation on a register: :${f} ${value}`);
}

function endingOf(line: number, type: string, f: string, value: string): Ending<RegisterAnswer> {
  if (type === "info") return { kind: "info" };
  if (type === "fail") {
    const refused = f === "cas" && value.startsWith("[");
    if (refused) return { kind: "ok", answer: { type: "compareAndSet", succeeded: false } };
    return { kind: f === "read" ? "fail" : "info" };
  }
  if (type !== "ok") throw new FormatError(line, `unknown kind of line :${type}`);
  if (f === "write") return { kind: "ok", answer: { type: "write" } };
  if (f === "cas") return { kind: "ok", answer: { type: "compareAndSet", succeeded: true } };
  if (f === "read" && /^(nil|-?\d+)$/.test(value)) {
    return { kind: "ok", answer: { type: "read", value: value === "nil" ? undefined : value } };
  }
  throw new FormatError(line, `not an answer of a register: :${f} ${value}`);
}
