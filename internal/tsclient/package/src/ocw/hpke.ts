/** HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM, by WebCrypto. */
import { concat, label } from './codec.js';

const version = label('HPKE-v1');
const kem = concat(label('KEM'), Uint8Array.of(0x00, 0x20));
const suite = concat(label('HPKE'), Uint8Array.of(0x00, 0x20, 0x00, 0x01, 0x00, 0x02));
const none = new Uint8Array();

async function hmac(key: Uint8Array, data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const raw = key.length > 0 ? new Uint8Array(key) : new Uint8Array(32); // the same for HMAC, and WebCrypto takes no empty key
  const k = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', k, data));
}

const extract = (id: Uint8Array, salt: Uint8Array, name: string, ikm: Uint8Array) => hmac(salt, concat(version, id, label(name), ikm));

/** LabeledExpand, of up to 32 bytes. */
const expand = async (id: Uint8Array, prk: Uint8Array, name: string, info: Uint8Array, length: number) =>
  (await hmac(prk, concat(Uint8Array.of(0, length), version, id, label(name), info, Uint8Array.of(1)))).slice(0, length);

/** The sender's side for one message; exported is Context.Export of 32 bytes. */
export async function hpke(publicKey: Uint8Array, info: Uint8Array, plaintext: Uint8Array<ArrayBuffer>, exporter: string) {
  const pair = (await crypto.subtle.generateKey({ name: 'X25519' }, false, ['deriveBits'])) as CryptoKeyPair;
  const theirs = await crypto.subtle.importKey('raw', new Uint8Array(publicKey), { name: 'X25519' }, true, []);
  const dh = new Uint8Array(await crypto.subtle.deriveBits({ name: 'X25519', public: theirs }, pair.privateKey, 256));
  const enc = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  const shared = await expand(kem, await extract(kem, none, 'eae_prk', dh), 'shared_secret', concat(enc, publicKey), 32);

  const context = concat(Uint8Array.of(0), await extract(suite, none, 'psk_id_hash', none), await extract(suite, none, 'info_hash', info));
  const secret = await extract(suite, shared, 'secret', none);
  const key = await aes(await expand(suite, secret, 'key', context, 32), 'encrypt');
  const nonce = await expand(suite, secret, 'base_nonce', context, 12);
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce }, key, plaintext));
  const exported = await expand(suite, await expand(suite, secret, 'exp', context, 32), 'sec', label(exporter), 32);
  return { enc, ciphertext, exported };
}

export const aes = (key: Uint8Array<ArrayBuffer>, use: 'encrypt' | 'decrypt') => crypto.subtle.importKey('raw', key, 'AES-GCM', false, [use]);
