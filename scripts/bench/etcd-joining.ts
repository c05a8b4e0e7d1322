/**
 * A member that comes to a cluster of the comparison while it runs. It is called what ours makes
 * of its address, since etcd's `member add` gives no name.
 */
import { startMember } from "./etcd-cluster.js";
import { startArguments } from "./our-cluster.js";
import { freePorts } from "./processes.js";
import type { Processes } from "./processes.js";

export interface Known {
  readonly name: string;
  readonly peerUrl: string;
}

export interface Joining {
  readonly name: string;
  readonly address: string;
  readonly peerUrl: string;
  /** Once it was added; `others` are those who are there already. */
  start(others: readonly Known[]): void;
}

type Place = Omit<Joining, "start"> & { readonly directory: string };

async function placeIn(directory: string): Promise<Place> {
  const [client, peer] = await freePorts(2);
  const peerAddress = `127.0.0.1:${peer}`;
  return {
    name: `member-${peerAddress.replace(":", "-")}`,
    address: `127.0.0.1:${client}`,
    peerUrl: `http://${peerAddress}`,
    directory: `${directory}/joining`,
  };
}

export async function etcdJoining(
  processes: Processes,
  command: string,
  directory: string,
): Promise<Joining> {
  const place = await placeIn(directory);
  return {
    ...place,
    start: (others) => {
      startMember(processes, command, { ...place, cluster: [...others, place], state: "existing" });
    },
  };
}

export async function ourJoining(processes: Processes, directory: string): Promise<Joining> {
  const place = await placeIn(directory);
  const { name, address, peerUrl } = place;
  return {
    ...place,
    start: (others) => {
      const cluster = [...others, place].map((each) => ({
        name: each.name,
        peer: hostOf(each.peerUrl),
      }));
      const own = { name, directory: place.directory, client: address, peer: hostOf(peerUrl) };
      processes.start({
        name: `flotilla ${name}`,
        command: process.execPath,
        outputPath: `${place.directory}.log`,
        args: [...startArguments({ ...own, cluster }), "--initial-cluster-state", "existing"],
      });
    },
  };
}

function hostOf(url: string): string {
  return new URL(url).host;
}
