/**
 * One list of requests, sent to both sides and compared answer by answer. Reads between two writes
 * are sent together, for they see the same.
 */
import { must } from "../../../src/base/assert.js";
import { frameOf } from "../grpc-client.js";
import { messageFromJson, messageToJson } from "../../../src/gateway/json-codec.js";
import { decodeMessage } from "../../../src/gateway/message-codec.js";
import type { Message } from "../../../src/gateway/message-codec.js";
import { ETCD } from "../../../src/gateway/messages.js";
import { canonical, shown } from "./answers.js";
import type { Answer } from "./answers.js";
import { begin, SERVICES } from "./beginning.js";
import { expectationFor, laterAnswer } from "./expectations.js";
import { bound } from "./requests.js";
import type { Damage, MethodName, Request } from "./requests.js";
import type { Pair, Side } from "./sides.js";

const FRAME_HEAD_BYTES = 5;
const UNAVAILABLE = 14;
const TOO_SLOW = "a side was too slow to say what became of a request";

/** A request as it is sent. */
interface Bound {
  readonly request: Request;
  readonly frame: Uint8Array;
  /** As far as the frame can be read. */
  readonly message: Message | undefined;
}

export interface Difference {
  readonly request: Request;
  readonly theirs: string;
  readonly ours: string;
}

export interface RunResult {
  readonly compared: number;
  /** How often each expected difference was met. */
  readonly expected: ReadonlyMap<string, number>;
  readonly difference: Difference | undefined;
}

export async function runOnBoth(pair: Pair, requests: readonly Request[]): Promise<RunResult> {
  try {
    const base = await begin(pair);
    const sent = requests.map((request) => boundOf(request, base));
    const [theirs, ours] = await Promise.all([
      answersOf(pair.theirs, sent, laterAnswer),
      answersOf(pair.ours, sent),
    ]);
    return compareAll(sent, theirs, ours);
  } catch (error) {
    pair.requireAlive();
    throw error;
  }
}

function compareAll(
  sent: readonly Bound[],
  theirs: readonly Answer[],
  ours: readonly Answer[],
): RunResult {
  const expected = new Map<string, number>();
  for (const [i, { request, message }] of sent.entries()) {
    const [wanted, got] = [must(theirs[i]), must(ours[i])];
    const texts = [shown(wanted), shown(got)] as const;
    if (texts[0] === texts[1]) continue;
    // Who was too slow may still do what was asked: nothing after it can be compared.
    if (wanted.status === UNAVAILABLE || got.status === UNAVAILABLE) {
      expected.set(TOO_SLOW, 1);
      return { compared: i, expected, difference: undefined };
    }
    const name = expectationFor({ request, message, theirs: wanted, ours: got });
    if (name === undefined) {
      const difference = { request, theirs: texts[0], ours: texts[1] };
      return { compared: i + 1, expected, difference };
    }
    expected.set(name, (expected.get(name) ?? 0) + 1);
    // Where only one has changed something, what follows cannot be the same.
    if ((wanted.status === 0) !== (got.status === 0)) {
      return { compared: i + 1, expected, difference: undefined };
    }
  }
  return { compared: sent.length, expected, difference: undefined };
}

function boundOf(request: Request, base: bigint): Bound {
  const sound = frameOf(`${request.method}Request`, bound(request.draft, base));
  const frame = damaged(sound, request.damage);
  return { request, frame, message: readable(request.method, frame) };
}

function readable(method: MethodName, frame: Uint8Array): Message | undefined {
  try {
    const type = ETCD.message(`etcdserverpb.${method}Request`);
    return decodeMessage(type, frame.subarray(FRAME_HEAD_BYTES));
  } catch {
    return undefined;
  }
}

/** The frame's length always fits what is in it. */
function damaged(frame: Uint8Array, damage: Damage | undefined): Uint8Array {
  if (damage === undefined) return frame;
  const message = Array.from(frame.subarray(FRAME_HEAD_BYTES));
  if (damage.kind === "truncate") message.splice(Math.max(0, message.length - damage.bytes));
  if (damage.kind === "append") message.push(...damage.bytes);
  if (damage.kind === "flip" && message.length > 0) {
    const at = damage.at % message.length;
    message[at] = message[at]! ^ (1 << damage.bit);
  }
  const changed = new Uint8Array(FRAME_HEAD_BYTES + message.length);
  new DataView(changed.buffer).setUint32(1, message.length);
  changed.set(message, FRAME_HEAD_BYTES);
  return changed;
}

/** `known` may have the answer to a request that a side cannot be asked. */
async function answersOf(
  side: Side,
  sent: readonly Bound[],
  known: (message: Message) => Answer | undefined = () => undefined,
): Promise<readonly Answer[]> {
  const answers: Promise<Answer>[] = [];
  let reading: Promise<Answer>[] = [];
  for (const one of sent) {
    const isRead = one.request.method === "Range";
    if (!isRead) await Promise.all(reading);
    const later = one.message && known(one.message);
    const answer = later === undefined ? answerOf(side, one) : Promise.resolve(later);
    answers.push(answer);
    if (isRead) reading.push(answer);
    else {
      reading = [];
      await answer;
    }
  }
  return Promise.all(answers);
}

function answerOf(side: Side, one: Bound): Promise<Answer> {
  return one.request.by === "grpc" ? answerByGrpc(side, one) : answerByJson(side, one);
}

async function answerByGrpc(side: Side, { request, frame, message }: Bound): Promise<Answer> {
  const [service] = SERVICES[request.method];
  const reply = await side.grpc(service, request.method, frame);
  const { response } = reply;
  const plain = response && canonical(request.method, message ?? {}, response);
  return { status: reply.status, message: reply.message, response: plain };
}

async function answerByJson(side: Side, { request, message }: Bound): Promise<Answer> {
  const [, path] = SERVICES[request.method];
  const reply = await side.json(path, request.text ?? textOf(request, must(message)));
  const json = JSON.parse(reply.text) as Record<string, unknown>;
  if (reply.status !== 200) {
    return { status: Number(json["code"]), http: reply.status, message: String(json["error"]) };
  }
  const type = ETCD.message(`etcdserverpb.${request.method}Response`);
  const response = messageFromJson(type, json);
  const plain = canonical(request.method, must(message), response);
  const rewritten = JSON.stringify(messageToJson(type, response));
  const form = rewritten === JSON.stringify(json) ? {} : { form: reply.text };
  return { status: 0, http: 200, message: "", response: plain, ...form };
}

const NUMBERS = /("\w*(?:revision|limit|lease|version)"):"(-?\d+)"/gi;

function textOf({ method, style }: Request, message: Message): string {
  const type = ETCD.message(`etcdserverpb.${method}Request`);
  const text = JSON.stringify(messageToJson(type, message));
  if (style !== "loose") return text;
  return text
    .replace(NUMBERS, "$1:$2")
    .replace(/"[a-z]+(?:_[a-z]+)+":/g, (name) =>
      name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    );
}
