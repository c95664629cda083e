/** What the generated client can do, with a network of `dev`; the same in Node and in a browser. */
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';
import type { KeyringPair } from '@polkadot/keyring/types';
import type { SignerPayloadJSON, SignerPayloadRaw } from '@polkadot/types/types';
import { hexToU8a, u8aToHex, u8aWrapBytes } from '@polkadot/util';
import { type App, connect, type Dish, encode, ocw } from '../kitchen/src/index.js';

export interface Network {
  chain: string;
  worker: string;
  /** Names the accounts, so that runs do not meet. */
  name: string;
  /** Pays for extrinsics. */
  payer: string;
}

export function assert(ok: unknown, what: string): asserts ok {
  if (!ok) {
    throw new Error(`wrong: ${what}`);
  }
}

export const show = (v: unknown): string =>
  JSON.stringify(v, (_, x: unknown) => (typeof x === 'bigint' ? `${x}n` : x instanceof Uint8Array ? u8aToHex(x) : x)) ?? 'undefined';

export function equal(got: unknown, want: unknown, what: string): void {
  assert(show(got) === show(want), `${what}: got ${show(got)}, want ${show(want)}`);
}

async function refused(kind: ocw.ErrorKind, text: string, f: () => Promise<unknown>): Promise<void> {
  try {
    await f();
  } catch (e) {
    assert(e instanceof ocw.OcwError && e.kind === kind && e.message.includes(text), `want a ${kind} error with ${text}, got ${String(e)}`);
    return;
  }
  throw new Error(`wrong: accepted, want a ${kind} error with ${text}`);
}

/** A wallet extension as @polkadot/extension is: it wraps what signRaw is given, and signs payloads of extrinsics. */
function wallet(api: ApiPromise, pair: KeyringPair) {
  return {
    address: pair.address,
    signer: {
      signRaw: async (raw: SignerPayloadRaw) => ({ id: 1, signature: u8aToHex(pair.sign(u8aWrapBytes(hexToU8a(raw.data)))) }),
      signPayload: async (p: SignerPayloadJSON) => ({ id: 2, signature: api.registry.createType('ExtrinsicPayload', p, { version: p.version }).sign(pair).signature }),
    },
  };
}

export async function scenario(at: Network, log: (line: string) => void): Promise<void> {
  const api = await ApiPromise.create({ provider: new WsProvider(at.chain), noInitWarn: true });
  const app = await connect({ api, worker: at.worker, trust: { acceptUnattested: true } });
  try {
    await calls(api, app, at, log);
    await lies(api, app, at, log);
    await envelope(api, at);
  } finally {
    await app.close();
    await api.disconnect();
  }
}

/** Shields and calls in the other envelope. */
async function envelope(api: ApiPromise, at: Network): Promise<void> {
  const app = await connect({ api, worker: at.worker, trust: { acceptUnattested: true }, envelope: 'x25519' });
  const pairs = new Keyring({ type: 'sr25519' });
  const payer = pairs.addFromUri(at.payer);
  const signer = pairs.addFromUri(`//${at.name}//alice`);
  try {
    equal((await app.client.shield(signer.address, 1_000_000_000_000n, { payer })).ok, true, 'a shielding by X25519');
    equal((await app.kitchen.trust(signer, payer.address, { payer })).ok, true, 'a call by X25519');
    const key = await app.client.shieldingKey();
    equal([(await key.encrypt(new Uint8Array(32))).length, (await key.encrypt(new Uint8Array(200))).length], [114, 306], 'lengths of ciphertexts');
    await refused('rejected', 'at most 4862 are executed', () => app.client.invoke(signer, () => new Uint8Array(4862), { payer, nonce: 0 }));
  } finally {
    await app.close();
  }
}

async function calls(api: ApiPromise, app: App, at: Network, log: (line: string) => void): Promise<void> {
  const pairs = new Keyring({ type: 'sr25519' });
  const payer = pairs.addFromUri(at.payer);
  const alice = pairs.addFromUri(`//${at.name}//alice`);
  const bob = new Keyring({ type: 'ed25519' }).addFromUri(`//${at.name}//bob`);
  const carol = new Keyring({ type: 'ecdsa' }).addFromUri(`//${at.name}//carol`);

  const dish: Dish = {
    byWhom: bob.address,
    course: 'Main',
    sauce: { type: 'Mixed', value: { name: 'süß', parts: [{ type: 'None' }, { type: 'Drops', value: 1n << 127n }, { type: 'Mixed', value: { name: '', parts: [] } }] } },
    hot: true,
    spice: -128,
    rest: -(1n << 63n),
    weight: 65535,
    calories: 4294967295,
    served: (1n << 64n) - 1n,
    price: (1n << 128n) - 1n,
    tag: '0x00ff07',
    picture: new Uint8Array(1000).fill(0xa5), // several chunks
    notes: ['', 'one'],
    grid: [1, 65535],
    deposit: 7n,
    order: `0x${'5a'.repeat(32)}`,
    count: 1n << 62n,
  };
  assert((await app.kitchen.dish(alice)) === null, 'there is no dish yet');
  const before = await app.kitchen.sum(0n);
  assert(before !== null, 'the sum is public');

  const stages: ocw.Stage[] = [];
  const cooked = await app.kitchen.cook(alice, dish, 3, { payer, onProgress: (s) => stages.push(s) });
  assert(cooked.ok && cooked.code === 'Success' && cooked.error === null, `a dish is cooked: ${show(cooked)}`);
  const [event] = cooked.events;
  assert(event?.module === 'Kitchen' && event.event === 'Cooked', `its event: ${show(cooked.events)}`);
  equal(event.fields.who, alice.address, 'the event names the cook');
  assert(event.fields.total >= before + 3n, 'and the total');
  equal([stages[0], ...stages.slice(-2)], ['submitted', 'finalized', 'committed'], 'stages');
  equal(await app.kitchen.dish(alice), dish, 'the dish comes back as it was');
  assert(((await app.kitchen.sum(100n)) ?? 0n) >= before + 103n, 'the sum knows of it');
  log('a call of several chunks, and every form of value');

  const hot = await app.kitchen.cook(bob, { ...dish, spice: 127, deposit: null }, 1, { payer });
  equal([hot.ok, hot.code, hot.error, hot.reason, hot.events], [false, 'ModuleError', { module: 'Kitchen', name: 'TooHot' }, 'nobody "eats" that', []], 'an error of the app');
  assert((await app.kitchen.dish(bob)) === null, 'nothing of it remains');
  equal([await app.kitchen.nonce(bob), await app.kitchen.nonce(alice)], [1, 1], 'nonces');
  const late = await app.kitchen.trust(bob, alice.address, { payer, nonce: 0 });
  equal([late.ok, late.code], [false, 'BadNonce'], 'a nonce that was used');
  log('calls that fail, signed by ed25519');

  const extension = wallet(api, pairs.addFromUri(`//${at.name}//extension`));
  const paying = wallet(api, payer);
  const trusted = await app.kitchen.trust(extension, carol.address, { payer: paying });
  assert(trusted.ok, `a wallet signs and pays: ${show(trusted)}`);
  const proxied = await app.kitchen.cook(carol, dish, 1, { payer, sender: extension.address, nonce: 1 });
  assert(proxied.ok, `a delegate makes a call: ${show(proxied)}`);
  equal(await app.kitchen.dish(carol, { owner: extension.address }), dish, 'and reads for who trusts it');
  equal(await app.kitchen.dish(extension), dish, 'whose wallet reads it, too');
  assert((await app.kitchen.dish(alice, { owner: extension.address })) === null, 'nobody else does');
  await refused('signature', 'not one of', () => app.kitchen.dish({ ...extension, signer: wallet(api, bob).signer }));
  log('a wallet, and a delegate who signs by ecdsa');

  const shielded = await app.client.shield(alice.address, 5_000_000_000_000n, { payer });
  assert(shielded.ok, `funds arrive: ${show(shielded)}`);
  equal(await app.kitchen.balance(alice), 5_000_000_000_000n, 'and belong to whom they are for');
  const quiet = await app.kitchen.trust(alice, bob.address, { payer, nonce: 1, receipt: false });
  equal([quiet.ok, quiet.receipt], [null, null], 'a receipt that is not asked for');
  equal(await app.kitchen.nonce(alice), 2, 'its call was executed');
  await refused('rejected', 'at most 5088', () => app.kitchen.cook(alice, { ...dish, picture: new Uint8Array(5000) }, 1, { payer }));
  await refused('rejected', 'does not take the extrinsic', () => app.kitchen.trust(alice, bob.address, { payer: pairs.addFromUri(`//${at.name}//poor`) }));
  await refused('unavailable', 'broken off', () => app.kitchen.trust(alice, bob.address, { payer, nonce: 2, signal: AbortSignal.abort() }));
  log('shielding, and what is refused before it is sent');
}

/** Whatever of an answer is changed, it is refused. */
async function lies(api: ApiPromise, app: App, at: Network, log: (line: string) => void): Promise<void> {
  const { worker } = app.client;
  const honest = worker.json.bind(worker);
  const changing = (method: string, change: (o: Record<string, unknown>) => void): void => {
    worker.json = async (m, params, signal) => {
      const answer = await honest(m, params, signal);
      if (m === method) {
        change(answer as Record<string, unknown>);
      }
      return answer;
    };
  };
  const flip = (v: unknown): unknown =>
    typeof v === 'number' ? v + 1 : Array.isArray(v) ? v.slice(1) : typeof v !== 'string' ? 1 : v.startsWith('0x') ? `${v.slice(0, -1)}${v.endsWith('0') ? '1' : '0'}` : v.replace(/.$/, (c) => (c === '2' ? '3' : '2'));
  const signer = new Keyring({ type: 'sr25519' }).addFromUri(`//${at.name}//alice`);
  const payer = new Keyring({ type: 'sr25519' }).addFromUri(at.payer);
  const last = await app.kitchen.trust(signer, payer.address, { payer });
  const who = ocw.concat(ocw.fromHex(last.operation), signer.publicKey);
  const statement = ocw.concat(new TextEncoder().encode('ocw/receipt/query/1'), ocw.fromHex(app.client.shard), who);
  const query = ocw.concat(ocw.fromHex(app.client.shard), who, Uint8Array.of(0), await ocw.sign(signer, statement));
  const ask: Record<string, [members: string[], f: () => Promise<unknown>]> = {
    ocw_getAnswer: [['genesis', 'shard', 'number', 'block', 'time', 'state', 'receipts', 'history', 'account', 'signature', 'value'], () => app.kitchen.sum(1n)],
    ocw_getBinding: [['trustConfig', 'keys'], () => app.client.shieldingKey()],
    ocw_getSealingKey: [['genesis', 'shard', 'number', 'key', 'account', 'signature'], () => app.kitchen.nonce(signer)],
    ocw_proveReceipt: [
      ['genesis', 'shard', 'number', 'block', 'receipts', 'account', 'signature', 'receipt', 'position', 'salt', 'nodes'],
      async () => ocw.verifyReceipt(await worker.json('ocw_proveReceipt', [ocw.toHex(query)])),
    ],
  };
  for (const [method, [members, f]] of Object.entries(ask)) {
    for (const member of members) {
      changing(method, (o) => (o[member] = flip(o[member])));
      let got: unknown;
      try {
        got = await f();
      } catch (e) {
        assert(e instanceof ocw.OcwError && (e.kind === 'not-trusted' || e.kind === 'protocol'), `${method} with another ${member}: ${String(e)}`);
        continue;
      }
      throw new Error(`wrong: ${method} with another ${member} is accepted: ${show(got)}`);
    }
    worker.json = honest;
    assert(await f(), `${method} as it is`);
  }
  // Each of the keys, and everything that is signed for them: account, binding, signature.
  const bound = (await honest('ocw_getBinding', [])) as { keys: Record<string, unknown>; statement: string; trustConfig: string };
  for (const member of Object.keys(bound.keys)) {
    const other = { ...bound, keys: { ...bound.keys, [member]: member === 'shieldingKey' ? (bound.keys[member] as string).replace(/\d/, (d) => (d === '1' ? '2' : '1')) : flip(bound.keys[member]) } };
    assert(show(other) !== show(bound), `another ${member}`);
    worker.json = async () => other;
    await refused('not-trusted', 'for other keys', () => app.client.shieldingKey());
  }
  for (const at of [5, 33, 40, 70, 100, 130, 170, 195, 200, 240]) {
    const statement = ocw.fromHex(bound.statement);
    statement[at] = (statement[at] as number) ^ 1;
    worker.json = async () => ({ ...bound, statement: ocw.toHex(statement) });
    await refused('not-trusted', 'the signature is not by', () => app.client.shieldingKey());
  }
  worker.json = honest;
  const { binding, by } = ocw.verifyBinding(bound);
  assert(bound.statement.includes(ocw.reportData(by, binding).slice(2)), 'what the evidence vouches for is computed alike');
  // Who stands in between reads nothing of a question and its answer, and cannot repeat or change it.
  const seen: [method: string, params: unknown[], answer: unknown][] = [];
  worker.json = async (m, params, signal) => {
    const answer = await honest(m, params, signal);
    seen.push([m, params, answer]);
    return answer;
  };
  const secret = await app.kitchen.dish(signer);
  assert(secret, 'there is a dish');
  equal([...new Set(seen.map(([m]) => m))], ['ocw_getSealingKey', 'ocw_sealed'], 'the methods that are seen');
  for (const hidden of [signer.publicKey, secret.picture.slice(0, 16), ocw.fromHex(secret.order)]) {
    assert(!show(seen).includes(ocw.toHex(hidden).slice(2)), 'what is asked and answered is sealed');
  }
  const sent = seen.find(([m]) => m === 'ocw_sealed');
  await refused('rejected', 'AccessRepeated', () => honest('ocw_sealed', sent?.[1] ?? []));
  worker.json = async (m, params, signal) => (m === 'ocw_sealed' ? (sent?.[2] as unknown) : honest(m, params, signal));
  await refused('not-trusted', 'to another request', () => app.kitchen.dish(signer));
  worker.json = honest;
  // An answer that is right, but older than what the worker has told already.
  const request = ocw.toHex(ocw.concat(ocw.fromHex(app.client.shard), ocw.encode(ocw.bytes, ocw.concat(Uint8Array.of(0), encode.kitchen.sum(1n)))));
  const old = await honest('ocw_getAnswer', [request]);
  await app.kitchen.trust(signer, payer.address, { payer });
  worker.json = async () => old;
  await refused('not-trusted', 'has told of block', () => app.kitchen.sum(1n));
  worker.json = honest;

  const other: ocw.Hex = `0x${'11'.repeat(32)}`;
  const with_ = (trust: ocw.Trust, shard?: ocw.Hex) => async () => (await connect({ api, worker: at.worker, trust, shard })).close();
  await refused('not-trusted', 'without valid attestation', with_({}));
  await refused('not-trusted', 'expected is 0x1111', with_({ fingerprint: other, acceptUnattested: true }));
  await refused('not-trusted', 'another chain or shard', with_('insecure-dev', other));
  await refused('not-trusted', 'expected is 0x1111', with_({ trustConfig: other, acceptUnattested: true }));
  await with_({ fingerprint: await app.client.fingerprint(), trustConfig: binding.trustConfig, acceptUnattested: true })();
  await with_('insecure-dev')();
  log('answers, keys and receipts that were changed, who listens, and workers that are not trusted');
}
