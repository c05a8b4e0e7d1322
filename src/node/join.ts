/**
 * The first start of a node that was added to a cluster: asks the nodes it was told of who it is,
 * and keeps what they say. Its id is bound to its store, so a start that is cut off and repeated
 * gets the same answer. Refused is whoever was not added, or comes with another disk.
 */
import type { Env } from "../env/env.js";
import { decodePlain, encodePlain } from "../protocol/admin-codec.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from "../protocol/hello-codec.js";
import type { Hello } from "../protocol/hello-codec.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { DeadlineWheel } from "../rpc/deadline-wheel.js";
import { dialFrames } from "../rpc/handshake.js";
import { RequestClient } from "../rpc/request-client.js";
import { ClusterView } from "./cluster-view.js";
import type { NodeConfig } from "./config.js";
import { saveIdentity } from "./identity.js";
import type { Identity } from "./identity.js";
import type { JoinAnswer, JoinRequest } from "./placement-messages.js";

const ASK_TIMEOUT_MS = 3000;
const PAUSE_MS = 200;
/** Without an answer for this long the start has failed. */
const GIVE_UP_MS = 20_000;

/** Rejects with KvError where no node answers, one of them refuses, or nobody waits any more. */
export async function joinCluster(
  env: Env,
  config: NodeConfig,
  incarnation: string,
  isOver: () => boolean,
): Promise<Identity> {
  const request: JoinRequest = { name: config.name, incarnation };
  const { nodeId, clusterMap } = await askAround(env, config, request, isOver);
  if (isOver()) throw notApplied("closed", "the start has failed meanwhile");
  const { clusterId } = clusterMap;
  const view = new ClusterView(env.disk, config.dataDirectory, clusterId);
  view.update(clusterMap);
  const fault = view.save();
  if (fault !== undefined) throw fault;
  const identity: Identity = { clusterId, nodeId, name: config.name, joined: true };
  saveIdentity(env.disk, config.dataDirectory, identity);
  return identity;
}

/** Asks one node after the other until one answers, one refuses, or the time is up. */
async function askAround(
  env: Env,
  config: NodeConfig,
  request: JoinRequest,
  isOver: () => boolean,
): Promise<JoinAnswer> {
  const { clock, timers } = env;
  const others = config.initialCluster.filter((node) => node.name !== config.name);
  const untilMs = clock.monotonicMs() + GIVE_UP_MS;
  let last = notApplied("unavailable", "there is nobody to ask");
  for (let at = 0; clock.monotonicMs() < untilMs && !isOver(); at++) {
    const address = others[at % others.length]?.peerAddress ?? "";
    const answer = await ask(env, address, request).catch((error: unknown) => KvError.from(error));
    if (!(answer instanceof KvError)) return answer;
    if (answer.code === "nodeRefused") throw answer;
    last = answer;
    await new Promise<void>((resolve) => timers.after(PAUSE_MS, resolve));
  }
  throw notApplied("unavailable", `no node of the cluster lets this one in: ${last.message}`);
}

async function ask(env: Env, address: string, request: JoinRequest): Promise<JoinAnswer> {
  const wheel = new DeadlineWheel(env.clock, env.timers);
  let client: RequestClient | undefined;
  const connection = await dialFrames(env, address, {
    hello: HELLO,
    timeoutMs: ASK_TIMEOUT_MS,
    established: (opened) => {
      client = new RequestClient(opened, wheel, () => undefined);
      return client;
    },
  });
  try {
    if (client === undefined) throw notApplied("unavailable", `no answer from ${address}`);
    return await client.request(
      MESSAGE_TYPES.join,
      (out) => encodePlain(out, request),
      decodePlain<JoinAnswer>,
      ASK_TIMEOUT_MS,
    );
  } finally {
    connection.close();
  }
}

/** Of a node that does not know yet who it is. */
const HELLO: Hello = {
  versionMin: PROTOCOL_VERSION_MIN,
  versionMax: PROTOCOL_VERSION_MAX,
  kind: "control",
  clusterId: "",
  nodeId: 0,
  incarnation: "",
  run: 0,
  features: 0,
};
