/** A lock without an owner: acquired when free, released when held; free at first. */
import type { Operation } from "../history.js";
import { REFUSED } from "./model.js";
import type { Built, Model } from "./model.js";

export interface MutexRequest {
  readonly type: "acquire" | "release";
}
export type MutexAnswer = MutexRequest;
export type MutexOperation = Operation<MutexRequest, MutexAnswer>;

const FREE = 0;
const HELD = 1;

export const mutexModel: Model<MutexRequest, MutexAnswer> = {
  partOf: () => "mutex",
  build,
  describe: ({ request }) => request.type,
};

function build(operations: readonly MutexOperation[]): Built {
  const acquires = (index: number): boolean => operations[index]!.request.type === "acquire";
  const machine = {
    initial: FREE,
    darkState: REFUSED,
    step: (state: number, index: number): number => {
      if (acquires(index)) return state === FREE ? HELD : REFUSED;
      return state === HELD ? FREE : REFUSED;
    },
    isObserver: () => false,
    isDark: () => false,
    resets: () => false,
    classOf: (index: number): number => (acquires(index) ? HELD : FREE),
    deadlineOf: (index: number): number => {
      const operation = operations[index]!;
      return operation.kind === "ok" ? operation.completedAt : Infinity;
    },
  };
  return { kind: "machine", machine };
}
