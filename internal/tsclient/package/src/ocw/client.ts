/** A connection to a shard: makes calls by the parentchain, learns their outcome from a worker, and asks it getters. */
import type { ApiPromise } from '@polkadot/api';
import type { AddressOrPair } from '@polkadot/api/types';
import type { ISubmittableResult } from '@polkadot/types/types';
import { cryptoWaitReady } from '@polkadot/util-crypto';
import { account, accountBytes, type AccountId, bytes, type Codec, concat, decode, encode, fromHex, type Hex, label, option, toHex, u128, u32 } from './codec.js';
import { type Account, rsaKey, type ShieldingKey, sign, x25519Key } from './crypto.js';
import { OcwError, within } from './errors.js';
import { lifetime, seal } from './seal.js';
import { type Answer, type Bound, boundEpochs, hash, type Receipt, reportData, type SealingKey, type Signed, verifyAnswer, verifyBinding, verifyReceipt, verifySealingKey } from './verify.js';
import { message, protocol, refusal, Worker } from './worker.js';

/**
 * What a worker must show. All that it says is signed by an account, which must
 * be in the parentchain's enclave registry (Teerex.SovereignEnclaves), with the
 * fingerprint in force for the shard, and attested, and is bound to trust config
 * and keys. Quotes are not verified here. The node is believed: use your own. 'insecure-dev' accepts any account, for development only.
 */
export type Trust =
  | 'insecure-dev'
  | {
      /** The measurement that is expected, from your own build; without it the chain's word counts. */
      fingerprint?: Hex;
      /** Hash of the trust config that the shard must have; without it, one of class production is taken. */
      trustConfig?: Hex;
      /** Accepts registrations that skipped attestation, which prove nothing, and shards for development. */
      acceptUnattested?: boolean;
    };

export interface ConnectOptions {
  /** The parentchain. */
  api: ApiPromise;
  /** URL of the worker: wss://…, or ws://127.0.0.1:… while developing. */
  worker: string;
  trust: Trust;
  /** The shard; without it, the one that the worker serves. */
  shard?: Hex;
  /** How operations are encrypted: 'rsa', or 'x25519', which is shorter and faster to open, see docs/envelopes.md. */
  envelope?: Envelope;
}

export type Envelope = 'rsa' | 'x25519';

/** submitted: in the pool; included: in a best block; finalized: for good; committed: executed by the worker. */
export type Stage = 'submitted' | 'included' | 'finalized' | 'committed';

export interface WaitOptions {
  /** Signs and pays the public extrinsic. Everybody sees this account: it should not be the private one. */
  payer: Account;
  onProgress?: (stage: Stage) => void;
  /** Milliseconds until the wait ends; 5 minutes. */
  timeout?: number;
  signal?: AbortSignal;
  /** false does not ask for the receipt, which needs a signature: the outcome is not known then. */
  receipt?: boolean;
}

export interface CallOptions extends WaitOptions {
  /** The account that the call acts for, if the signer is its delegate. */
  sender?: AccountId;
  /** Nonce of the sender in the shard; without it, it is asked for, which needs a signature. */
  nonce?: number;
}

export interface GetOptions {
  /** The account that is asked about, if the signer is its delegate. */
  owner?: AccountId;
  signal?: AbortSignal;
}

/** What became of an operation. */
export interface Outcome<E> {
  operation: Hex;
  extrinsic: Hex;
  block: number;
  blockHash: Hex;
  /** Whether it was executed and its effects kept; null without a receipt. */
  ok: boolean | null;
  /** Name of the receipt's code, 'Success' or 'ModuleError' for example; null without a receipt. */
  code: string | null;
  /** The app's error, if code is 'ModuleError'. */
  error: { module: string; name: string } | null;
  /** In words. */
  reason: string;
  events: E[];
  /** Signed by the worker and proven to be among those of its block. */
  receipt: (Signed & { receipt: Receipt }) | null;
}

/** What generated code says of its app. */
export interface App<E> {
  name: string;
  /** Name and text of each code of receipts. */
  codes: readonly (readonly [name: string, reason: string])[];
  /** Name of each module, and name and text of its errors. */
  modules: Readonly<Record<number, { name: string; errors: Readonly<Record<number, readonly [name: string, reason: string]>> }>>;
  /** Decodes an event; undefined if the app has none of this number. */
  event: (raw: Uint8Array) => E | undefined;
  /** The getter of the owner's nonce. */
  nonce?: (owner: AccountId) => Uint8Array;
}

/** Makes App.event of a list of module and event index, their names, and the codec of the fields. */
export function events<E>(list: [module: number, index: number, moduleName: string, name: string, fields: Codec<unknown>][]): (raw: Uint8Array) => E | undefined {
  return (raw) => {
    const found = list.find(([m, i]) => m === raw[0] && i === raw[1]);
    return found && ({ module: found[2], event: found[3], fields: decode(found[4], raw.subarray(2)) } as E);
  };
}

interface Inclusion {
  extrinsic: Hex;
  block: number;
  blockHash: Hex;
  /** Of the announcing event in System.Events. */
  index: number;
}

/** How many blocks ago evidence may have been made: a day of 6 s blocks. */
const maxAge = 14_400;
const defaultTimeout = 5 * 60_000;
const pollMs = 250;

export class Client<E> {
  readonly #accepted = new Set<AccountId>();
  #seen = 0; // the last block of which something was told

  private constructor(
    readonly app: App<E>,
    readonly api: ApiPromise,
    readonly worker: Worker,
    readonly shard: Hex,
    private readonly trust: Trust,
    private readonly envelope: Envelope,
  ) {}

  /** Connects to a worker and checks it. */
  static async connect<E>(app: App<E>, o: ConnectOptions): Promise<Client<E>> {
    await Promise.all([cryptoWaitReady(), o.api.isReady]);
    const worker = new Worker(o.worker);
    try {
      const shard = o.shard ?? toHex(await worker.value('author_getShard', []));
      const client = new Client(app, o.api, worker, shard, o.trust, o.envelope ?? 'rsa');
      await client.shieldingKey();
      return client;
    } catch (e) {
      await worker.close();
      throw e;
    }
  }

  close(): Promise<void> {
    return this.worker.close();
  }

  /** The key that operations are encrypted to. */
  async shieldingKey(signal?: AbortSignal): Promise<ShieldingKey> {
    const bound = verifyBinding(await this.worker.json('ocw_getBinding', [], signal));
    await this.#check({ genesis: bound.trustConfig.genesis, shard: bound.binding.shard, by: bound.by });
    if (this.trust !== 'insecure-dev') {
      await this.#checkBound(bound, this.trust);
    }
    if (this.envelope === 'x25519') {
      return x25519Key(bound.x25519, fromHex(this.shard), fromHex(await this.fingerprint()));
    }
    return rsaKey(bound.n, bound.e);
  }

  /** Compares what the worker's account has signed with the parentchain. */
  async #checkBound({ by, binding, trustConfig, keys, registrations }: Bound, trust: Exclude<Trust, string>): Promise<void> {
    const refuse = (why: string): never => {
      throw new OcwError('not-trusted', `the worker of account ${by}: ${why}`);
    };
    if (binding.purpose !== 2) {
      refuse('it does not serve the shard yet');
    }
    if (trust.trustConfig !== undefined && trust.trustConfig !== binding.trustConfig) {
      refuse(`its shard has the trust config ${binding.trustConfig}; expected is ${trust.trustConfig}`);
    }
    if (trust.trustConfig === undefined && !trust.acceptUnattested && (!trustConfig.production || trustConfig.insecure !== 0)) {
      refuse('its shard is for development only');
    }
    const { chain } = this.api.rpc;
    const [start, made, final] = await Promise.all([chain.getBlockHash(trustConfig.startNumber), chain.getBlockHash(binding.blockNumber), chain.getFinalizedHead()]);
    if (start.toHex() !== trustConfig.startHash) {
      refuse('its shard starts at a block of another chain');
    }
    const head = (await chain.getHeader(final)).number.toNumber();
    if (made.toHex() !== binding.block || head - binding.blockNumber > maxAge) {
      refuse('its evidence is not recent');
    }
    const enclave = await this.#registration(by);
    if ('dcap' in enclave.attestationMethod) {
      const registered = registrations.find((r) => reportData(by, r.binding) === enclave.reportData.d);
      const same = (['trustConfig', 'shard', 'purpose'] as const).every((f) => registered?.binding[f] === binding[f]);
      if (registered === undefined || !same || boundEpochs(registered.epochs) !== registered.binding.keys || !registered.epochs.includes(keys)) {
        refuse('its registration is for something else');
      }
    }
  }

  /** The fingerprint that a call of the next block is checked against, by the parentchain. */
  async fingerprint(): Promise<Hex> {
    const head = (await this.api.rpc.chain.getHeader()).number.toNumber();
    const entry = (await this.#storage('enclaveBridge', 'shardConfigRegistry', this.shard)) as {
      activeConfig: { enclaveFingerprint: Hex };
      pendingUpgrade: { enclaveFingerprint: Hex } | null;
      upgradeAt: number | null;
    } | null;
    if (entry === null) {
      return this.shard;
    }
    const { activeConfig, pendingUpgrade, upgradeAt } = entry;
    return (pendingUpgrade !== null && upgradeAt !== null && upgradeAt <= head + 1 ? pendingUpgrade : activeConfig).enclaveFingerprint;
  }

  /** Asks a getter for everybody, given as path and arguments. The answer is verified. */
  async ask(getter: Uint8Array, signal?: AbortSignal): Promise<Uint8Array | null> {
    const raw = concat(Uint8Array.of(0), getter);
    const answer = await this.worker.json('ocw_getAnswer', [this.#request(raw)], signal);
    return (await this.#answered(answer, raw)).value;
  }

  /**
   * Asks a getter for its owner, which getter makes as path, owner and arguments.
   * What is signed counts once, for this enclave, and goes sealed.
   */
  async askAs(signer: Account, getter: (owner: AccountId) => Uint8Array, options: GetOptions = {}): Promise<Uint8Array | null> {
    const owner = options.owner ?? signer.address;
    const raw = getter(owner);
    const key = await this.#sealingKey(options.signal);
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    const bounds = concat(fromHex(key.key), encode(u32, key.number + lifetime), nonce);
    const by = delegate(owner, signer);
    const signature = await sign(signer, concat(label('ocw/getter/1'), fromHex(this.shard), bounds, by, raw));
    const bound = concat(Uint8Array.of(0x80), raw, bounds, by, signature);
    const answer = await this.#sealed('ocw_getAnswer', this.#request(bound), options.signal);
    return (await this.#answered(answer, concat(Uint8Array.of(1), raw))).value;
  }

  #request(getter: Uint8Array): Hex {
    return toHex(concat(fromHex(this.shard), encode(bytes, getter)));
  }

  /** Calls a method in a way that only the enclave reads it and its answer. */
  async #sealed(method: string, param: Hex, signal?: AbortSignal): Promise<unknown> {
    const { sealed, open } = await seal(await this.#sealingKey(signal), JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [param] }));
    const text = await open((await this.worker.json('ocw_sealed', [sealed], signal)) as Hex);
    const { result, error } = protocol(method, () => JSON.parse(text) as { result?: unknown; error?: unknown });
    if (error !== undefined) {
      throw refusal(method, error);
    }
    return result;
  }

  async #sealingKey(signal?: AbortSignal): Promise<SealingKey> {
    const key = verifySealingKey(await this.worker.json('ocw_getSealingKey', [], signal));
    await this.#check(key);
    return key;
  }

  /** Verifies an answer. shown is what of a getter it refers to. */
  async #answered(got: unknown, shown: Uint8Array): Promise<Answer> {
    const answer = verifyAnswer(got, shown);
    await this.#check(answer);
    if (answer.number < this.#seen) {
      throw new OcwError('not-trusted', `the worker answers as of block ${answer.number}, and has told of block ${this.#seen}`);
    }
    this.#seen = answer.number;
    return answer;
  }

  /** Nonce of an account in the shard, by the app's getter. */
  async nonce(signer: Account, options: GetOptions = {}): Promise<number> {
    if (this.app.nonce === undefined) {
      throw new OcwError('rejected', `the app ${this.app.name} has no getter nonce: give a nonce`);
    }
    return decode(u32, (await this.askAs(signer, this.app.nonce, options)) ?? new Uint8Array());
  }

  /** Signs a call, and returns what is to be encrypted: SCALE of the trusted operation. */
  async operation(signer: Account, call: (sender: AccountId) => Uint8Array, nonce: number, sender: AccountId = signer.address): Promise<Uint8Array<ArrayBuffer>> {
    const raw = concat(call(sender), encode(u32, nonce));
    const signature = await sign(signer, concat(raw, fromHex(await this.fingerprint()), fromHex(this.shard)));
    return concat(Uint8Array.of(0), raw, delegate(sender, signer), signature);
  }

  /** Makes a call, which call gives as path, sender and arguments, and waits for its outcome. */
  async invoke(signer: Account, call: (sender: AccountId) => Uint8Array, options: CallOptions): Promise<Outcome<E>> {
    const sender = options.sender ?? signer.address;
    const nonce = options.nonce ?? (await this.nonce(signer, { owner: sender, signal: options.signal }));
    const operation = await this.operation(signer, call, nonce, sender);
    const key = await this.shieldingKey(options.signal);
    if (operation.length > key.max) {
      throw new OcwError('rejected', `the call has ${operation.length} bytes, at most ${key.max} are executed`);
    }
    const cyphertext = await key.encrypt(operation);
    // What is found not to be signed for the shard has a receipt by its ciphertext, for who has paid.
    return this.#run('invoke', [{ shard: this.shard, cyphertext: toHex(cyphertext) }], 'IndirectInvocationRegistered', options, [
      { operation: hash(operation), account: sender, signer },
      { operation: hash(cyphertext), account: options.payer.address, signer: options.payer },
    ]);
  }

  /** Moves funds of payer, in the smallest unit, from the parentchain to an account in the shard. */
  async shield(beneficiary: AccountId, amount: bigint, options: WaitOptions): Promise<Outcome<E>> {
    const encrypted = await (await this.shieldingKey(options.signal)).encrypt(accountBytes(beneficiary));
    return this.#run('shieldFunds', [this.shard, toHex(encrypted), encodeAmount(amount)], 'ShieldFunds', options, [
      { operation: hash(encrypted), account: options.payer.address, signer: options.payer },
    ]);
  }

  /** The proven receipt of an operation; null if the worker has none that the account may read. */
  async receipt(operation: Uint8Array, of: AccountId, signer: Account, signal?: AbortSignal): Promise<(Signed & { receipt: Receipt }) | null> {
    const who = accountBytes(of);
    const payload = concat(label('ocw/receipt/query/1'), fromHex(this.shard), operation, who);
    const query = concat(fromHex(this.shard), operation, who, delegate(of, signer), await sign(signer, payload));
    const answer = await this.#sealed('ocw_proveReceipt', toHex(query), signal);
    if (answer === null) {
      return null;
    }
    const proven = verifyReceipt(answer);
    await this.#check(proven);
    if (proven.receipt.operation !== toHex(operation)) {
      throw new OcwError('protocol', 'worker: ocw_proveReceipt: the receipt is of another operation');
    }
    return proven;
  }

  /** Submits a call of EnclaveBridge and waits for what the shard makes of it. The first query that has a receipt counts. */
  async #run(method: string, args: unknown[], event: string, options: WaitOptions, queries: { operation: Uint8Array; account: AccountId; signer: Account }[]): Promise<Outcome<E>> {
    const first = queries[0] as (typeof queries)[number];
    const wait = <T>(what: string, work: Promise<T>) => within(options.timeout ?? defaultTimeout, what, options.signal, work, 'unknown');
    const at = await wait('the extrinsic is in no final block yet', this.#submit(method, args, event, options));
    options.onProgress?.('finalized');
    const ended = new AbortController();
    try {
      await wait(`block ${at.block} is not executed yet`, this.#committed(at.block, ended.signal));
    } finally {
      ended.abort();
    }
    this.#seen = Math.max(this.#seen, at.block);
    options.onProgress?.('committed');
    const out = { operation: toHex(first.operation), extrinsic: at.extrinsic, block: at.block, blockHash: at.blockHash };
    if (options.receipt === false) {
      return { ...out, ok: null, code: null, error: null, reason: 'the receipt was not asked for', events: [], receipt: null };
    }
    for (const q of queries) {
      const proven = await this.receipt(q.operation, q.account, q.signer, options.signal);
      if (proven === null) {
        continue;
      }
      if (proven.receipt.block !== at.block || proven.receipt.index !== at.index || proven.block !== at.blockHash) {
        throw new OcwError('protocol', 'worker: the receipt is of another place in the chain');
      }
      return { ...out, ...this.#explain(proven.receipt), receipt: proven };
    }
    throw new OcwError('unknown', `block ${at.block} holds the operation, and the worker has no receipt of it`);
  }

  #explain(r: Receipt): Pick<Outcome<E>, 'ok' | 'code' | 'error' | 'reason' | 'events'> {
    const [code, reason] = this.app.codes[r.code] ?? [`code ${r.code}`, 'a code that this version does not know'];
    const events = r.events.map((e) => this.app.event(e)).filter((e) => e !== undefined);
    const ok = r.code === 0;
    if (code !== 'ModuleError') {
      return { ok, code, error: null, reason, events };
    }
    const module = this.app.modules[r.module];
    const [name, text] = module?.errors[r.error] ?? [`error ${r.error}`, reason];
    return { ok, code, error: { module: module?.name ?? `module ${r.module}`, name }, reason: text, events };
  }

  /** Submits and waits until a finalized block holds the extrinsic. */
  async #submit(method: string, args: unknown[], event: string, o: WaitOptions): Promise<Inclusion> {
    const make = this.api.tx.enclaveBridge?.[method];
    if (make === undefined) {
      throw new OcwError('rejected', `this parentchain has no EnclaveBridge.${method}`);
    }
    const tx = make(...args);
    const [who, signing] = 'sign' in o.payer ? [o.payer, {}] : [o.payer.address, { signer: o.payer.signer }];
    const signed = await tx.signAsync(who as AddressOrPair, signing as object).catch((e: unknown) => {
      throw new OcwError('signature', `${o.payer.address} has not signed the extrinsic: ${message(e)}`, { cause: e });
    });
    const result = await new Promise<ISubmittableResult>((resolve, reject) => {
      const watching = signed.send((r: ISubmittableResult) => {
        if (r.status.isReady) {
          o.onProgress?.('submitted');
        } else if (r.status.isInBlock) {
          o.onProgress?.('included');
        } else if (r.status.isFinalized) {
          resolve(r);
        } else if (r.isError) {
          reject(new OcwError('rejected', `the parentchain's pool says ${r.status.type}`));
        }
        if (r.status.isFinalized || r.isError) {
          void watching.then((off) => off());
        }
      });
      watching.catch((e: unknown) => {
        const refused = typeof (e as { code?: unknown }).code === 'number';
        reject(new OcwError(refused ? 'rejected' : 'unknown', `the parentchain does not take the extrinsic: ${message(e)}`, { cause: e }));
      });
    });
    if (result.dispatchError) {
      const { dispatchError: e } = result;
      const name = e.isModule ? this.api.registry.findMetaError(e.asModule).name : e.type;
      throw new OcwError('rejected', `the extrinsic failed on the parentchain: ${name}`);
    }
    const blockHash = result.status.asFinalized.toHex();
    const at = await this.api.at(blockHash);
    const records = (await at.query.system?.events?.()) as unknown as { phase: { isApplyExtrinsic: boolean; asApplyExtrinsic: { toNumber(): number } }; event: { section: string; method: string } }[];
    const index = records.findIndex(
      (r) => r.phase.isApplyExtrinsic && r.phase.asApplyExtrinsic.toNumber() === result.txIndex && r.event.section === 'enclaveBridge' && r.event.method === event,
    );
    if (index < 0) {
      throw new OcwError('protocol', `the block of the extrinsic has no event EnclaveBridge.${event} for it`);
    }
    const block = (await this.api.rpc.chain.getHeader(blockHash)).number.toNumber();
    return { extrinsic: result.txHash.toHex(), block, blockHash, index };
  }

  /** Waits until the worker has committed a block, also while it restarts. */
  async #committed(block: number, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      try {
        const status = (await this.worker.json('ocw_status', [], ended)) as { number: number };
        if (status.number >= block) {
          return;
        }
      } catch (e) {
        if (!(e instanceof OcwError && e.kind === 'unavailable')) {
          throw e;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** Checks that what was signed is about this shard and chain, and by a worker that may speak for it. */
  async #check(s: Pick<Signed, 'genesis' | 'shard' | 'by'>): Promise<void> {
    if (s.genesis !== this.api.genesisHash.toHex() || s.shard !== this.shard) {
      throw new OcwError('not-trusted', 'the worker speaks of another chain or shard');
    }
    if (this.trust === 'insecure-dev' || this.#accepted.has(s.by)) {
      return;
    }
    const inForce = await this.fingerprint();
    const want = this.trust.fingerprint ?? inForce;
    const enclave = await this.#registration(s.by);
    const attested = !('skip' in enclave.attestationMethod) && enclave.buildMode === 'Production' && enclave.status !== 'Invalid' && enclave.status !== 'GroupRevoked';
    if (enclave.mrEnclave !== want || want !== inForce) {
      throw new OcwError('not-trusted', `the worker's account ${s.by} is registered with fingerprint ${enclave.mrEnclave}; expected is ${want}, in force ${inForce}`);
    }
    if (!attested && !this.trust.acceptUnattested) {
      throw new OcwError('not-trusted', `the worker's account ${s.by} is registered without valid attestation`);
    }
    this.#accepted.add(s.by);
  }

  async #registration(who: AccountId): Promise<Registration> {
    const entry = (await this.#storage('teerex', 'sovereignEnclaves', who)) as Record<string, Registration> | null;
    const enclave = entry && Object.values(entry)[0];
    if (!enclave) {
      throw new OcwError('not-trusted', `the worker's account ${who} is no registered enclave`);
    }
    return enclave;
  }

  async #storage(pallet: string, item: string, key: string): Promise<unknown> {
    const entry = this.api.query[pallet]?.[item];
    if (entry === undefined) {
      throw new OcwError('rejected', `this parentchain has no ${pallet}.${item}`);
    }
    return (await entry(key)).toJSON();
  }
}

interface Registration {
  mrEnclave: Hex;
  reportData: { d: Hex };
  attestationMethod: Record<string, unknown>;
  buildMode: string;
  status: string;
}

/** SCALE of the signer as delegate, none if it signs for itself. */
function delegate(owner: AccountId, signer: Account): Uint8Array {
  const own = toHex(accountBytes(owner)) === toHex(accountBytes(signer.address));
  return encode(option(account), own ? null : signer.address);
}

/** An amount as polkadot.js takes it, checked to be one. */
function encodeAmount(amount: bigint): bigint {
  encode(u128, amount);
  return amount;
}
