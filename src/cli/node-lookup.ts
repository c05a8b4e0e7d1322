/** A node as a user names it: by its name, or by its id as member list prints it. */
import type { ClusterMap, NodeDescriptor } from "../protocol/cluster.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";

export function nodeNamed(map: ClusterMap, text: string): NodeDescriptor {
  const id = /^[0-9a-f]+$/i.test(text) ? Number.parseInt(text, 16) : 0;
  const found =
    map.nodes.find((node) => node.name === text) ?? map.nodes.find((node) => node.nodeId === id);
  if (found !== undefined) return found;
  throw new CliError(EXIT.failed, `member not found: ${text}`, { next: "flotctl member list" });
}
