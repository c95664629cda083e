/** What is composed with the type tables of @encointer/types is what the client composes and the sample app executes. */
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';
import { TypeRegistry } from '@polkadot/types';
import type { Codec } from '@polkadot/types/types';
import { u8aToHex } from '@polkadot/util';
import { connect, decode, encode, ocw } from '../sample/src/index.js';
import { assert, equal, type Network, show } from './scenario.js';

declare const process: { argv: string[]; exit(code: number): never };

const [, , network, definitions] = process.argv as [string, string, string, string];
const at = JSON.parse(network) as Network;
const { default: table } = (await import(definitions)) as { default: { types: Record<string, string> } };
const registry = new TypeRegistry();
// The package takes these from elsewhere.
const ParentchainId = { _enum: ['Integritee', 'TargetA', 'TargetB'] };
registry.register({ ...table.types, ParentchainId, ShardIdentifier: 'H256', BalanceType: 'u128' } as never);
const theirs = (type: string, value: unknown): Codec => registry.createType(type, value);
const same = (type: string, value: unknown, ours: Uint8Array): void =>
  equal(u8aToHex(ours), u8aToHex(theirs(type, value).toU8a()), `${type} ${show(value)}`);

const api = await ApiPromise.create({ provider: new WsProvider(at.chain), noInitWarn: true });
const app = await connect({ api, worker: at.worker, trust: { acceptUnattested: true } });
const pairs = new Keyring({ type: 'sr25519' });
const payer = pairs.addFromUri(at.payer);
const alice = pairs.addFromUri('//AliceIncognito');
const bob = pairs.addFromUri('//BobIncognito');
const [a, b, shard] = [alice.address, bob.address, app.client.shard];
const unit = 1_000_000_000_000n;
const seed: ocw.Hex = `0x${'07'.repeat(32)}`;
const proxy = { role: { type: 'Any' as const }, expiry: null, seed };

const calls: [unknown, Uint8Array][] = [
  [{ noop: a }, encode.balances.noop(a)],
  [{ balance_transfer: [a, b, unit] }, encode.balances.balanceTransfer(a, b, unit)],
  [{ balance_transfer_with_note: [a, b, unit, 'for süß'] }, encode.balances.balanceTransferWithNote(a, b, unit, new TextEncoder().encode('for süß'))],
  [{ balance_shield_through_enclave_bridge_pallet: [a, b, unit] }, encode.balances.balanceShieldThroughEnclaveBridgePallet(a, b, unit)],
  [{ balance_unshield_through_enclave_bridge_pallet: [a, b, unit, shard] }, encode.balances.balanceUnshieldThroughEnclaveBridgePallet(a, b, unit, shard)],
  [{ balance_unshield: [a, b, unit, shard] }, encode.unsupported.balanceUnshield(a, b, unit, shard)],
  [{ balance_shield: [a, b, unit, 'TargetB'] }, encode.unsupported.balanceShield(a, b, unit, 'TargetB')],
  [{ send_note: [a, b, 'hi'] }, encode.notes.sendNote(a, b, new TextEncoder().encode('hi'))],
  [{ add_session_proxy: [a, b, { role: 'any', expiry: null, seed }] }, encode.sessionProxy.addSessionProxy(a, b, proxy)],
  [
    { add_session_proxy: [a, b, { role: { transferAllowance: 5 }, expiry: 9, seed }] },
    encode.sessionProxy.addSessionProxy(a, b, { role: { type: 'TransferAllowance', value: 5n }, expiry: 9n, seed }),
  ],
  [{ assets_transfer: [a, b, 'USDC_E', 3] }, encode.unsupported.assetsTransfer(a, b, 'USDC_E', 3n)],
  [{ assets_unshield: [a, b, 'PEPE_E', 3, shard] }, encode.unsupported.assetsUnshield(a, b, 'PEPE_E', 3n, shard)],
  [{ guess_the_number: { set_winnings: [a, 7] } }, encode.guessTheNumber.setWinnings(a, 7n)],
  [{ guess_the_number: { push_by_one_day: a } }, encode.guessTheNumber.pushByOneDay(a)],
  [{ guess_the_number: { guess: [a, 1234] } }, encode.guessTheNumber.guess(a, 1234)],
];
const trusted: [unknown, Uint8Array][] = [
  [{ account_info: a }, encode.balances.accountInfo(a)],
  [{ account_info_and_session_proxies: a }, encode.sessionProxy.accountInfoAndSessionProxies(a)],
  [{ account_essentials: a }, encode.sessionProxy.accountEssentials(a)],
  [{ notes_for: [a, 2] }, encode.notes.notesFor(a, 2)],
  [{ asset_balance: [a, 'WETH'] }, encode.unsupported.assetBalance(a, 'WETH')],
  [{ guess_the_number: { attempts: { origin: a } } }, encode.guessTheNumber.guessAttempts(a)],
];
const open: [unknown, Uint8Array][] = [
  ['some_value', encode.balances.someValue()],
  ['total_issuance', encode.balances.totalIssuance()],
  [{ undistributed_fees: null }, encode.balances.undistributedFees(null)],
  [{ undistributed_fees: 'BTC' }, encode.balances.undistributedFees('BTC')],
  ['parentchains_info', encode.parentchain.parentchainsInfo()],
  ['note_buckets_info', encode.notes.noteBucketsInfo()],
  ['shard_info', encode.parentchain.shardInfo()],
  [{ asset_total_issuance: 'ETH' }, encode.unsupported.assetTotalIssuance('ETH')],
  [{ guess_the_number: 'guess_the_number_info' }, encode.guessTheNumber.guessTheNumberInfo()],
];
calls.forEach(([value, ours]) => same('IntegriteeTrustedCall', value, ours));
trusted.forEach(([value, ours]) => same('IntegriteeTrustedGetter', value, ours));
open.forEach(([value, ours]) => same('IntegriteePublicGetter', value, ours));
console.log(`ok: ${calls.length} calls and ${trusted.length + open.length} getters have the same bytes`);

const operation = await app.client.operation(alice, () => encode.balances.noop(a), 3);
const read = theirs('IntegriteeTrustedOperation', operation);
equal(u8aToHex(read.toU8a()), u8aToHex(operation), 'a signed operation is read to its end');
const human = read.toJSON() as { indirectCall?: { nonce: number; delegate: unknown; call: { noop: string } } };
equal([human.indirectCall?.nonce, human.indirectCall?.delegate, human.indirectCall?.call.noop], [3, null, a], 'and has its parts');

assert((await app.client.shield(a, 6n * unit, { payer })).ok, 'shielding');
let nonce = 0;
for (const call of [calls[1], calls[2], calls[7], calls[8], calls[14]]) {
  const raw = theirs('IntegriteeTrustedCall', call?.[0]).toU8a();
  const outcome = await app.client.invoke(alice, () => raw, { payer, nonce: nonce++ });
  // There is no round to guess in yet.
  assert(outcome.ok || outcome.error?.module === 'GuessTheNumber', `${show(call?.[0])}: ${outcome.code} ${outcome.reason}`);
}
console.log('ok: they are executed');

const ask = async (getter: unknown): Promise<Uint8Array> => {
  const answer = await app.client.askAs(alice, () => theirs('IntegriteeTrustedGetter', getter).toU8a());
  assert(answer, `an answer to ${show(getter)}`);
  return answer;
};
/** Reads an answer with their types, to its end. */
const reads = <T>(type: string, answer: Uint8Array): T => {
  const c = theirs(type, answer);
  equal(u8aToHex(c.toU8a()), u8aToHex(answer), `an answer of type ${type}`);
  return c.toJSON() as T;
};
const ours = decode.balances.accountInfo(await ask({ account_info: a }));
const info = theirs('AccountInfo', await ask({ account_info: a })) as unknown as { nonce: { toNumber(): number }; data: { free: { toBigInt(): bigint } } };
equal([info.nonce.toNumber(), info.data.free.toBigInt()], [nonce, ours.data.free], 'account_info');
const essentials = reads<{ session_proxies: { seed: string }[] }>('AccountEssentials', await ask({ account_essentials: a }));
equal(essentials.session_proxies.map((p) => p.seed), [seed], 'the session proxy');
const notes = reads<{ note: { successfulTrustedCall: string } }[]>('Vec<TimestampedTrustedNote>', await ask({ notes_for: [a, 0] }));
const noted = notes.map((n) => Object.keys(theirs('IntegriteeTrustedCall', n.note.successfulTrustedCall).toJSON() as object)[0]);
assert(noted.includes('balanceTransfer') && noted.includes('sendNote'), `the calls are noted: ${String(noted)}`);
reads('u8', await ask({ guess_the_number: { attempts: { origin: a } } }));

const askAll = async (getter: unknown): Promise<Uint8Array> => {
  const answer = await app.client.ask(theirs('IntegriteePublicGetter', getter).toU8a());
  assert(answer, `an answer to ${show(getter)}`);
  return answer;
};
equal(reads('u32', await askAll('some_value')), 42, 'some_value');
reads('u128', await askAll('total_issuance'));
reads('u128', await askAll({ undistributed_fees: null }));
const buckets = reads<{ last: { index: number } | null }>('NotesBucketInfo', await askAll('note_buckets_info'));
equal(buckets.last?.index, 0, 'the last bucket of notes');
reads('GuessTheNumberInfo', await askAll({ guess_the_number: 'guess_the_number_info' }));
console.log('ok: the answers are read');
process.exit(0);
