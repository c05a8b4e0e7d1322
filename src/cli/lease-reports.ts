/**
 * What is said about leases, in the words and fields of etcdctl. Ids are hexadecimal in sentences,
 * and signed numbers in the formats for programs.
 */
import { utf8Text } from "../base/bytes.js";
import type {
  Headed,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseListResponse,
  LeaseTimeToLiveResponse,
} from "../client/client-types.js";

export type LeaseReport =
  | { readonly kind: "granted"; readonly response: LeaseGrantResponse }
  | { readonly kind: "revoked"; readonly id: bigint; readonly response: Headed }
  | {
      readonly kind: "timeToLive";
      readonly id: bigint;
      readonly keysAsked: boolean;
      readonly response: LeaseTimeToLiveResponse;
    }
  | { readonly kind: "keptAlive"; readonly id: bigint; readonly response: LeaseKeepAliveResponse }
  | { readonly kind: "list"; readonly response: LeaseListResponse };

/** As etcdctl prints a lease's id. */
export function leaseText(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, "0");
}

export function leaseLines(report: LeaseReport): readonly string[] {
  switch (report.kind) {
    case "granted": {
      const { id, ttlSeconds } = report.response;
      return [`lease ${leaseText(id)} granted with TTL(${ttlSeconds}s)`];
    }
    case "revoked":
      return [`lease ${leaseText(report.id)} revoked`];
    case "timeToLive":
      return [timeToLiveLine(report)];
    case "keptAlive":
      return [`lease ${leaseText(report.id)} keepalived with TTL(${report.response.ttlSeconds})`];
    case "list": {
      const { ids } = report.response;
      return [`found ${ids.length} leases`, ...ids.map(leaseText)];
    }
  }
}

function timeToLiveLine(report: LeaseReport & { readonly kind: "timeToLive" }): string {
  const { ttlSeconds, grantedTtlSeconds, keys } = report.response;
  const lease = `lease ${leaseText(report.id)}`;
  if (ttlSeconds < 0) return `${lease} already expired`;
  const times = `granted with TTL(${grantedTtlSeconds}s), remaining(${ttlSeconds}s)`;
  if (!report.keysAsked) return `${lease} ${times}`;
  return `${lease} ${times}, attached keys([${keys.map(utf8Text).join(" ")}])`;
}

type Field = readonly [name: string, value: bigint | number | Uint8Array];

/** What follows the header. */
export function leaseFields(report: LeaseReport): readonly Field[] {
  switch (report.kind) {
    case "granted":
      return [
        ["ID", signed(report.response.id)],
        ["TTL", report.response.ttlSeconds],
      ];
    case "revoked":
      return [];
    case "timeToLive": {
      const { ttlSeconds, grantedTtlSeconds, keys } = report.response;
      const times: Field[] = [
        ["TTL", ttlSeconds],
        ["GrantedTTL", grantedTtlSeconds],
      ];
      return [["ID", signed(report.id)], ...times, ...keys.map((key): Field => ["Key", key])];
    }
    case "keptAlive":
      return [
        ["ID", signed(report.id)],
        ["TTL", report.response.ttlSeconds],
      ];
    case "list":
      return report.response.ids.map((id): Field => ["ID", signed(id)]);
  }
}

/** What stands beside the header, which is nested only where a lease was revoked. */
export function leaseJson(report: LeaseReport): Readonly<Record<string, unknown>> {
  switch (report.kind) {
    case "granted":
      return { ID: signed(report.response.id), TTL: report.response.ttlSeconds, Error: "" };
    case "revoked":
      return {};
    case "timeToLive": {
      const { ttlSeconds, grantedTtlSeconds, keys } = report.response;
      const times = { ttl: ttlSeconds, "granted-ttl": grantedTtlSeconds };
      return { id: signed(report.id), ...times, keys: keys.length === 0 ? null : keys };
    }
    case "keptAlive":
      return { ID: signed(report.id), TTL: report.response.ttlSeconds };
    case "list":
      return { leases: report.response.ids.map((id) => ({ id: signed(id) })) };
  }
}

interface LeaseTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** etcdctl has no such table. */
export function leaseTable(report: LeaseReport): LeaseTable {
  switch (report.kind) {
    case "granted": {
      const { id, ttlSeconds } = report.response;
      return { columns: ["id", "ttl"], rows: [[leaseText(id), ttlSeconds]] };
    }
    case "revoked":
      return { columns: ["revoked"], rows: [[leaseText(report.id)]] };
    case "timeToLive": {
      const { ttlSeconds, grantedTtlSeconds, keys } = report.response;
      const columns = ["id", "granted ttl", "ttl", "keys"];
      const names = keys.map(utf8Text).join(" ");
      return { columns, rows: [[leaseText(report.id), grantedTtlSeconds, ttlSeconds, names]] };
    }
    case "keptAlive":
      return { columns: ["id", "ttl"], rows: [[leaseText(report.id), report.response.ttlSeconds]] };
    case "list":
      return { columns: ["id"], rows: report.response.ids.map((id) => [leaseText(id)]) };
  }
}

function signed(id: bigint): bigint {
  return BigInt.asIntN(64, id);
}
