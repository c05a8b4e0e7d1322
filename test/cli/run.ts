/** Runs flotctl in this process, against a fake client. */
import type { ConnectOptions } from "../../src/cli/context.js";
import { runFlotctl } from "../../src/cli/run-flotctl.js";
import { FakeClient } from "./fake-client.js";
import { FakeTerminal, type FakeTerminalOptions } from "./fake-terminal.js";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly client: FakeClient;
  readonly connected: readonly ConnectOptions[];
}

export interface RunOptions extends FakeTerminalOptions {
  readonly client?: FakeClient | undefined;
  /** What a second connection leads to. */
  readonly other?: FakeClient | undefined;
  /** Called with the terminal once the command runs. */
  readonly meanwhile?: ((terminal: FakeTerminal) => void) | undefined;
}

export async function flotctl(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const client = options.client ?? new FakeClient();
  const terminal = new FakeTerminal(options);
  const connected: ConnectOptions[] = [];
  const running = runFlotctl(args, terminal, (wanted) => {
    connected.push(wanted);
    return Promise.resolve(connected.length === 1 ? client : (options.other ?? client));
  });
  options.meanwhile?.(terminal);
  const code = await running;
  return { code, out: terminal.out.text, err: terminal.err.text, client, connected };
}
