/**
 * Leases by etcd's API, as the workloads want them. A keep-alive is a stream in that API; here each
 * one is a stream of its own with one request, so that it is known which answer is whose.
 */
import type { Headed, Leases } from "../../src/client/client-types.js";
import { bytesOf, headerOf, listOf } from "./etcd-messages.js";
import type { EtcdCall, Json } from "./etcd-messages.js";

type Ask = (call: EtcdCall, body: Json) => Promise<Json>;

export function etcdLeases(ask: Ask): Leases {
  return {
    grant: async (ttlSeconds, id = 0n) => {
      const answer = await ask("LeaseGrant", { TTL: `${ttlSeconds}`, ID: `${id}` });
      return { ...headed(answer), id: idIn(answer), ttlSeconds: secondsIn(answer, "TTL") };
    },
    revoke: async (id) => headed(await ask("LeaseRevoke", { ID: `${id}` })),
    keepAlive: async (id) => {
      const answer = await ask("LeaseKeepAlive", { ID: `${id}` });
      return { ...headed(answer), ttlSeconds: secondsIn(answer, "TTL") };
    },
    timeToLive: async (id, options) => {
      const body = { ID: `${id}`, keys: options?.keys === true };
      const answer = await ask("LeaseTimeToLive", body);
      const keys = answer["keys"];
      return {
        ...headed(answer),
        ttlSeconds: secondsIn(answer, "TTL"),
        grantedTtlSeconds: secondsIn(answer, "grantedTTL"),
        keys: Array.isArray(keys) ? keys.map(bytesOf) : [],
      };
    },
    list: async () => {
      const answer = await ask("LeaseLeases", {});
      return { ...headed(answer), ids: listOf(answer["leases"]).map(idIn) };
    },
  };
}

function headed(answer: Json): Headed {
  return { header: headerOf(answer) };
}

/** JSON leaves out what is 0. */
function secondsIn(answer: Json, name: string): number {
  return Number(answer[name] ?? 0);
}

function idIn(answer: Json): bigint {
  const id = answer["ID"];
  return typeof id === "string" ? BigInt(id) : 0n;
}
