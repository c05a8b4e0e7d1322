/**
 * etcd's own gRPC proxy, where etcd is installed: it joins watches and leases of its clients and
 * caches ranges, so that it is one more client, with ways of its own.
 */
import { findCommand, freePorts, waitFor } from "../processes.js";
import type { Processes } from "../processes.js";

const ANSWER_MS = 2000;

/** Its address; undefined where there is none. */
export async function startProxy(
  processes: Processes,
  directory: string,
  members: readonly string[],
): Promise<string | undefined> {
  const command = findCommand("etcd");
  if (command === undefined) return undefined;
  const [port] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  processes.start({
    name: "etcd grpc-proxy",
    command,
    outputPath: `${directory}/proxy.log`,
    args: [
      ["grpc-proxy", "start"],
      ["--endpoints", members.join(",")],
      ["--listen-addr", address],
    ].flat(),
  });
  const ask = async (): Promise<true | undefined> => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const { ok } = await fetch(`http://${address}/health`, { signal });
    return ok ? true : undefined;
  };
  await waitFor("starting the proxy", processes, ask);
  return address;
}
