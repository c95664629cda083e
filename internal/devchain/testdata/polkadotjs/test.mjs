// Drives a dev chain with unmodified @polkadot/api. Usage: node test.mjs ws://…
// Exits 0 if everything held, else prints the first failure.
import assert from 'node:assert/strict';
import { ApiPromise, WsProvider, Keyring } from '@polkadot/api';

const url = process.argv[2];
const UNIT = 1_000_000_000_000n;
const step = (name) => console.log(name);

// Anything the library complains about is a failure: it decodes around trouble.
const complaints = [];
for (const level of ['warn', 'error']) {
  const original = console[level];
  console[level] = (...args) => { complaints.push(args.join(' ')); original(...args); };
}

const provider = new WsProvider(url);
const api = await ApiPromise.create({ provider, throwOnConnect: true });
const keyring = new Keyring({ type: 'sr25519' });
const [alice, bob, charlie] = ['//Alice', '//Bob', '//Charlie'].map((uri) => keyring.addFromUri(uri));
const ed = new Keyring({ type: 'ed25519' }).addFromUri('//Carol');
const ecdsa = new Keyring({ type: 'ecdsa' }).addFromUri('//Dora');

step('connect');
assert.equal(api.runtimeVersion.specName.toString(), 'ocw-dev');
assert.equal((await api.rpc.system.chainType()).toString(), 'Development');
assert.equal(api.registry.chainSS58, 42);
assert.deepEqual(api.registry.chainDecimals, [12]);
assert.deepEqual(api.registry.chainTokens, ['UNIT']);
assert.deepEqual(api.runtimeMetadata.asLatest.pallets.map((p) => `${p.index}:${p.name}`),
  ['0:System', '3:Timestamp', '5:Sudo', '6:Multisig', '7:Proxy', '8:Scheduler', '9:Utility', '10:Balances', '11:TransactionPayment', '24:Grandpa', '50:Teerex', '54:EnclaveBridge']);
assert.deepEqual(api.registry.signedExtensions, ['CheckNonZeroSender', 'CheckSpecVersion', 'CheckTxVersion', 'CheckGenesis',
  'CheckMortality', 'CheckNonce', 'CheckWeight', 'ChargeTransactionPayment', 'CheckMetadataHash']);
assert.equal(api.consts.balances.existentialDeposit.toBigInt(), 1_000_000_000n);
assert.equal(api.consts.system.blockHashCount.toNumber(), 4096);
assert.ok(api.consts.system.blockWeights.perClass.normal.maxTotal.unwrap().refTime.toBigInt() > 0n);
assert.equal(api.consts.system.blockLength.max.mandatory.toNumber(), 5 * 1024 * 1024);
assert.equal(api.consts.system.version.specName.toString(), 'ocw-dev');

step('balances');
const account = await api.query.system.account(alice.address);
assert.equal(account.data.free.toBigInt(), 1000n * UNIT);
assert.equal(account.nonce.toNumber(), 0);
assert.equal(account.data.flags.toBigInt(), 1n << 127n);
assert.equal((await api.derive.balances.all(bob.address)).freeBalance.toBigInt(), 1000n * UNIT);
assert.equal((await api.query.balances.totalIssuance()).toBigInt(), 8000n * UNIT);
assert.equal((await api.query.system.account(ed.address)).data.free.toBigInt(), 0n);
assert.equal((await api.query.system.account.keys()).length, 8);
assert.equal((await api.query.system.account.multi([alice.address, bob.address])).length, 2);
assert.equal((await api.query.grandpa.authorities()).length, 1);
assert.ok((await api.query.teerex.allowSkippingAttestation()).isTrue);
assert.ok((await api.query.enclaveBridge.shardConfigRegistry('0x' + '11'.repeat(32))).isNone);
assert.equal((await api.call.accountNonceApi.accountNonce(alice.address)).toNumber(), 0);
assert.equal((await api.call.grandpaApi.grandpaAuthorities()).length, 1);
assert.equal((await api.rpc.system.accountNextIndex(alice.address)).toNumber(), 0);

step('subscribe heads and events');
const heads = [];
const finalized = [];
const events = [];
const unsubscribe = await Promise.all([
  api.rpc.chain.subscribeNewHeads((h) => { heads.push(h.number.toNumber()); }),
  api.rpc.chain.subscribeFinalizedHeads((h) => { finalized.push(h.number.toNumber()); }),
  api.derive.chain.subscribeNewHeads(() => {}),
  api.query.system.events((records) => { for (const r of records) events.push(`${r.event.section}.${r.event.method}`); }),
]);

// send signs and submits, and resolves with the events of the extrinsic once it is final.
const send = (tx, signer, options = {}) => new Promise((resolve, reject) => {
  const seen = [];
  tx.signAndSend(signer, options, (result) => {
    seen.push(result.status.type);
    if (result.isError) reject(new Error(`${result.status.type}`));
    if (result.status.isFinalized) resolve({ seen, events: result.events, error: result.dispatchError, block: result.status.asFinalized, index: result.txIndex });
  }).catch(reject);
});
const names = (records) => records.map(({ event }) => `${event.section}.${event.method}`);

step('transfer');
const transfer = api.tx.balances.transferKeepAlive(bob.address, 5n * UNIT);
const info = await transfer.paymentInfo(alice.address);
let r = await send(transfer, alice);
assert.deepEqual(r.seen, ['Ready', 'InBlock', 'Finalized']);
assert.deepEqual(names(r.events), ['balances.Withdraw', 'balances.Transfer', 'transactionPayment.TransactionFeePaid', 'system.ExtrinsicSuccess']);
const paid = r.events[2].event.data;
assert.equal(paid.who.toString(), alice.address);
assert.equal(paid.actualFee.toBigInt(), info.partialFee.toBigInt());
assert.equal(r.events[1].event.data.amount.toBigInt(), 5n * UNIT);
assert.equal((await api.query.system.account(bob.address)).data.free.toBigInt(), 1005n * UNIT);
assert.equal((await api.query.system.account(alice.address)).data.free.toBigInt(), 995n * UNIT - info.partialFee.toBigInt());
assert.equal(r.index, 1);

const signed = await api.rpc.chain.getBlock(r.block);
assert.equal(signed.block.extrinsics.length, 2);
assert.equal(signed.block.extrinsics[0].method.toString().slice(0, 1), '{');
assert.equal(signed.block.extrinsics[0].method.section, 'timestamp');
assert.equal(signed.block.extrinsics[0].method.args[0].toBigInt(), (await (await api.at(r.block)).query.timestamp.now()).toBigInt());
assert.equal(signed.block.extrinsics[1].method.section, 'balances');
assert.equal(signed.block.extrinsics[1].signer.toString(), alice.address);
assert.ok(signed.justifications.isSome);
assert.equal(signed.block.header.hash.toHex(), r.block.toHex());
const raw = signed.block.extrinsics[1].toU8a();
const details = [await api.call.transactionPaymentApi.queryFeeDetails(raw, raw.length), await api.rpc.payment.queryFeeDetails(signed.block.extrinsics[1].toHex())];
for (const { inclusionFee } of details) {
  const { baseFee, lenFee, adjustedWeightFee } = inclusionFee.unwrap();
  assert.equal(baseFee.toBigInt() + lenFee.toBigInt() + adjustedWeightFee.toBigInt(), info.partialFee.toBigInt());
}
const before = await api.at(signed.block.header.parentHash);
assert.equal((await before.query.system.account(bob.address)).data.free.toBigInt(), 1000n * UNIT);

step('three signature schemes');
for (const pair of [ed, ecdsa]) {
  assert.equal((await send(api.tx.balances.transferAllowDeath(pair.address, UNIT), alice)).error, undefined);
  r = await send(api.tx.system.remarkWithEvent('0x1234'), pair);
  assert.deepEqual(names(r.events).slice(-3), ['system.Remarked', 'transactionPayment.TransactionFeePaid', 'system.ExtrinsicSuccess']);
}

step('dispatch errors');
r = await send(api.tx.balances.transferAllowDeath(bob.address, 100_000n * UNIT), charlie);
assert.deepEqual(names(r.events), ['balances.Withdraw', 'transactionPayment.TransactionFeePaid', 'system.ExtrinsicFailed']);
assert.ok(r.error.isToken && r.error.asToken.isFundsUnavailable);
r = await send(api.tx.enclaveBridge.confirmProcessedParentchainBlock('0x' + '11'.repeat(32), r.block, 1, r.block), charlie);
assert.ok(r.error.isModule);
const meta = api.registry.findMetaError(r.error.asModule);
assert.equal(`${meta.section}.${meta.name}`, 'teerex.EnclaveIsNotRegistered');

step('refused extrinsics');
await assert.rejects(api.tx.balances.transferKeepAlive(bob.address, 1n).signAndSend(alice, { nonce: 0 }), /1010: Invalid Transaction: Transaction is outdated/);
await assert.rejects(api.tx.balances.transferKeepAlive(bob.address, 1n).signAndSend(keyring.addFromUri('//Nobody'), { nonce: 0 }), /1010: Invalid Transaction: Inability to pay some fees/);

step('enclaveBridge and teerex');
const shard = '0x' + 'aa'.repeat(32);
r = await send(api.tx.enclaveBridge.invoke({ shard, cyphertext: '0x' + '07'.repeat(384) }), bob);
assert.deepEqual(names(r.events), ['balances.Withdraw', 'enclaveBridge.IndirectInvocationRegistered', 'transactionPayment.TransactionFeePaid', 'system.ExtrinsicSuccess']);
assert.equal(r.events[1].event.data[0].toHex(), shard);
r = await send(api.tx.teerex.registerSgxEnclave(shard, 'wss://127.0.0.1:2000', { Skip: { proxied: false } }), charlie);
assert.ok(names(r.events).includes('teerex.AddedSgxEnclave'));
assert.deepEqual(r.events.find(({ event }) => event.method === 'AddedSgxEnclave').event.data.toHuman(),
  { registeredBy: charlie.address, workerUrl: 'wss://127.0.0.1:2000', tcbStatus: 'Invalid', attestationMethod: { Skip: { proxied: false } } });
const enclave = (await api.query.teerex.sovereignEnclaves(charlie.address)).unwrap().asSgx;
assert.equal(enclave.mrEnclave.toHex(), shard);
assert.ok(enclave.buildMode.isProduction && enclave.status.isInvalid);
r = await send(api.tx.enclaveBridge.updateShardConfig(shard, { enclaveFingerprint: shard, maxInstances: null, authorities: null, maintenanceMode: false }, 0), charlie);
assert.ok(names(r.events).includes('enclaveBridge.ShardConfigUpdated'));
assert.equal((await api.query.enclaveBridge.shardConfigRegistry(shard)).unwrap().activeConfig.enclaveFingerprint.toHex(), shard);
r = await send(api.tx.enclaveBridge.shieldFunds(shard, '0x' + '08'.repeat(384), 3n * UNIT), bob);
assert.deepEqual(names(r.events), ['balances.Withdraw', 'system.NewAccount', 'balances.Endowed', 'balances.Transfer', 'enclaveBridge.ShieldFunds',
  'transactionPayment.TransactionFeePaid', 'system.ExtrinsicSuccess']);
r = await send(api.tx.enclaveBridge.unshieldFunds(shard, bob.address, UNIT, r.block), charlie);
assert.ok(names(r.events).includes('enclaveBridge.UnshieldedFunds'));
assert.equal((await api.query.enclaveBridge.shardStatus(shard)).unwrap()[0].signer.toString(), charlie.address);

step('nested calls');
const invoke = (data) => api.tx.enclaveBridge.invoke({ shard, cyphertext: data });
const shieldFunds = api.tx.enclaveBridge.shieldFunds(shard, '0x09', UNIT);
r = await send(api.tx.utility.batch([invoke('0x01'), invoke('0x02'), shieldFunds]), bob);
assert.deepEqual(names(r.events), ['balances.Withdraw', 'enclaveBridge.IndirectInvocationRegistered', 'utility.ItemCompleted',
  'enclaveBridge.IndirectInvocationRegistered', 'utility.ItemCompleted', 'balances.Transfer', 'enclaveBridge.ShieldFunds', 'utility.ItemCompleted',
  'utility.BatchCompleted', 'transactionPayment.TransactionFeePaid', 'system.ExtrinsicSuccess']);
const { method: batch } = (await api.rpc.chain.getBlock(r.block)).block.extrinsics[r.index];
assert.equal(`${batch.section}.${batch.method}`, 'utility.batch');
assert.deepEqual(batch.args[0].map((c) => `${c.section}.${c.method}`), ['enclaveBridge.invoke', 'enclaveBridge.invoke', 'enclaveBridge.shieldFunds']);
assert.deepEqual(batch.args[0].slice(0, 2).map((c) => c.args[0].cyphertext.toHex()), ['0x01', '0x02']);
assert.equal(batch.args[0][2].args[2].toBigInt(), UNIT);
r = await send(api.tx.utility.batch([invoke('0x01'), api.tx.balances.transferAllowDeath(bob.address, 100_000n * UNIT)]), bob);
const interrupted = r.events.find(({ event }) => event.method === 'BatchInterrupted').event.data;
assert.ok(interrupted.index.toNumber() === 1 && interrupted.error.isToken);
assert.equal((await api.query.sudo.key()).unwrap().toString(), alice.address);
r = await send(api.tx.sudo.sudo(api.tx.utility.dispatchAs({ system: { Signed: bob.address } }, shieldFunds)), alice);
assert.deepEqual(names(r.events).slice(1, 5), ['balances.Transfer', 'enclaveBridge.ShieldFunds', 'utility.DispatchedAs', 'sudo.Sudid']);
assert.ok(r.events[3].event.data.result.isOk && r.events[4].event.data.sudoResult.isOk);
r = await send(api.tx.sudo.sudo(api.tx.balances.transferAllowDeath(bob.address, 1n)), alice);
assert.ok(r.events.find(({ event }) => event.method === 'Sudid').event.data.sudoResult.asErr.isBadOrigin);
await send(api.tx.proxy.addProxy(bob.address, 'NonTransfer', 0), alice);
assert.equal((await api.query.proxy.proxies(alice.address))[0][0].proxyType.toString(), 'NonTransfer');
r = await send(api.tx.proxy.proxy(alice.address, null, invoke('0x03')), bob);
assert.ok(r.events.find(({ event }) => event.method === 'ProxyExecuted').event.data.result.isOk);
const others = [bob.address, charlie.address].sort((a, b) => Buffer.compare(Buffer.from(keyring.decodeAddress(a)), Buffer.from(keyring.decodeAddress(b))));
r = await send(api.tx.multisig.asMulti(2, others, null, invoke('0x04'), { refTime: 0, proofSize: 0 }), alice);
assert.ok(names(r.events).includes('multisig.NewMultisig'));
assert.equal((await api.query.multisig.multisigs.entries()).length, 1);
r = await send(api.tx.sudo.sudo(api.tx.scheduler.scheduleAfter(0, null, 0, api.tx.utility.dispatchAs({ system: { Signed: bob.address } }, shieldFunds))), alice);
assert.ok(names(r.events).includes('scheduler.Scheduled'));
assert.equal((await api.query.scheduler.agenda.entries()).length, 1);
r = await send(api.tx.system.remark('0x'), alice);
const initial = (await (await api.at(r.block)).query.system.events()).filter(({ phase }) => phase.isInitialization);
assert.deepEqual(names(initial), ['balances.Transfer', 'enclaveBridge.ShieldFunds', 'utility.DispatchedAs', 'scheduler.Dispatched']);

step('proofs and finality');
const key = api.query.system.events.key();
assert.ok((await api.rpc.state.getReadProof([key], r.block)).proof.length > 0);
assert.ok((await api.rpc.grandpa.proveFinality(1)).isSome);

step('subscriptions saw everything');
const last = (await api.rpc.chain.getHeader()).number.toNumber();
while (finalized.at(-1) < last) await new Promise((resolve) => setTimeout(resolve, 10));
for (const list of [heads, finalized]) {
  for (let i = 1; i < list.length; i++) assert.equal(list[i], list[i - 1] + 1, `gap in heads: ${list}`);
}
for (const name of ['balances.Transfer', 'enclaveBridge.IndirectInvocationRegistered', 'teerex.AddedSgxEnclave', 'system.ExtrinsicFailed', 'enclaveBridge.ShieldFunds']) {
  assert.ok(events.includes(name), `no ${name} in the subscribed events`);
}
for (const stop of unsubscribe) stop();
await api.disconnect();
// It does not know the new API, which every node lists, and says so.
const expected = /submitExtrinsic.* 1010: Invalid Transaction|RPC methods not decorated: archive_v1_/;
assert.deepEqual(complaints.filter((c) => !expected.test(c)), []);
console.log('ok');
