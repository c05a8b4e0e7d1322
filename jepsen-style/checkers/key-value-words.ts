/** Operations on our store in the words of a report. */
import type { KeyValueAnswer, KeyValueOperation, KeyValueRequest } from "../history.js";

export function describeKeyValue(operation: KeyValueOperation): string {
  const asked = describeRequest(operation.request);
  return operation.kind === "ok" ? `${asked}: ${describeAnswer(operation.answer)}` : asked;
}

function describeRequest(request: KeyValueRequest): string {
  const { type, key } = request;
  switch (type) {
    case "get":
    case "delete":
      return `${type} ${key}`;
    case "put":
      return `put ${key} = ${JSON.stringify(request.value)}`;
    case "compareAndSet": {
      const { target, equal } = request.expected;
      const expected = `${target} ${JSON.stringify(equal)}`;
      return `put ${key} = ${JSON.stringify(request.value)} if ${expected}`;
    }
  }
}

function describeAnswer(answer: KeyValueAnswer): string {
  switch (answer.type) {
    case "get": {
      if (!answer.found) return "absent";
      const numbers = [number("revision", answer.modRevision), number("version", answer.version)];
      return JSON.stringify(answer.value) + numbers.join("");
    }
    case "put":
      return `done${number("revision", answer.revision)}`;
    case "delete":
      return (answer.deleted ? "done" : "was absent") + number("revision", answer.revision);
    case "compareAndSet":
      return (answer.succeeded ? "done" : "refused") + number("revision", answer.revision);
  }
}

function number(name: string, value: number | undefined): string {
  return value === undefined ? "" : `, ${name} ${value}`;
}
