/** The gateway's watch by the SDK's, which may be used, and cancelled, before there is one. */
import type { Watch } from "../client/watch.js";
import type { BackendWatch, WatchItem } from "../gateway/backend.js";

export class SdkWatch implements BackendWatch {
  readonly #opening: Promise<Watch>;
  #watch: Watch | undefined;
  #isCancelled = false;

  constructor(opening: Promise<Watch>) {
    this.#opening = opening;
    // Who draws from it hears of a failure.
    opening.then(
      (watch) => {
        this.#watch = watch;
        if (this.#isCancelled) watch.cancel();
      },
      () => undefined,
    );
  }

  async next(): Promise<WatchItem | undefined> {
    const watch = this.#watch ?? (await this.#opening);
    const result = await watch.next();
    return result.done === true ? undefined : result.value;
  }

  take(): WatchItem | undefined {
    return this.#watch?.take();
  }

  askProgress(revision: number): void {
    if (this.#watch !== undefined) return this.#watch.askProgress(revision);
    // Who draws from it hears of a failure.
    this.#opening.then((watch) => watch.askProgress(revision)).catch(() => undefined);
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#watch?.cancel();
  }
}
