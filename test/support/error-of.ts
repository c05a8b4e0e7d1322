/** The KvError that a promise must end with. */
import { expect } from "vitest";
import { KvError } from "../../src/protocol/errors.js";

export async function errorOf(promise: Promise<unknown>): Promise<KvError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KvError);
  return error as KvError;
}
