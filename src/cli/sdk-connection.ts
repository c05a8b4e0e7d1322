/** Connects by the SDK, which is loaded only when a command needs it. */
import { notApplied } from "../protocol/errors.js";
import type { ClientPort } from "./client-port.js";
import type { ConnectOptions } from "./context.js";
import { formatDuration } from "./quantities.js";

export async function connectBySdk(options: ConnectOptions): Promise<ClientPort> {
  const { connect } = await import("../client/index.js");
  const { endpoints, keyspace, level, requestTimeoutMs, dialTimeoutMs } = options;
  const connecting = connect({ endpoints, keyspace, level, requestTimeoutMs });
  return withinDialTimeout(connecting, dialTimeoutMs);
}

async function withinDialTimeout(
  connecting: Promise<ClientPort>,
  dialTimeoutMs: number,
): Promise<ClientPort> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const text = `no answer within ${formatDuration(dialTimeoutMs)}`;
    timer = setTimeout(() => reject(notApplied("timeout", text)), dialTimeoutMs);
  });
  try {
    return await Promise.race([connecting, late]);
  } catch (error) {
    connecting.then(
      (client) => client.close(),
      () => undefined,
    );
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
