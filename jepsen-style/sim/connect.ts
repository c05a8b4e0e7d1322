/**
 * How a simulated program comes by its client: as a user would, with the SDK, and again and again
 * until the cluster has been founded and somebody answers.
 */
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import { KvError } from "../../src/protocol/errors.js";
import type { SimNetwork } from "./network.js";
import type { SimProgram } from "./program.js";

export interface ConnectOptions {
  readonly endpoints: readonly string[];
  readonly requestTimeoutMs: number;
}

/** After a refusal it waits for `pause`; any other error is a bug, and thrown. */
export async function connectProgram(
  program: SimProgram,
  network: SimNetwork,
  options: ConnectOptions,
  pause: () => Promise<void>,
): Promise<Client> {
  const { clock, timers, random } = program;
  const env = { clock, timers, random, network: network.portOf(program) };
  for (;;) {
    try {
      return await connectBy(env, options);
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      await pause();
    }
  }
}
