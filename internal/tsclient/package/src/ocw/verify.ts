/** What workers sign and prove: roots, receipts, answers. */
import { base58Decode, blake2AsU8a } from '@polkadot/util-crypto';
import { account, accountBytes, type AccountId, bytes, type Codec, compact, concat, decode, encode, equal, fixed, fromHex, type Hex, label, option, Reader, struct, text, toHex, u32, u64, u8, vec } from './codec.js';
import { verify } from './crypto.js';
import { OcwError } from './errors.js';
import { protocol } from './worker.js';

export const hash = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> => new Uint8Array(blake2AsU8a(concat(...parts), 256));

const h256 = fixed(32);

/** The commitments of a worker after a block. */
export interface Roots {
  genesis: Hex;
  shard: Hex;
  number: number;
  block: Hex;
  /** The parentchain's, in ms since 1970; 0 while unknown. */
  time: bigint;
  state: Hex;
  receipts: Hex;
  history: Hex;
}

const roots = struct<Roots>({ genesis: h256, shard: h256, number: u32, block: h256, time: u64, state: h256, receipts: h256, history: h256 });

/** What is known of who has signed. */
export interface Signed extends Roots {
  /** Account of the worker. */
  by: AccountId;
}

/** Reads an object of a worker and checks its signature over domain, roots and more. */
function signed(method: string, o: Record<string, unknown>, domain: string, ...more: Uint8Array[]): Signed {
  const r = {
    genesis: o.genesis as Hex,
    shard: shardHex(o.shard as string),
    number: o.number as number,
    block: o.block as Hex,
    time: BigInt(o.time as number),
    state: o.state as Hex,
    receipts: o.receipts as Hex,
    history: o.history as Hex,
  };
  return { ...r, by: signer(method, o, concat(label(domain), encode(roots, r), ...more)) };
}

/** Returns the account that has signed a payload, as an object of a worker says. */
function signer(method: string, o: Record<string, unknown>, payload: Uint8Array): AccountId {
  const by = o.account as string;
  if (!verify(fromHex(o.signature as string), payload, accountBytes(by))) {
    throw new OcwError('not-trusted', `worker: ${method}: the signature is not by ${by}`);
  }
  return by;
}

const shardHex = (b58: string): Hex => decode(h256, base58Decode(b58));

/** Reads what ocw_getRoots answers. */
export function verifyRoots(answer: unknown): Signed {
  return protocol('ocw_getRoots', () => signed('ocw_getRoots', answer as Record<string, unknown>, 'ocw/roots/1'));
}

/** What a worker's evidence vouches for, besides its account. */
export interface Binding {
  /** 2 for serving clients. */
  purpose: number;
  trustConfig: Hex;
  shard: Hex;
  keys: Hex;
  tlsKey: Hex;
  /** A block that the evidence is not older than. */
  block: Hex;
  blockNumber: number;
  session: Hex;
}

const binding = struct<Binding>({ purpose: u8, trustConfig: h256, shard: h256, keys: h256, tlsKey: h256, block: h256, blockNumber: u32, session: h256 });

/** What evidence that vouches for a binding has in it: 64 bytes. */
export function reportData(by: AccountId, b: Binding): Hex {
  return toHex(concat(accountBytes(by), hash(encode(text, 'ocw/report-data/1'), encode(binding, b))));
}

/** What a shard takes for granted, as far as a client looks at it. */
export interface TrustConfig {
  genesis: Hex;
  startNumber: number;
  startHash: Hex;
  shard: Hex;
  app: string;
  production: boolean;
  insecure: number;
}

const relay = struct({ genesis: h256, paraId: u32, startNumber: u32, startHash: h256, startAuthoritySetHash: h256 });
const config = struct({
  version: u8,
  genesis: h256,
  startNumber: u32,
  startHash: h256,
  startAuthoritySetHash: h256,
  relay: option(relay),
  shard: h256,
  app: text,
  class: u8,
  threshold: u32,
  upgradeKeys: vec(h256),
  insecure: u32,
});

/** What a registration vouches for. */
export interface Registered {
  binding: Binding;
  /** Hashes of the keys that it is about. */
  epochs: Hex[];
}

/** What evidence vouches for of the keys of some epochs, given the hash of each. */
export function boundEpochs(epochs: Hex[]): Hex {
  return toHex(hash(label('ocw/bound-epochs/1'), encode(vec(h256), epochs)));
}

/** What a worker has stated of itself, signed by its account. */
export interface Bound {
  by: AccountId;
  binding: Binding;
  trustConfig: TrustConfig;
  /** The key that calls are encrypted to, little-endian. */
  n: Uint8Array;
  e: Uint8Array;
  /** That of the envelope x25519. */
  x25519: Uint8Array<ArrayBuffer>;
  /** Hash of the keys. */
  keys: Hex;
  /** What its registration on the parentchain vouches for, as it says: the last one, and one on its way. */
  registrations: Registered[];
}

/**
 * Reads what ocw_getBinding answers: the account has signed the binding, and trust
 * config and keys are those that it binds. Evidence is not looked at.
 */
export function verifyBinding(answer: unknown): Bound {
  const method = 'ocw_getBinding';
  return protocol(method, () => {
    const o = answer as { trustConfig: Hex; statement: Hex; epochs: Hex[]; registrations?: { binding: Hex; epochs: Hex[] }[]; keys: { epoch: number; shieldingKey: string; x25519: Hex; 'x25519-mlkem768': Hex; material: Hex } };
    const from = new Reader(fromHex(o.statement));
    if (from.byte() !== 1) {
      throw new RangeError('a statement of an unknown version');
    }
    const by = account.decode(from);
    const b = binding.decode(from);
    const scheme = from.byte();
    const signature = concat(Uint8Array.of(scheme), from.take(scheme === 2 ? 65 : 64));
    if (!verify(signature, concat(encode(text, 'ocw/tls-statement/1'), encode(binding, b)), accountBytes(by))) {
      throw new OcwError('not-trusted', `worker: ${method}: the signature is not by ${by}`);
    }
    const k = o.keys;
    const keys = toHex(hash(
      label('ocw/public-keys/2'),
      encode(u32, k.epoch),
      encode(text, k.shieldingKey),
      encode(bytes, fromHex(k.x25519)),
      encode(bytes, fromHex(k['x25519-mlkem768'])),
      encode(h256, k.material),
    ));
    if (boundEpochs(o.epochs) !== b.keys || !o.epochs.includes(keys)) {
      throw new OcwError('not-trusted', `worker: ${method}: its evidence is for other keys`);
    }
    const raw = fromHex(o.trustConfig);
    if (toHex(hash(label('ocw/trust-config/1'), raw)) !== b.trustConfig) {
      throw new OcwError('not-trusted', `worker: ${method}: its evidence is for another trust config`);
    }
    const c = decode(config, raw);
    if (c.version !== 1 || c.shard !== b.shard) {
      throw new OcwError('not-trusted', `worker: ${method}: its trust config is for another shard`);
    }
    const { n, e } = JSON.parse(k.shieldingKey) as { n: number[]; e: number[] };
    return {
      by,
      binding: b,
      trustConfig: { genesis: c.genesis, startNumber: c.startNumber, startHash: c.startHash, shard: c.shard, app: c.app, production: c.class === 1, insecure: c.insecure },
      n: Uint8Array.from(n),
      e: Uint8Array.from(e),
      x25519: fromHex(k.x25519),
      keys,
      registrations: (o.registrations ?? []).map((r) => ({ binding: decode(binding, fromHex(r.binding)), epochs: r.epochs })),
    };
  });
}

/** The key that an enclave's requests are sealed and bound to. */
export interface SealingKey {
  genesis: Hex;
  shard: Hex;
  /** The worker's last block. */
  number: number;
  /** X25519. */
  key: Hex;
  by: AccountId;
}

const sealingStatement = struct<Omit<SealingKey, 'by'>>({ genesis: h256, shard: h256, number: u32, key: h256 });

/** Reads what ocw_getSealingKey answers. */
export function verifySealingKey(answer: unknown): SealingKey {
  const method = 'ocw_getSealingKey';
  return protocol(method, () => {
    const o = answer as Record<string, unknown>;
    const key = { genesis: o.genesis as Hex, shard: shardHex(o.shard as string), number: o.number as number, key: o.key as Hex };
    const signature = toHex(concat(Uint8Array.of(0), fromHex(o.signature as string))); // always ed25519
    return { ...key, by: signer(method, { ...o, signature }, concat(label('ocw/sealing-key/1'), encode(sealingStatement, key))) };
  });
}

/** A verified answer to a getter: SCALE of the result, null if there is none. */
export interface Answer extends Signed {
  value: Uint8Array | null;
}

/** Reads what ocw_getAnswer answers to a getter, given without the asker's signature. */
export function verifyAnswer(answer: unknown, getter: Uint8Array): Answer {
  const method = 'ocw_getAnswer';
  return protocol(method, () => {
    const o = answer as Record<string, unknown>;
    const value = o.value === null ? null : fromHex(o.value as string);
    const by = signed(method, o, 'ocw/answer/1', hash(getter), hash(encode(option(bytes), value)));
    return { ...by, value };
  });
}

/** How an operation ended. */
export interface Receipt {
  block: number;
  /** Of the event in the block's System.Events that announced the operation. */
  index: number;
  operation: Hex | null;
  sender: Hex | null;
  code: number;
  /** Module and number of the app's error, if code is ModuleError. */
  module: number;
  error: number;
  gas: bigint;
  /** Each: module, event, fields. */
  events: Uint8Array[];
}

const receipt: Codec<Receipt> = struct<Receipt>({
  block: u32,
  index: u32,
  operation: option(h256),
  sender: option(h256),
  code: u8,
  module: u8,
  error: u8,
  gas: u64,
  events: vec(bytes),
});

/** Reads what ocw_proveReceipt answers: a receipt that is proven to be among those of the signed root. */
export function verifyReceipt(answer: unknown): Signed & { receipt: Receipt } {
  const method = 'ocw_proveReceipt';
  return protocol(method, () => {
    const o = answer as Record<string, unknown>;
    const by = signed(method, o, 'ocw/roots/1');
    const raw = fromHex(o.receipt as string);
    const leaf = hash(label('ocw/stf/receipt-leaf/1'), fromHex(o.salt as string), raw);
    const key = encode(compact, BigInt(o.position as number));
    const found = lookUp(fromHex(by.receipts), (o.nodes as string[]).map(fromHex), key);
    const r = decode(receipt, raw);
    if (found === null || !equal(found, leaf) || r.block !== by.number) {
      throw new OcwError('not-trusted', `worker: ${method}: the receipt is not under the root that the worker has signed`);
    }
    return { ...by, receipt: r };
  });
}

/**
 * Looks a key up in the nodes of a base-16 trie of Substrate (V1, BLAKE2b-256)
 * with this root. null: it is absent, or the nodes do not say. Values are in
 * their nodes here, as those of up to 32 bytes are.
 */
export function lookUp(root: Uint8Array, nodes: Uint8Array[], key: Uint8Array): Uint8Array | null {
  const nibbles = Array.from(key).flatMap((b) => [b >> 4, b & 15]);
  let raw = nodes.find((n) => equal(hash(n), root));
  for (let at = 0; raw !== undefined; ) {
    const from = new Reader(raw);
    const first = from.byte();
    const branch = first >> 7 === 1; // 01: a leaf; 10: a branch; 11: one with a value
    if (first >> 6 === 0) {
      return null;
    }
    let length = first & 63;
    for (let more = length === 63; more; ) {
      const b = from.byte();
      length += b;
      more = b === 255;
    }
    const partial = Array.from(from.take((length + 1) >> 1)).flatMap((b) => [b >> 4, b & 15]).slice(length & 1);
    if (!partial.every((n, i) => nibbles[at + i] === n)) {
      return null;
    }
    at += length;
    const children = branch ? from.byte() | (from.byte() << 8) : 0;
    const value = first >> 6 === 2 ? null : bytes.decode(from);
    const next = nibbles[at++];
    if (next === undefined) {
      return value;
    }
    let child: Uint8Array | undefined;
    for (let i = 0; i <= next; i++) {
      child = (children >> i) & 1 ? bytes.decode(from) : undefined;
    }
    const reference = child;
    raw = reference?.length === 32 ? nodes.find((n) => equal(hash(n), reference)) : reference;
  }
  return null;
}
