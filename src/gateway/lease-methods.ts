/** The methods of the services that rest on leases: Lease, Lock and Election. */
import { ElectionService } from "./election-service.js";
import { KeepAliveSession } from "./keep-alive-session.js";
import type { HeaderWriter } from "./kv-responses.js";
import type { LeaseBackend } from "./lease-backend.js";
import { LeaseService } from "./lease-service.js";
import type { LineBackend } from "./line-backend.js";
import { LockService } from "./lock-service.js";
import { entry, method, plainly } from "./method.js";
import type { Entry, Method } from "./method.js";

export function leaseMethods(backend: LeaseBackend, header: HeaderWriter): readonly Method[] {
  const service = new LeaseService(backend, header);
  const timeToLive = entry("Lease/LeaseTimeToLive", "/lease/timetolive", "LeaseTimeToLive");
  const leases = entry("Lease/LeaseLeases", "/lease/leases", "LeaseLeases");
  return [
    method("Lease/LeaseGrant", "/lease/grant", "LeaseGrant", (one) => service.grant(one)),
    method("Lease/LeaseRevoke", "/lease/revoke", "LeaseRevoke", (one) => service.revoke(one)),
    {
      ...entry("Lease/LeaseKeepAlive", "/lease/keepalive", "LeaseKeepAlive"),
      session: (sink) => new KeepAliveSession(backend, header, sink),
    },
    plainly(header, timeToLive, (one) => service.timeToLive(one)),
    plainly(header, leases, () => service.list()),
  ];
}

export function lockMethods(backend: LineBackend, header: HeaderWriter): readonly Method[] {
  const service = new LockService(backend);
  const lock = entry("v3lockpb.Lock/Lock", "/lock/lock", "Lock");
  const unlock = entry("v3lockpb.Lock/Unlock", "/lock/unlock", "Unlock");
  return [
    { ...plainly(header, lock, (one, signal) => service.lock(one, signal)), waits: true },
    plainly(header, unlock, (one) => service.unlock(one)),
  ];
}

export function electionMethods(backend: LineBackend, header: HeaderWriter): readonly Method[] {
  const service = new ElectionService(backend, header);
  const at = (path: string, jsonPath: string, name: string): Entry =>
    entry(`v3electionpb.Election/${path}`, `/election/${jsonPath}`, name);
  const campaign = at("Campaign", "campaign", "Campaign");
  return [
    { ...plainly(header, campaign, (one, gone) => service.campaign(one, gone)), waits: true },
    plainly(header, at("Proclaim", "proclaim", "Proclaim"), (one) => service.proclaim(one)),
    { ...at("Leader", "leader", "Leader"), serve: (reader) => service.leader(reader) },
    { ...at("Observe", "observe", "Leader"), answers: (reader) => service.observe(reader) },
    plainly(header, at("Resign", "resign", "Resign"), (one) => service.resign(one)),
  ];
}
