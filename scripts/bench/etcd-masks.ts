/**
 * What differs between any two clusters is masked before answers of etcd and of ours are compared:
 * ids, addresses, names, terms, indexes, versions, hashes, sizes and times.
 */

const MASKS: readonly (readonly [pattern: RegExp, mask: string])[] = [
  // What the client says of its own connections, and of what it is about to do.
  [/^\{"level":"(warn|info)".*\n/gm, ""],
  [/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [IW] \|.*\n/gm, ""],
  // The tables' columns are as wide as what they hold.
  [/^\+[-+]+\+$/gm, "+--+"],
  [/(?<=^\|.*) +/gm, " "],
  [/"(cluster_id|member_id|ID|leader|memberID)":"?\d+"?/g, '"$1":ID'],
  [/"(raft_?[tT]erm|raftIndex|raftAppliedIndex|dbSize\w*)":"?\d+"?/g, '"$1":N'],
  [/"(ClusterID|MemberID|ID|Leader)" : \d+/g, '"$1" : N'],
  [/"(Raft(Term|Index|AppliedIndex)|DBSize\w*)" : \d+/g, '"$1" : N'],
  [/"(version|Version)"( ?: ?)"[\d.]+"/g, '"$1"$2VERSION'],
  [/memberID:\d+/g, "memberID:ID"],
  [/"ttl":\d+/g, '"ttl":N'],
  [/"TTL":"\d+","grantedTTL"/g, '"TTL":"N","grantedTTL"'],
  [/"TTL" : \d+\n"GrantedTTL"/g, '"TTL" : N\n"GrantedTTL"'],
  [/remaining\(\d+s\)/g, "remaining(N)"],
  [/"(id|lease)":"?\d{10,}"?/g, '"$1":ID'],
  [/"Lease" : \d{10,}/g, '"Lease" : ID'],
  [/"(key)":"(bS8|ZS8|b3duL)[\w+/=]{12,}"/g, '"$1":KEY'],
  [/took = [\d.]+[µm]?s/g, "took = TIME"],
  [/"(took|Took)"( ?: ?)"?[\d.]+[µm]?s"?/g, '"$1"$2TIME'],
  [/(ADDRESS \| (?:true|false) \|) [\d.]+[µm]?s/g, "$1 TIME"],
  [/\b[0-9a-f]{12,16}\b/g, "ID"],
  [/\b(Member|cluster) +ID\b/g, "$1 ID"],
  [/127\.0\.0\.1:\d{3,}/g, "PEER"],
  [/\b((bench|n)[123]|member-127\.0\.0\.1-\d+)\b/g, "NAME"],
  // The status of an endpoint, in plain text and as a table: version, size, leading, term, indexes.
  [/(ADDRESS[ ,|]+ID[ ,|]+)[\d.]+([ ,|]+)[\d.]+ [kMG]?B[ ,|]+\w+/g, "$1VERSION$2SIZE LEADS"],
  [/(LEADS[ ,|]+\w+[ ,|]+)\d+[ ,|]+\d+[ ,|]+\d+/g, "$1TERM INDEX INDEX"],
  // The status of a snapshot: etcd counts the records that it keeps for itself among the keys.
  [/"totalKey":\d+,"totalSize":\d+/g, '"totalKey":N,"totalSize":N'],
  [/"Keys" : \d+\n"Size" : \d+/g, '"Keys" : N\n"Size" : N'],
  [/^[0-9a-f]{1,8}, (\d+), \d+, [\d.]+ [kMG]?B$/gm, "HASH, $1, KEYS, SIZE"],
  [/^\| [0-9a-f]{1,8} \| (\d+) \| \d+ \| [\d.]+ [kMG]?B \|$/gm, "| HASH | $1 | KEYS | SIZE |"],
];

const HASH = /("hash":|"Hash" : |ADDRESS, |\| ADDRESS \| )(\d+)(?=[\s,}]|$)/gm;

export function masked(text: string, addresses: readonly string[]): string {
  let plain = text;
  for (const address of addresses) plain = plain.replaceAll(address, "ADDRESS");
  for (const [pattern, mask] of MASKS) plain = plain.replace(pattern, mask);
  return numbered(plain);
}

/** Which hashes are equal is compared; what they are is not. */
function numbered(text: string): string {
  const known: string[] = [];
  return text.replace(HASH, (_, before: string, hash: string) => {
    if (!known.includes(hash)) known.push(hash);
    return `${before}HASH${known.indexOf(hash) + 1}`;
  });
}

/** The pieces of a list or of JSON, in an order of their own. */
export function reordered(text: string): string {
  const pieces = text.split(/[\n,"{}[\]]+/).map((piece) => piece.trim());
  return `${pieces
    .filter((piece) => /\w/.test(piece))
    .toSorted()
    .join("\n")}\n`;
}
