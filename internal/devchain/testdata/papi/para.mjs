// Drives a parachain and its relay chain with unmodified polkadot-api (papi).
// Usage: node para.mjs ws://PARACHAIN ws://RELAY SEED. SEED is the hex of an
// ed25519 seed whose account has funds on the parachain. The relay chain makes
// blocks when dev_newBlock asks for them. Exits 0 if everything held.
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { WebSocket } from 'ws';
import { createClient, Enum } from 'polkadot-api';
import { getWsProvider } from 'polkadot-api/ws';
import { getPolkadotSigner } from 'polkadot-api/signer';

const [paraUrl, relayUrl, seedHex] = process.argv.slice(2);
const step = (name) => console.log(name);
// PKCS#8 of an ed25519 key is a fixed prefix and the seed.
const key = createPrivateKey({ key: Buffer.from('302e020100300506032b657004220420' + seedHex, 'hex'), format: 'der', type: 'pkcs8' });
const account = Uint8Array.from(Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url'));
const signer = getPolkadotSigner(account, 'Ed25519', (message) => Uint8Array.from(sign(null, message, key)));
const BOB = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';

const [para, relay] = [paraUrl, relayUrl].map((url) => createClient(getWsProvider(url, { websocketClass: WebSocket })));
const [paraApi, relayApi] = [para.getUnsafeApi(), relay.getUnsafeApi()];

step('connect');
assert.equal((await para.getChainSpecData()).name, 'OCW Development Parachain');
assert.equal((await relay.getChainSpecData()).name, 'OCW Development Relay');
assert.equal(await paraApi.query.ParachainInfo.ParachainId.getValue(), 2000);
assert.deepEqual(await relayApi.query.Paras.Parachains.getValue(), [2000]);
const genesisHead = await relayApi.query.Paras.Heads.getValue(2000);
assert.notEqual(genesisHead, undefined);

step('transfer');
const finalized = [];
const heads = para.finalizedBlock$.subscribe((b) => finalized.push(b.number));
const kinds = [];
let found, done;
const best = new Promise((resolve) => { found = resolve; });
const final = new Promise((resolve, reject) => { done = resolve;
  paraApi.tx.Balances.transfer_keep_alive({ dest: Enum('Id', BOB), value: 5_000_000_000_000n }).signSubmitAndWatch(signer).subscribe({
    next: (event) => {
      kinds.push(event.type);
      if (event.type === 'txBestBlocksState' && event.found) found(event.block);
      if (event.type === 'finalized') done(event);
    }, error: reject,
  });
});
const block = await best;

step('not final before the relay chain says so');
assert.ok(!kinds.includes('finalized'));
assert.equal((await para.getFinalizedBlock()).number, 0);
const free = async (at) => (await paraApi.query.System.Account.getValue(BOB, { at })).data.free;
assert.equal(await free('best') - await free('finalized'), 5_000_000_000_000n);

step('final');
await relay._request('dev_newBlock', []);
const event = await final;
assert.ok(event.ok);
assert.equal(event.block.hash, block.hash);
assert.equal(event.block.index, 2);
while (finalized.at(-1) < 1) await new Promise((resolve) => setTimeout(resolve, 10));
assert.deepEqual(finalized, [0, 1]);
const head = await relayApi.query.Paras.Heads.getValue(2000, { at: 'best' });
assert.notDeepEqual(head, genesisHead);

heads.unsubscribe();
para.destroy();
relay.destroy();
console.log('ok');
