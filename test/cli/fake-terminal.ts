/** A terminal that keeps what was written, and is fed by hand. */
import { concatBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import type { Output, Terminal } from "../../src/cli/terminal.js";

class FakeOutput implements Output {
  readonly isTTY: boolean;
  readonly columns = 80;
  readonly #chunks: Uint8Array[] = [];

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(data: string | Uint8Array): void {
    this.#chunks.push(typeof data === "string" ? utf8(data) : data.slice());
  }

  get bytes(): Uint8Array {
    return concatBytes(...this.#chunks);
  }

  get text(): string {
    return utf8Text(this.bytes);
  }
}

export interface FakeTerminalOptions {
  readonly input?: string | AsyncIterable<string> | undefined;
  readonly env?: Record<string, string> | undefined;
  readonly isTTY?: boolean | undefined;
}

export class FakeTerminal implements Terminal {
  readonly out: FakeOutput;
  readonly err: FakeOutput;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly inputIsTTY = false;
  readonly #input: string | AsyncIterable<string>;
  readonly #stops = new Set<() => void>();

  constructor({ input, env, isTTY }: FakeTerminalOptions = {}) {
    this.#input = input ?? "";
    this.env = env ?? {};
    this.out = new FakeOutput(isTTY ?? false);
    this.err = new FakeOutput(isTTY ?? false);
  }

  async readInput(): Promise<Uint8Array> {
    if (typeof this.#input === "string") return utf8(this.#input);
    let text = "";
    for await (const line of this.#input) text += line;
    return utf8(text);
  }

  async *inputLines(): AsyncGenerator<string> {
    if (typeof this.#input === "string") yield* this.#input.split("\n");
    else yield* this.#input;
  }

  onInterrupt(stop: () => void): () => void {
    this.#stops.add(stop);
    return () => this.#stops.delete(stop);
  }

  onKey(): () => void {
    return () => undefined;
  }

  interrupt(): void {
    for (const stop of this.#stops) stop();
  }
}
