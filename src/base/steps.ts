/**
 * Long work in short steps: a generator that stops wherever it may be interrupted. Whoever has the
 * time runs it to its end at once; others let turns of the event loop pass between (env/in-turns).
 */
export type Steps<T> = Generator<undefined, T, undefined>;

export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
