/** What member commands share: the address they take, and etcdctl's sentence at the end. */
import type { ClusterMap } from "../protocol/cluster.js";
import { type Arguments, textsOf } from "./arguments.js";
import { badArguments } from "./failure.js";
import { clusterNumber } from "./printer.js";
import { idText } from "./sheets.js";

export const PEER_FLAGS = {
  "peer-urls": { type: "string", describe: "where other nodes find it, host:port" },
  "peer-address": { type: "string", describe: "the same" },
} as const;

/** host:port, also out of a URL as etcdctl takes it; undefined where none was given. */
export function peerAddressOf(argv: Arguments): string | undefined {
  const given = [...textsOf(argv, "peer-urls"), ...textsOf(argv, "peer-address")];
  const all = given.flatMap((text) => text.split(",")).filter((text) => text !== "");
  if (all.length > 1) throw badArguments("a node has one peer address");
  return all[0]?.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

/** "Member 1a2b added to cluster 3c4d", with the columns of etcdctl. */
export function sentence(nodeId: number, done: string, map: ClusterMap): string {
  const cluster = idText(clusterNumber(map.clusterId));
  return `Member ${idText(nodeId).padStart(16)} ${done} cluster ${cluster.padStart(16)}`;
}
