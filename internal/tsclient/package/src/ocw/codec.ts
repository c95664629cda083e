/**
 * SCALE, as far as calls, getters and events need it. Every decoder reads
 * exactly the bytes that it is given, in bounded memory.
 */
import { decodeAddress, encodeAddress } from '@polkadot/util-crypto';

/** Bytes as 0x and hex. */
export type Hex = `0x${string}`;

/** An account as an SS58 address; where one is given, 0x and hex of its 32 bytes will do too. */
export type AccountId = string;

/** Encodes and decodes values of one type. Both throw on what is no such value. */
export interface Codec<T> {
  encode(value: T, to: Writer): void;
  decode(from: Reader): T;
}

/** Collects bytes. */
export class Writer {
  readonly #parts: Uint8Array[] = [];

  push(part: Uint8Array): void {
    this.#parts.push(part);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return concat(...this.#parts);
  }
}

/** Reads bytes from the first to the last. */
export class Reader {
  #at = 0;

  constructor(private readonly data: Uint8Array) {}

  get left(): number {
    return this.data.length - this.#at;
  }

  take(n: number): Uint8Array<ArrayBuffer> {
    if (n > this.left) {
      throw new RangeError(`SCALE: ${n} bytes wanted, ${this.left} left`);
    }
    return new Uint8Array(this.data.subarray(this.#at, (this.#at += n)));
  }

  byte(): number {
    return this.take(1)[0] as number;
  }

  /** Reads a length in compact form, of items of at least one byte each. */
  length(): number {
    const n = compact.decode(this);
    if (n > BigInt(this.left)) {
      throw new RangeError(`SCALE: ${n} items in ${this.left} bytes`);
    }
    return Number(n);
  }
}

export function encode<T>(codec: Codec<T>, value: T): Uint8Array<ArrayBuffer> {
  const to = new Writer();
  codec.encode(value, to);
  return to.bytes();
}

/** Decodes all of data; bytes that are left over are an error. */
export function decode<T>(codec: Codec<T>, data: Uint8Array): T {
  const from = new Reader(data);
  const value = codec.decode(from);
  if (from.left > 0) {
    throw new RangeError(`SCALE: ${from.left} bytes left over`);
  }
  return value;
}

export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

/** UTF-8 of a text. */
export const label = (s: string): Uint8Array => new TextEncoder().encode(s);

export function toHex(data: Uint8Array): Hex {
  return `0x${Array.from(data, (b) => b.toString(16).padStart(2, '0')).join('')}`;
}

/** Reads hex, with or without 0x. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.startsWith('0x') ? text.slice(2) : text;
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new TypeError('not hex');
  }
  const out = new Uint8Array(digits.length / 2);
  for (let i = 0; i < out.length; i++) {
    out[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  }
  return out;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

function integer(value: bigint, size: number, signed: boolean): Uint8Array {
  const bits = size * 8;
  if ((signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)) !== value) {
    throw new RangeError(`SCALE: ${value} is no ${signed ? 'i' : 'u'}${bits}`);
  }
  const out = new Uint8Array(size);
  for (let i = 0, v = BigInt.asUintN(bits, value); i < size; i++, v >>= 8n) {
    out[i] = Number(v & 0xffn);
  }
  return out;
}

function fromLittleEndian(data: Uint8Array): bigint {
  let v = 0n;
  for (let i = data.length - 1; i >= 0; i--) {
    v = (v << 8n) | BigInt(data[i] as number);
  }
  return v;
}

function big(size: number, signed: boolean): Codec<bigint> {
  return {
    encode: (value, to) => to.push(integer(value, size, signed)),
    decode: (from) => {
      const v = fromLittleEndian(from.take(size));
      return signed ? BigInt.asIntN(size * 8, v) : v;
    },
  };
}

function small(size: number, signed: boolean): Codec<number> {
  const wide = big(size, signed);
  return {
    encode: (value, to) => {
      if (!Number.isInteger(value)) {
        throw new RangeError(`SCALE: ${value} is no integer`);
      }
      wide.encode(BigInt(value), to);
    },
    decode: (from) => Number(wide.decode(from)),
  };
}

export const u8 = small(1, false);
export const u16 = small(2, false);
export const u32 = small(4, false);
export const u64 = big(8, false);
export const u128 = big(16, false);
export const i8 = small(1, true);
export const i16 = small(2, true);
export const i32 = small(4, true);
export const i64 = big(8, true);

export const bool: Codec<boolean> = {
  encode: (value, to) => to.push(Uint8Array.of(value ? 1 : 0)),
  decode: (from) => {
    const b = from.byte();
    if (b > 1) {
      throw new RangeError(`SCALE: ${b} is no bool`);
    }
    return b === 1;
  },
};

/** The compact form, of up to 128 bits. */
export const compact: Codec<bigint> = {
  encode: (v, to) => {
    if (v < 0n || v >> 128n) {
      throw new RangeError(`SCALE: ${v} is no u128`);
    } else if (v < 1n << 30n) {
      const [size, mode] = v < 1n << 6n ? [1, 0n] : v < 1n << 14n ? [2, 1n] : [4, 2n];
      to.push(integer((v << 2n) | mode, size, false));
    } else {
      const size = Math.max(4, Math.ceil(v.toString(16).length / 2));
      to.push(Uint8Array.of(((size - 4) << 2) | 3));
      to.push(integer(v, size, false));
    }
  },
  decode: (from) => {
    const first = from.byte();
    const mode = first & 3;
    const size = mode === 3 ? (first >> 2) + 4 : (1 << mode) - 1;
    if (size > 16) {
      throw new RangeError('SCALE: a compact integer of more than 128 bits');
    }
    const rest = fromLittleEndian(from.take(size));
    const v = mode === 3 ? rest : (rest << 6n) | BigInt(first >> 2);
    const least = mode === 0 ? 0n : mode === 1 ? 1n << 6n : mode === 2 ? 1n << 14n : size === 4 ? 1n << 30n : 1n << BigInt(8 * (size - 1));
    if (v < least) {
      throw new RangeError('SCALE: a compact integer that is longer than it need be');
    }
    return v;
  },
};

/** Vec<u8>. */
export const bytes: Codec<Uint8Array> = {
  encode: (value, to) => {
    compact.encode(BigInt(value.length), to);
    to.push(value);
  },
  decode: (from) => from.take(from.length()),
};

export const text: Codec<string> = {
  encode: (value, to) => bytes.encode(new TextEncoder().encode(value), to),
  decode: (from) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.decode(from)),
};

/** [u8; n] as hex. */
export function fixed(n: number): Codec<Hex> {
  return {
    encode: (value, to) => {
      const b = fromHex(value);
      if (b.length !== n) {
        throw new RangeError(`SCALE: ${b.length} bytes, want ${n}`);
      }
      to.push(b);
    },
    decode: (from) => toHex(from.take(n)),
  };
}

/** The 32 bytes of an account. */
export function accountBytes(account: AccountId): Uint8Array {
  const b = account.startsWith('0x') ? fromHex(account) : decodeAddress(account);
  if (b.length !== 32) {
    throw new RangeError(`an account has 32 bytes, not ${b.length}`);
  }
  return b;
}

export const account: Codec<AccountId> = {
  encode: (value, to) => to.push(accountBytes(value)),
  decode: (from) => encodeAddress(from.take(32)),
};

/** Nothing: no bytes. */
export const unit: Codec<null> = { encode: () => {}, decode: () => null };

export function option<T>(of: Codec<T>): Codec<T | null> {
  return {
    encode: (value, to) => {
      bool.encode(value !== null, to);
      if (value !== null) {
        of.encode(value, to);
      }
    },
    decode: (from) => (bool.decode(from) ? of.decode(from) : null),
  };
}

export function vec<T>(of: Codec<T>): Codec<T[]> {
  return {
    encode: (value, to) => {
      compact.encode(BigInt(value.length), to);
      value.forEach((v) => of.encode(v, to));
    },
    decode: (from) => Array.from({ length: from.length() }, () => of.decode(from)),
  };
}

export function array<T>(of: Codec<T>, n: number): Codec<T[]> {
  return {
    encode: (value, to) => {
      if (value.length !== n) {
        throw new RangeError(`SCALE: ${value.length} items, want ${n}`);
      }
      value.forEach((v) => of.encode(v, to));
    },
    decode: (from) => Array.from({ length: n }, () => of.decode(from)),
  };
}

export function tuple<T extends unknown[]>(...of: { [K in keyof T]: Codec<T[K]> }): Codec<T> {
  return {
    encode: (value, to) => of.forEach((c, i) => c.encode(value[i], to)),
    decode: (from) => of.map((c) => c.decode(from)) as T,
  };
}

export function struct<T extends object>(of: { [K in keyof T]: Codec<T[K]> }): Codec<T> {
  const fields = Object.entries(of) as [keyof T, Codec<unknown>][];
  return {
    encode: (value, to) => fields.forEach(([name, c]) => c.encode(value[name], to)),
    decode: (from) => Object.fromEntries(fields.map(([name, c]) => [name, c.decode(from)])) as T,
  };
}

/** An enum none of whose variants has fields: the variant's name. */
export function names<T extends string>(of: { [K in T]: number }): Codec<T> {
  const list = Object.entries(of) as [T, number][];
  return {
    encode: (value, to) => to.push(Uint8Array.of(pick(list, ([name]) => name === value, value)[1])),
    decode: (from) => {
      const b = from.byte();
      return pick(list, ([, index]) => index === b, b)[0];
    },
  };
}

/** Any other enum: the variant's name and, if it has fields, their value. */
export function variants<T extends { type: string; value?: unknown }>(of: {
  [K in T['type']]: [index: number, value: Extract<T, { type: K }> extends { value: infer V } ? Codec<V> : null];
}): Codec<T> {
  const list = Object.entries(of) as [string, [number, Codec<unknown> | null]][];
  return {
    encode: (value, to) => {
      const [, [index, codec]] = pick(list, ([name]) => name === value.type, value.type);
      to.push(Uint8Array.of(index));
      codec?.encode(value.value, to);
    },
    decode: (from) => {
      const b = from.byte();
      const [type, [, codec]] = pick(list, ([, [index]]) => index === b, b);
      return (codec === null ? { type } : { type, value: codec.decode(from) }) as T;
    },
  };
}

function pick<E>(list: E[], is: (e: E) => boolean, what: unknown): E {
  const found = list.find(is);
  if (found === undefined) {
    throw new RangeError(`SCALE: ${String(what)} is no variant`);
  }
  return found;
}

/** A codec that is made when it is first used, for types that contain themselves. */
export function lazy<T>(of: () => Codec<T>): Codec<T> {
  return { encode: (value, to) => of().encode(value, to), decode: (from) => of().decode(from) };
}

/** The bytes of a call or getter: its path, then its encoded arguments. */
export function compose(path: number[], ...args: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return concat(Uint8Array.from(path), ...args);
}
