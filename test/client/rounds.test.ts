/** Shared work: many wait for few rounds, and nobody for one that began before he came. */
import { expect, test } from "vitest";
import { Rounds } from "../../src/client/rounds.js";

/** A round that ends when a test says so. */
class Gate {
  open: () => void = () => undefined;
  fail: (error: Error) => void = () => undefined;
  readonly ended: Promise<void> = new Promise((resolve, reject) => {
    this.open = resolve;
    this.fail = reject;
  });
}

async function turns(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

test("who comes during a round shares the next one with all who come then", async () => {
  const rounds = new Rounds();
  const gates = [new Gate(), new Gate()];
  let begun = 0;
  const run = (): Promise<void> => gates[begun++]!.ended;
  const done: string[] = [];
  const first = rounds.join(run).then(() => done.push("first"));
  await turns();
  const others = ["second", "third"].map((name) => rounds.join(run).then(() => done.push(name)));
  await turns();
  expect(begun).toBe(1);
  gates[0]!.open();
  await first;
  await turns();
  expect([begun, done]).toEqual([2, ["first"]]);
  gates[1]!.open();
  await Promise.all(others);
  expect(done).toEqual(["first", "second", "third"]);
});

test("a round that fails rejects for those who waited for it, and for nobody else", async () => {
  const rounds = new Rounds();
  const gate = new Gate();
  const failing = rounds.join(() => gate.ended);
  await turns();
  const next = rounds.join(() => Promise.resolve());
  gate.fail(new Error("not now"));
  await expect(failing).rejects.toThrow("not now");
  await next;
});
