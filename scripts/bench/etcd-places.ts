/** What the words of a step name that is another in each cluster, and whom it asks. */
import { leaderAddress } from "./etcd-cluster.js";
import type { Joining } from "./etcd-joining.js";
import { PLACES } from "./etcd-step.js";
import type { Step } from "./etcd-step.js";

export interface Side {
  readonly addresses: readonly string[];
  /** For files of this cluster's own. */
  readonly directory: string;
  readonly joining: Joining;
}

const START_PATIENCE_MS = 30_000;
const LEADER_PATIENCE_MS = 10_000;
const RETRY_MS = 50;

/** The words of a step, and the nodes that are asked. */
export async function placed(
  side: Side,
  step: Step,
): Promise<{ readonly words: readonly string[]; readonly endpoints: readonly string[] }> {
  const isJson = step.words[0] === "POST" || step.words[0] === "GET";
  const known = new Map<string, string>();
  for (const place of Object.values(PLACES)) {
    if (step.words.some((word) => word.includes(place))) {
      known.set(place, await valueOf(side, place, isJson ? 10 : 16));
    }
  }
  const words = step.words.map((word) => {
    let text = word;
    for (const [place, value] of known) text = text.replaceAll(place, value);
    return text;
  });
  return { words, endpoints: await endpointsOf(side, step) };
}

/** Starts the member that was added; resolves when every other one knows that it has started. */
export async function startJoining({ addresses, joining }: Side): Promise<void> {
  const { name, peerUrl } = joining;
  const members = await membersOf(addresses[0]!);
  const others = members.filter(({ peerURLs }) => peerURLs[0] !== peerUrl);
  joining.start(others.map((each) => ({ name: each.name ?? "", peerUrl: each.peerURLs[0] ?? "" })));
  const deadline = performance.now() + START_PATIENCE_MS;
  while (performance.now() < deadline) {
    const lists = await Promise.all(addresses.map(membersOf));
    const isListed = lists.every((list) => list.some((each) => each.name === name));
    if (isListed && (await knowsLeader(joining.address))) return;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new Error(`${name} has not started`);
}

async function endpointsOf(side: Side, { node }: Step): Promise<readonly string[]> {
  const { addresses, joining } = side;
  if (node === "joining") return [joining.address];
  if (node === undefined) return addresses;
  if (node === "first") return addresses.slice(0, 1);
  const leader = await knownLeader(addresses);
  return node === "leader" ? [leader] : [follower(addresses, leader)];
}

function follower(addresses: readonly string[], leader: string): string {
  return addresses.find((address) => address !== leader) ?? leader;
}

async function valueOf(side: Side, place: string, radix: number): Promise<string> {
  const { addresses, directory, joining } = side;
  if (place === PLACES.file) return `${directory}/snapshot`;
  if (place === PLACES.address) return addresses[0]!;
  if (place === PLACES.peerUrl) return firstPeerUrl(addresses[0]!);
  if (place === PLACES.joiningUrl) return joining.peerUrl;
  if (place === PLACES.joining) {
    return (await memberBy(addresses[0]!, joining.peerUrl)).toString(radix);
  }
  if (place === PLACES.added) return (await addedMember(addresses)).toString(radix);
  const leader = await knownLeader(addresses);
  const address = place === PLACES.leader ? leader : follower(addresses, leader);
  return (await memberAt(address)).toString(radix);
}

async function knowsLeader(address: string): Promise<boolean> {
  const status = request(address, "/v3/maintenance/status", "{}");
  return (await status.catch(() => "")).includes('"leader":');
}

/** Just after a change of leader not every node knows it. */
async function knownLeader(addresses: readonly string[]): Promise<string> {
  const deadline = performance.now() + LEADER_PATIENCE_MS;
  while (performance.now() < deadline) {
    const leader = await leaderAddress(addresses);
    if (leader !== undefined) return leader;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new Error("there is no leader");
}

async function memberAt(address: string): Promise<bigint> {
  const text = await request(address, "/v3/maintenance/status", "{}");
  return BigInt(/"member_id":"(\d+)"/.exec(text)?.[1] ?? 0);
}

interface Member {
  readonly ID: string;
  readonly name?: string;
  readonly peerURLs: readonly string[];
}

async function membersOf(address: string): Promise<readonly Member[]> {
  const text = await request(address, "/v3/cluster/member/list", "{}");
  const { members } = JSON.parse(text.slice(text.indexOf("{"))) as {
    readonly members: readonly Member[];
  };
  return members;
}

async function addedMember(addresses: readonly string[]): Promise<bigint> {
  const members = await membersOf(addresses[0]!);
  return BigInt(members.find(({ name = "" }) => name === "")?.ID ?? 0);
}

async function memberBy(address: string, peerUrl: string): Promise<bigint> {
  const members = await membersOf(address);
  return BigInt(members.find(({ peerURLs }) => peerURLs[0] === peerUrl)?.ID ?? 0);
}

async function firstPeerUrl(address: string): Promise<string> {
  const id = (await memberAt(address)).toString();
  const members = await membersOf(address);
  return members.find(({ ID }) => ID === id)?.peerURLs[0] ?? "";
}

/** The status and the body of the answer. */
export async function request(
  address: string,
  path: string,
  body: string | undefined,
): Promise<string> {
  const method = body === undefined ? "GET" : "POST";
  const response = await fetch(`http://${address}${path}`, { method, body: body ?? null });
  return `${response.status} ${await response.text()}`;
}
