// Drives a parachain and its relay chain with unmodified @polkadot/api.
// Usage: node para.mjs ws://PARACHAIN ws://RELAY. The relay chain makes blocks
// when dev_newBlock asks for them. Exits 0 if everything held.
import assert from 'node:assert/strict';
import { ApiPromise, WsProvider, Keyring } from '@polkadot/api';
import { blake2AsHex } from '@polkadot/util-crypto';

const [paraUrl, relayUrl] = process.argv.slice(2);
const UNIT = 1_000_000_000_000n;
const step = (name) => console.log(name);

// Anything the library complains about is a failure: it decodes around trouble.
const complaints = [];
for (const level of ['warn', 'error']) {
  const original = console[level];
  console[level] = (...args) => { complaints.push(args.join(' ')); original(...args); };
}

const relayProvider = new WsProvider(relayUrl);
const para = await ApiPromise.create({ provider: new WsProvider(paraUrl), throwOnConnect: true });
const relay = await ApiPromise.create({ provider: relayProvider, throwOnConnect: true });
const keyring = new Keyring({ type: 'sr25519' });
const [alice, bob] = ['//Alice', '//Bob'].map((uri) => keyring.addFromUri(uri));

step('connect');
const pallets = (api) => api.runtimeMetadata.asLatest.pallets.map((p) => `${p.index}:${p.name}`);
assert.deepEqual(pallets(para), ['0:System', '1:ParachainSystem', '4:ParachainInfo', '3:Timestamp', '5:Sudo', '6:Multisig', '7:Proxy', '8:Scheduler',
  '9:Utility', '10:Balances', '11:TransactionPayment', '50:Teerex', '54:EnclaveBridge']);
assert.deepEqual(pallets(relay), ['0:System', '3:Timestamp', '5:Sudo', '6:Multisig', '7:Proxy', '8:Scheduler', '9:Utility', '10:Balances',
  '11:TransactionPayment', '24:Grandpa', '54:ParaInherent', '56:Paras']);
assert.equal(para.runtimeVersion.specName.toString(), 'ocw-dev-para');
assert.equal(para.rpc.grandpa.proveFinality, undefined);
const id = await para.query.parachainInfo.parachainId();
assert.equal(id.toNumber(), 2000);
assert.deepEqual((await relay.query.paras.parachains()).map((p) => p.toNumber()), [2000]);
assert.ok((await relay.query.paras.paraLifecycles(id)).unwrap().isParachain);

const head = async (at) => blake2AsHex((await (await relay.at(at)).query.paras.heads(id)).unwrap().toU8a(true));
assert.equal(await head(relay.genesisHash), para.genesisHash.toHex());

step('transfer');
const finalized = [];
await para.rpc.chain.subscribeFinalizedHeads((h) => { finalized.push(h.number.toNumber()); });
const seen = [];
let included, done;
const inBlock = new Promise((resolve) => { included = resolve; });
const final = new Promise((resolve) => { done = resolve; });
await para.tx.balances.transferKeepAlive(bob.address, UNIT).signAndSend(alice, (result) => {
  seen.push(result.status.type);
  assert.ok(!result.isError, result.status.type);
  if (result.status.isInBlock) included(result.status.asInBlock);
  if (result.status.isFinalized) done(result);
});
const block = await inBlock;
const signed = await para.rpc.chain.getBlock(block);
assert.deepEqual(signed.block.extrinsics.map((x) => `${x.method.section}.${x.method.method}`),
  ['parachainSystem.setValidationData', 'timestamp.set', 'balances.transferKeepAlive']);
assert.ok(signed.justifications.isNone);
const { validationData } = signed.block.extrinsics[0].method.args[0];
assert.equal(blake2AsHex(validationData.parentHead.toU8a(true)), signed.block.header.parentHash.toHex());

step('not final before the relay chain says so');
assert.deepEqual(seen, ['Ready', 'InBlock']);
assert.equal((await para.rpc.chain.getFinalizedHead()).toHex(), para.genesisHash.toHex());
assert.equal((await para.rpc.chain.getHeader()).number.toNumber(), 1);

step('final');
const included1 = await relayProvider.send('dev_newBlock', []);
const result = await final;
assert.equal(result.status.asFinalized.toHex(), block.toHex());
assert.deepEqual(result.events.map(({ event }) => `${event.section}.${event.method}`),
  ['balances.Withdraw', 'balances.Transfer', 'transactionPayment.TransactionFeePaid', 'system.ExtrinsicSuccess']);
assert.equal(result.txIndex, 2);
assert.equal((await para.query.system.account(bob.address)).data.free.toBigInt(), 1001n * UNIT);
assert.equal(await head(included1), block.toHex());
const relayBlock = await relay.rpc.chain.getBlock(included1);
assert.deepEqual(relayBlock.block.extrinsics.map((x) => `${x.method.section}.${x.method.method}`), ['timestamp.set', 'paraInherent.enter']);
assert.ok(relayBlock.justifications.isSome);
const events = await (await relay.at(included1)).query.system.events();
assert.ok(events.some(({ event }) => event.section === 'paras' && event.method === 'NewHeadNoted'));
assert.ok((await relay.rpc.grandpa.proveFinality(1)).isSome);
while (finalized.at(-1) < 1) await new Promise((resolve) => setTimeout(resolve, 10));
assert.deepEqual(finalized, [0, 1]);

await para.disconnect();
await relay.disconnect();
const expected = /RPC methods not decorated: archive_v1_/;
assert.deepEqual(complaints.filter((c) => !expected.test(c)), []);
console.log('ok');
process.exit(0); // the library has timers left
