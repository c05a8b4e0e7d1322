/**
 * The notation in which etcd's messages are written down, and what is read from it. A message is a
 * list of fields `name=number type`; `*` before the type says repeated, `|` before the name that it
 * is one of alternatives, of which it is told which was given. Types are bytes, string, bool,
 * int64, uint64, uint32, or the name of an enum or a message.
 */
import { must } from "../base/assert.js";

export type ScalarType = "bytes" | "string" | "bool" | "int64" | "uint64" | "uint32";

const SCALARS: readonly string[] = ["bytes", "string", "bool", "int64", "uint64", "uint32"];

export type FieldType =
  | { readonly kind: ScalarType }
  | { readonly kind: "enum"; readonly type: EnumType }
  | { readonly kind: "message"; readonly type: MessageType };

export interface Field {
  readonly name: string;
  readonly number: number;
  readonly repeated: boolean;
  /** One of a oneof: written also where it has its default value. */
  readonly alternative: boolean;
  readonly type: FieldType;
}

/** Names by number, from 0. */
export interface EnumType {
  readonly name: string;
  readonly values: readonly string[];
}

export class MessageType {
  readonly name: string;
  readonly #text: string;
  readonly #schema: Schema;
  #fields: readonly Field[] | undefined;
  #byNumber: Map<number, Field> | undefined;
  #byName: Map<string, Field> | undefined;

  constructor(schema: Schema, name: string, text: string) {
    this.#schema = schema;
    this.name = name;
    this.#text = text;
  }

  /** Read when they are first wanted, for messages name each other. */
  get fields(): readonly Field[] {
    this.#fields ??= this.#text
      .split(",")
      .map((text) => text.trim())
      .filter((text) => text !== "")
      .map((text) => this.#schema.field(text));
    return this.#fields;
  }

  field(number: number): Field | undefined {
    this.#byNumber ??= new Map(this.fields.map((field) => [field.number, field]));
    return this.#byNumber.get(number);
  }

  /** By its name, or that name in camel case, as JSON may have it. */
  fieldNamed(name: string): Field | undefined {
    this.#byName ??= new Map([
      ...this.fields.map((field): [string, Field] => [camelCase(field.name), field]),
      ...this.fields.map((field): [string, Field] => [field.name, field]),
    ]);
    return this.#byName.get(name);
  }
}

export class Schema {
  readonly messages: Map<string, MessageType> = new Map();
  readonly enums: Map<string, EnumType> = new Map();

  constructor(enums: Readonly<Record<string, string>>, messages: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(enums)) {
      this.enums.set(name, { name, values: text.split(" ") });
    }
    for (const [name, text] of Object.entries(messages)) {
      this.messages.set(name, new MessageType(this, name, text));
    }
  }

  message(name: string): MessageType {
    return must(this.messages.get(name), `the message ${name}`);
  }

  field(text: string): Field {
    const match = /^(\|?)(\w+)=(\d+) (\*?)([\w.]+)$/.exec(text);
    const [, bar = "", name = "", number = "", star = "", type = ""] = must(
      match ?? undefined,
      text,
    );
    return {
      name,
      number: Number(number),
      repeated: star !== "",
      alternative: bar !== "",
      type: this.#type(type),
    };
  }

  #type(name: string): FieldType {
    if (SCALARS.includes(name)) return { kind: name as ScalarType };
    const found = this.enums.get(name);
    if (found !== undefined) return { kind: "enum", type: found };
    return { kind: "message", type: this.message(name) };
  }
}

function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
