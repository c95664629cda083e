// Reads {"jwk": public key, "jwkPrivate": private key, "plaintext": hex, "ciphertext": hex} from standard input,
// encrypts the plaintext and decrypts the ciphertext with RSA-OAEP of WebCrypto, chunk by chunk, and
// prints {"ciphertext": hex, "plaintext": hex}.
import { webcrypto } from 'node:crypto';

const chunks = (b, n) => Array.from({ length: Math.ceil(b.length / n) }, (_, i) => b.subarray(i * n, (i + 1) * n));
const each = async (b, n, f) => Buffer.concat(await Promise.all(chunks(b, n).map(async (c) => Buffer.from(await f(c)))));

let text = '';
for await (const part of process.stdin) text += part;
const input = JSON.parse(text);
const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256' };
const publicKey = await webcrypto.subtle.importKey('jwk', input.jwk, algorithm, true, ['encrypt']);
const privateKey = await webcrypto.subtle.importKey('jwk', input.jwkPrivate, algorithm, true, ['decrypt']);
const ciphertext = await each(Buffer.from(input.plaintext, 'hex'), 318, (c) => webcrypto.subtle.encrypt(algorithm, publicKey, c));
const plaintext = await each(Buffer.from(input.ciphertext, 'hex'), 384, (c) => webcrypto.subtle.decrypt(algorithm, privateKey, c));
console.log(JSON.stringify({ ciphertext: ciphertext.toString('hex'), plaintext: plaintext.toString('hex') }));
