/**
 * In which order addresses are asked. Who lately gave no answer comes last, for a while; and where
 * a map is wanted, whose last one was no news comes behind the others. So everybody is asked in
 * turn, and neither one that is silent nor one that cannot know keeps the client from those who do.
 */
import type { Clock } from "../env/clock.js";
import { Suspects } from "./suspects.js";

export class AddressOrder {
  readonly #silent: Suspects<string>;
  /** Whose last map was no news, the one asked longest ago first. */
  readonly #passed: Set<string> = new Set();

  constructor(clock: Clock) {
    this.#silent = new Suspects(clock);
  }

  /** Whether this one did what it was asked. */
  helped(address: string, did: boolean): void {
    if (did) this.#silent.answered(address);
    else this.#silent.add(address);
  }

  gaveMap(address: string, isNews: boolean): void {
    this.helped(address, true);
    this.#passed.delete(address);
    if (!isNews) this.#passed.add(address);
  }

  /** For a request that any of them may answer: as given, but the silent ones last. */
  forRequest(addresses: readonly string[]): readonly string[] {
    const isSilent = (address: string): boolean => this.#silent.has(address);
    return [...addresses.filter((each) => !isSilent(each)), ...addresses.filter(isSilent)];
  }

  forMap(addresses: readonly string[]): readonly string[] {
    const passed = [...this.#passed].filter((address) => addresses.includes(address));
    const others = addresses.filter((address) => !this.#passed.has(address));
    return this.forRequest([...others, ...passed]);
  }
}
