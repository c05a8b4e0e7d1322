/**
 * Addresses on loopback for servers of tests. They lie below the range from which the system takes
 * ports for outgoing connections, in a slice for each worker, so that nobody else comes between the
 * choice of a port and its use.
 */
import { createNodeEnv } from "../../src/env/node/node-env.js";

const FIRST_PORT = 12_000;
const PORTS_A_WORKER = 2000;
const WORKERS = 8;

/** Suites that run side by side on one machine begin at different places. */
let next = (process.pid * 61) % PORTS_A_WORKER;

export async function freeAddress(): Promise<string> {
  const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % WORKERS;
  const { network } = createNodeEnv();
  for (let tries = 0; tries < PORTS_A_WORKER; tries++) {
    const port = FIRST_PORT + worker * PORTS_A_WORKER + (next++ % PORTS_A_WORKER);
    try {
      const listener = await network.listen(`127.0.0.1:${port}`, (socket) => socket.destroy());
      await listener.close();
      return `127.0.0.1:${port}`;
    } catch {
      // Taken by somebody: the next one may do.
    }
  }
  throw new Error("no free port");
}
