// Drives a dev chain with unmodified polkadot-api (papi). Usage: node test.mjs ws://… SEED
// SEED is the hex of an ed25519 seed whose account has funds.
// Exits 0 if everything held, else prints the first failure.
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { WebSocket } from 'ws';
import { createClient, Binary, Enum } from 'polkadot-api';
import { getWsProvider } from 'polkadot-api/ws';
import { getPolkadotSigner } from 'polkadot-api/signer';

const [url, seedHex] = process.argv.slice(2);
const step = (name) => console.log(name);
// PKCS#8 of an ed25519 key is a fixed prefix and the seed.
const key = createPrivateKey({ key: Buffer.from('302e020100300506032b657004220420' + seedHex, 'hex'), format: 'der', type: 'pkcs8' });
const account = Uint8Array.from(Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url'));
const signer = getPolkadotSigner(account, 'Ed25519', (message) => Uint8Array.from(sign(null, message, key)));
const BOB = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';

const client = createClient(getWsProvider(url, { websocketClass: WebSocket }));
const api = client.getUnsafeApi();

step('connect');
const spec = await client.getChainSpecData();
assert.ok(['OCW Development', 'ocw-node'].includes(spec.name)); // the old API has no name of the chain
const finalized = await client.getFinalizedBlock();
assert.ok(finalized.number >= 0);
assert.equal((await api.constants.Balances.ExistentialDeposit()).toString(), '1000000000');

step('query');
const before = await api.query.System.Account.getValue(BOB);
assert.ok(before.data.free > 0n);
assert.equal(await api.query.Teerex.AllowSkippingAttestation.getValue(), true);
assert.ok((await api.query.System.Account.getEntries()).length >= 8);
assert.equal(await api.apis.AccountNonceApi.account_nonce(BOB), 0);

step('transfer');
const transfer = api.tx.Balances.transfer_keep_alive({ dest: Enum('Id', BOB), value: 5_000_000_000_000n });
const fee = await transfer.getEstimatedFees(account);
const result = await transfer.signAndSubmit(signer);
assert.ok(result.ok);
assert.deepEqual(result.events.map((e) => `${e.type}.${e.value.type}`),
  ['Balances.Withdraw', 'Balances.Transfer', 'TransactionPayment.TransactionFeePaid', 'System.ExtrinsicSuccess']);
assert.equal(result.events[2].value.value.actual_fee, fee);
const after = await api.query.System.Account.getValue(BOB, { at: 'best' });
assert.equal(after.data.free - before.data.free, 5_000_000_000_000n);

step('failing call');
const failed = await api.tx.EnclaveBridge.confirm_processed_parentchain_block({
  shard: '0x' + '11'.repeat(32), block_hash: '0x' + '22'.repeat(32), block_number: 1, trusted_calls_merkle_root: '0x' + '33'.repeat(32),
}).signAndSubmit(signer);
assert.equal(failed.ok, false);
assert.equal(failed.dispatchError.type, 'Module');
assert.equal(failed.dispatchError.value.type, 'Teerex');
assert.equal(failed.dispatchError.value.value.type, 'EnclaveIsNotRegistered');

step('watch');
const kinds = [];
await new Promise((resolve, reject) => {
  api.tx.System.remark({ remark: Binary.fromText('x') }).signSubmitAndWatch(signer).subscribe({
    next: (event) => { kinds.push(event.type); if (event.type === 'finalized') resolve(); }, error: reject,
  });
});
assert.ok(kinds.includes('txBestBlocksState') && kinds.at(-1) === 'finalized', `saw ${kinds}`);

step('blocks');
const numbers = [];
let sent;
await new Promise((resolve, reject) => {
  const subscription = client.finalizedBlock$.subscribe({ next: (b) => {
    numbers.push(b.number);
    if (numbers.length === 1) sent = api.tx.System.remark({ remark: Binary.fromText('y') }).signAndSubmit(signer);
    if (numbers.length === 2) { subscription.unsubscribe(); resolve(); }
  }, error: reject });
});
assert.equal(numbers[1], numbers[0] + 1);
assert.ok((await sent).ok);
const { hash, number } = await client.getFinalizedBlock();
assert.equal((await client.getBlockHeader(hash)).number, number);
assert.ok((await client.getBlockBody(hash)).length >= 1);

client.destroy();
console.log('ok');
