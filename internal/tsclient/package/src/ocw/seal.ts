/** Requests that only the enclave can read. */
import { bytes, concat, encode, fromHex, type Hex, label, Reader, toHex, u32 } from './codec.js';
import { OcwError } from './errors.js';
import { aes, hpke } from './hpke.js';
import type { SealingKey } from './verify.js';
import { protocol } from './worker.js';

/** How many blocks after the worker's last one a request may be answered, at most. */
export const lifetime = 64;

/** Encrypts a request of JSON-RPC to a key that was verified. open decrypts the answer to it. */
export async function seal(key: SealingKey, request: string): Promise<{ sealed: Hex; open: (answer: Hex) => Promise<string> }> {
  const inner = concat(encode(u32, key.number + lifetime), encode(bytes, label(request)));
  const padded = new Uint8Array(Math.ceil(inner.length / 256) * 256);
  padded.set(inner);
  const info = concat(label('ocw/sealed/request/1'), fromHex(key.genesis), fromHex(key.shard));
  const publicKey = fromHex(key.key);
  const { enc, ciphertext, exported } = await hpke(publicKey, info, padded, 'ocw/sealed/response/1');
  const sealed = toHex(concat(Uint8Array.of(1), publicKey, enc, ciphertext));
  return {
    sealed,
    open: async (answer) => {
      const raw = protocol('ocw_sealed', () => fromHex(answer));
      const k = await aes(exported, 'decrypt');
      const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: raw.slice(0, 12) }, k, raw.slice(12)).catch((e: unknown) => {
        throw new OcwError('not-trusted', 'worker: ocw_sealed: the answer is not by the enclave, or to another request', { cause: e });
      });
      return protocol('ocw_sealed', () => {
        const from = new Reader(new Uint8Array(plain));
        const text = new TextDecoder().decode(bytes.decode(from));
        if (from.left >= 256 || from.take(from.left).some((b) => b !== 0)) {
          throw new RangeError('padding');
        }
        return text;
      });
    },
  };
}
