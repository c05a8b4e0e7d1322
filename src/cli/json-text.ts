/**
 * JSON as etcdctl writes it: bytes in base64, 64-bit integers as numbers of any size. Properties
 * that are undefined are left out.
 */
export function jsonText(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return `"${base64(value)}"`;
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const properties = Object.entries(value)
    .filter(([, property]) => property !== undefined)
    .map(([name, property]) => `${JSON.stringify(name)}:${jsonText(property)}`);
  return `{${properties.join(",")}}`;
}

const BASE64_CHUNK_BYTES = 0x3000;

/** In chunks of a multiple of three bytes, so that the texts join without padding between. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += BASE64_CHUNK_BYTES) {
    text += btoa(String.fromCharCode(...bytes.subarray(at, at + BASE64_CHUNK_BYTES)));
  }
  return text;
}
