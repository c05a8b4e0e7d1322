/**
 * etcd's Cluster service over the nodes of the cluster. A member's URLs are `http://` and what its
 * node has: an address for nodes and one for clients. etcd's `member add` gives no name; since a
 * node needs one, it is made of the address. A node that has not started yet is shown without it,
 * which is how etcd's clients tell who has started, but for founders, whose names all know.
 */
import type { NodeDescriptor } from "../protocol/cluster.js";
import { KvError } from "../protocol/errors.js";
import type { Backend, Consistency, Member } from "./backend.js";
import type { Message } from "./message-codec.js";
import { badUrls, etcdError, GRPC, memberNotFound, notImplemented } from "./status.js";

type Reply = Promise<Message>;

export class ClusterService {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** As in etcd: what this node knows, unless more is asked for. */
  async list(request: Message): Reply {
    return this.#answer(request["linearizable"] === true ? "linearizable" : "serializable");
  }

  async add(request: Message): Reply {
    const peerAddress = addressIn(request["peerURLs"]);
    await this.#checkFree(peerAddress, undefined);
    const added = await this.#backend.addMember(peerAddress, request["isLearner"] === true);
    return { ...(await this.#answer()), member: memberOf(added) };
  }

  async remove(request: Message): Reply {
    const { nodeId } = await this.#member(request["ID"]);
    try {
      await this.#backend.removeMember(nodeId);
    } catch (error) {
      throw refusedAs(error, "re-configuration failed due to not enough started members");
    }
    return this.#answer("serializable", nodeId);
  }

  async update(request: Message): Reply {
    const { nodeId } = await this.#member(request["ID"]);
    const peerAddress = addressIn(request["peerURLs"]);
    await this.#checkFree(peerAddress, nodeId);
    await this.#backend.updateMember(nodeId, peerAddress);
    return this.#answer();
  }

  async promote(request: Message): Reply {
    const { nodeId, learner } = await this.#member(request["ID"]);
    if (learner !== true) {
      throw etcdError(GRPC.failedPrecondition, "can only promote a learner member");
    }
    try {
      await this.#backend.promoteMember(nodeId);
    } catch (error) {
      const text = "can only promote a learner member which is in sync with leader";
      throw refusedAs(error, text);
    }
    return this.#answer();
  }

  /**
   * After a change what this node knows will do, since it knows of the change. Who is asked to
   * leave is a member no more, though its replicas may still be on their way.
   */
  async #answer(consistency: Consistency = "serializable", except?: number): Reply {
    const members = await this.#backend.members(consistency);
    return { members: members.filter(({ nodeId }) => nodeId !== except).map(memberOf) };
  }

  async #member(id: Message[string]): Promise<NodeDescriptor> {
    const members = await this.#backend.members("linearizable");
    const found = members.find((node) => BigInt(node.nodeId) === (id ?? 0n));
    if (found === undefined) throw memberNotFound();
    return found;
  }

  async #checkFree(peerAddress: string, owner: number | undefined): Promise<void> {
    const members = await this.#backend.members("linearizable");
    const taken = members.some((one) => one.peerAddress === peerAddress && one.nodeId !== owner);
    if (taken) throw etcdError(GRPC.failedPrecondition, "Peer URLs already exists");
  }
}

function memberOf(node: Member): Message {
  const { nodeId, name, peerAddress, clientAddress, learner } = node;
  const isNamed = node.isNamed === true || (node.incarnation !== "" && clientAddress !== "");
  return {
    ID: BigInt(nodeId),
    name: isNamed ? name : "",
    peerURLs: [`http://${peerAddress}`],
    clientURLs: clientAddress === "" ? [] : [`http://${clientAddress}`],
    isLearner: learner === true,
  };
}

/** The one address in a list of URLs. */
function addressIn(urls: Message[string]): string {
  const list = (urls ?? []) as readonly string[];
  if (list.length > 1) throw notImplemented("a member has one peer URL");
  const match = /^http:\/\/((?:[^\s:/@]+|\[[0-9a-fA-F:]+\]):\d{1,5})\/?$/.exec(list[0] ?? "");
  if (match?.[1] === undefined) throw badUrls();
  return match[1];
}

function refusedAs(error: unknown, text: string): Error {
  const known = KvError.from(error);
  return known.code === "invalidArgument" ? etcdError(GRPC.failedPrecondition, text) : known;
}
