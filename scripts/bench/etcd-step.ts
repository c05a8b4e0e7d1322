/** How a step of the comparison with etcd is written down. */
export interface Step {
  /**
   * Of etcdctl; or POST or GET, a path, and JSON; or START, for the member that joins. What PLACES
   * names is put in.
   */
  readonly words: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** It is ended after a while, and its input is not ended before. */
  readonly endless?: boolean;
  /** Only this node is asked; all of them, if nothing is said. */
  readonly node?: "first" | "leader" | "follower" | "joining";
  /** It is asked again, for a while, where it fails. */
  readonly patient?: boolean;
  /** Its members come in the order of their ids, which are chance. */
  readonly unordered?: boolean;
  /** Why it may differ. */
  readonly differs?: string;
}

/** What words may name that is another on each side. Ids are decimal in JSON, else hexadecimal. */
export const PLACES = {
  leader: "{leader}",
  follower: "{follower}",
  /** The member that was added and has not started. */
  added: "{added}",
  /** The member that is added and then started, and the URL of its peers. */
  joining: "{joining}",
  joiningUrl: "{joining-url}",
  /** The URL at which the first node's peers find it. */
  peerUrl: "{peer-url}",
  /** The address of the first node. */
  address: "{address}",
  /** The path of a file that is not there at first. */
  file: "{file}",
} as const;

const json: readonly string[] = ["-w", "json"];

export function steps(...lines: readonly string[]): readonly Step[] {
  return lines.map((line) => ({ words: [...line.split(" "), ...json] }));
}

/** The same without `-w json`, all with the same reason to differ, if there is one. */
export function plain(lines: readonly string[], more: Partial<Step> = {}): readonly Step[] {
  return lines.map((line) => ({ ...more, words: line.split(" ") }));
}

/** One command in each format that etcdctl writes and that is text. */
export function formats(line: string, more: Partial<Step> = {}): readonly Step[] {
  return plain(
    ["simple", "table", "json", "fields"].map((format) => `${line} -w ${format}`),
    more,
  );
}

export function txn(input: string, differs?: string): Step {
  return { words: ["txn", ...json], input, ...(differs === undefined ? {} : { differs }) };
}

export function post(path: string, body: object | string, differs?: string): Step {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { words: ["POST", `/v3${path}`, text], ...(differs === undefined ? {} : { differs }) };
}
