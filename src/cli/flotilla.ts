#!/usr/bin/env node
/**
 * The process that is flotilla. What runs a node is loaded by `start` only. The size of libuv's
 * thread pool cannot be set here: loading this very file has started the pool already.
 */
import type { Disk } from "../env/disk.js";
import type { Env } from "../env/env.js";
import type { TraceLevel } from "../env/tracer.js";
import type { NodeConfig } from "../node/config.js";
import type { StartedNode } from "./node-context.js";
import { runFlotilla } from "./run-flotilla.js";
import { connectBySdk } from "./sdk-connection.js";
import { endProcess, systemTerminal } from "./system-terminal.js";

/** One for flushes beside one for compactions. */
const WORKERS_MAX = 2;

async function startNode(config: NodeConfig, logLevel: TraceLevel): Promise<StartedNode> {
  const [environment, network, local, gateway, node] = await Promise.all([
    import("../env/node/node-env.js"),
    import("../env/node/node-network.js"),
    import("../env/local-path.js"),
    import("./etcd-gateway.js"),
    import("../node/node.js"),
  ]);
  const etcd = new gateway.EtcdGateway();
  const { listenClient, advertiseClient } = config;
  const env = {
    ...environment.createNodeEnv({
      tracer: { level: logLevel, fields: { node: config.name } },
      jobs: { worker: new URL("../store/worker.js", import.meta.url), workersMax: WORKERS_MAX },
    }),
    // The gateway's client is in the process of the node that it mostly speaks to.
    network: local.withLocalPath(
      network.networkWithHttp(listenClient, etcd),
      listenClient,
      (bound) => [gateway.reachable(bound), advertiseClient],
    ),
  };
  return etcd.serve(env, await node.startNode(env, config), config);
}

async function openDisk(): Promise<Disk> {
  return (await import("../env/node/node-disk.js")).nodeDisk;
}

async function openEnv(): Promise<Env> {
  const [environment, jobs, store] = await Promise.all([
    import("../env/node/node-env.js"),
    import("../env/jobs.js"),
    import("../store/jobs.js"),
  ]);
  const env = environment.createNodeEnv({ tracer: { level: "error", fields: {} } });
  const run = (job: unknown): unknown =>
    store.runStoreJob(env.disk, job as Parameters<typeof store.runStoreJob>[1]);
  return { ...env, jobs: jobs.inlineJobs(run) };
}

const means = { connect: connectBySdk, startNode, openDisk, openEnv };
endProcess(await runFlotilla(process.argv.slice(2), systemTerminal(), means));
