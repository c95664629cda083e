// Reads {"envelope": 1 or 2, "secret": hex, "public": hex, "info": hex, "padded": hex, "sealed": hex} from standard input:
// imports the private key, opens sealed (encapsulated key, then ciphertext), seals padded to the public key, and
// prints {"padded": hex, "sealed": hex}.
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { XWing } from '@hpke/hybridkem-x-wing';

const bytes = (s) => new Uint8Array(Buffer.from(s, 'hex')).buffer;
const hex = (b) => Buffer.from(b).toString('hex');

let text = '';
for await (const part of process.stdin) text += part;
const input = JSON.parse(text);
const suite = new CipherSuite({ kem: input.envelope === 1 ? new DhkemX25519HkdfSha256() : new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const key = await suite.kem.deserializePrivateKey(bytes(input.secret));
const info = bytes(input.info);
const sealed = bytes(input.sealed);
const length = suite.kem.encSize;
const recipient = await suite.createRecipientContext({ recipientKey: key, enc: sealed.slice(0, length), info });
const padded = await recipient.open(sealed.slice(length));
const sender = await suite.createSenderContext({ recipientPublicKey: await suite.kem.deserializePublicKey(bytes(input.public)), info });
const again = await sender.seal(bytes(input.padded));
console.log(JSON.stringify({ padded: hex(padded), sealed: hex(sender.enc) + hex(again) }));
