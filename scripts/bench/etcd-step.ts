/** How a step of the comparison with etcd is written down. */
export interface Step {
  /** Of etcdctl; or POST or GET, a path, and JSON. */
  readonly words: readonly string[];
  readonly input?: string;
  /** It is ended after a while. */
  readonly endless?: boolean;
  /** Only the first node is asked. */
  readonly oneEndpoint?: boolean;
  /** Why it may differ. */
  readonly differs?: string;
}

/** In a body: the id of the first member. */
export const MEMBER = "MEMBER";

const json: readonly string[] = ["-w", "json"];

export function steps(...lines: readonly string[]): readonly Step[] {
  return lines.map((line) => ({ words: [...line.split(" "), ...json] }));
}

export function txn(input: string, differs?: string): Step {
  return { words: ["txn", ...json], input, ...(differs === undefined ? {} : { differs }) };
}

export function post(path: string, body: object | string, differs?: string): Step {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { words: ["POST", `/v3${path}`, text], ...(differs === undefined ? {} : { differs }) };
}
