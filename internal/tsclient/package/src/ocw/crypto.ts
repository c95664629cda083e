/** Signatures of accounts, and encryption to the enclave with WebCrypto. */
import { signatureVerify } from '@polkadot/util-crypto';
import { type Hex, accountBytes, concat, encode, fromHex, label, toHex, u16 } from './codec.js';
import { OcwError } from './errors.js';
import { hpke } from './hpke.js';

/** A pair of a polkadot.js keyring. */
export interface KeyPair {
  readonly address: string;
  readonly addressRaw: Uint8Array;
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** An account of a wallet extension: its address, and the `signer` of the extension that holds it. */
export interface WalletAccount {
  readonly address: string;
  readonly signer: {
    signRaw?: (raw: { address: string; data: string; type: 'bytes' }) => Promise<{ signature: Hex }>;
  };
}

/** Who signs. */
export type Account = KeyPair | WalletAccount;

const schemes: Record<string, number> = { ed25519: 0, sr25519: 1, ecdsa: 2 };

/**
 * Signs a message and returns SCALE(MultiSignature). A wallet wraps the message
 * in <Bytes>, which workers accept. What does not verify is refused: a worker would
 * refuse it, too, when it is too late.
 */
export async function sign(account: Account, message: Uint8Array): Promise<Uint8Array> {
  let raw: Uint8Array;
  if ('sign' in account) {
    raw = account.sign(message);
  } else if (account.signer.signRaw) {
    const answer = await account.signer.signRaw({ address: account.address, data: toHex(message), type: 'bytes' });
    raw = fromHex(answer.signature);
  } else {
    throw new OcwError('signature', `the wallet of ${account.address} cannot sign messages (signRaw)`);
  }
  const { isValid, crypto } = signatureVerify(message, raw, accountBytes(account.address));
  const scheme = schemes[crypto];
  if (!isValid || scheme === undefined) {
    throw new OcwError('signature', `the signature is not one of ${account.address} over what it was to sign`);
  }
  const length = scheme === 2 ? 65 : 64; // some wallets put the scheme before it
  return concat(Uint8Array.of(scheme), raw.slice(raw.length - length));
}

/** Reports whether SCALE(MultiSignature) is by an account (32 bytes, or ss58) over a message. */
export function verify(signature: Uint8Array, message: Uint8Array, account: Uint8Array): boolean {
  try {
    const { isValid, isWrapped } = signatureVerify(message, signature, account);
    return isValid && !isWrapped && signature.length >= 65;
  } catch {
    return false; // no signature at all
  }
}

const keySize = 384; // bytes of RSA-3072
const chunkSize = keySize - 2 * 32 - 2; // what one block of OAEP with SHA-256 holds

/** A public key of a shard, that operations are encrypted to. */
export interface ShieldingKey {
  /** The longest plaintext. */
  readonly max: number;
  encrypt(plaintext: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
}

function available(): void {
  if (globalThis.crypto?.subtle === undefined) {
    throw new OcwError('unavailable', 'WebCrypto is missing: serve the page by https, or from localhost');
  }
}

/** Encrypts in chunks of up to 318 bytes, 384 bytes each; n and e are modulus and exponent, little-endian. */
export async function rsaKey(n: Uint8Array, e: Uint8Array): Promise<ShieldingKey> {
  if (n.length !== keySize || (n[keySize - 1] as number) < 0x80 || e.length !== 4) {
    throw new OcwError('protocol', 'the shielding key is no RSA-3072 key');
  }
  available();
  const key = await crypto.subtle.importKey('jwk', { kty: 'RSA', n: base64url(n), e: base64url(e) }, { name: 'RSA-OAEP', hash: 'SHA-256' }, false, ['encrypt']);
  return {
    max: 16 * chunkSize, // longer operations fail undecrypted
    encrypt: async (plaintext) => {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < plaintext.length; at += chunkSize) {
        const chunk = new Uint8Array(plaintext.subarray(at, at + chunkSize));
        chunks.push(new Uint8Array(await crypto.subtle.encrypt({ name: 'RSA-OAEP' }, key, chunk)));
      }
      return concat(...chunks);
    },
  };
}

/** What lengths are filled up to, with two bytes that tell the plaintext's. */
const classes = [64, 256, 512, 1024, 2048, 4096, 4864] as const;

/** Encrypts by HPKE, bound to a shard and to the fingerprint in force there. */
export function x25519Key(key: Uint8Array, shard: Uint8Array, fingerprint: Uint8Array): ShieldingKey {
  available();
  const info = concat(label('ocw/envelope/1'), shard, fingerprint);
  const max = (classes.at(-1) as number) - 2;
  return {
    max,
    encrypt: async (plaintext) => {
      const padded = new Uint8Array(classes.find((c) => plaintext.length + 2 <= c) as number);
      padded.set(encode(u16, plaintext.length));
      padded.set(plaintext, 2);
      const { enc, ciphertext } = await hpke(key, info, padded, '');
      return concat(Uint8Array.of(1, 1), enc, ciphertext);
    },
  };
}

/** The big-endian form without leading zeros that a JWK has. */
function base64url(littleEndian: Uint8Array): string {
  const digits = Array.from(littleEndian).reverse();
  while (digits.length > 1 && digits[0] === 0) {
    digits.shift();
  }
  return btoa(String.fromCharCode(...digits))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
