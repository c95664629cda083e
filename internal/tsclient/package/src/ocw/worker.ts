/** JSON-RPC of a worker. */
import { WsProvider } from '@polkadot/api';
import { bool, bytes, decode, fromHex, Reader, text, u8 } from './codec.js';
import { OcwError, within } from './errors.js';

const reconnectMs = 1000;
const answerMs = 30_000;

export class Worker {
  readonly #provider: WsProvider;

  /** Connects, and again whenever the connection is lost. */
  constructor(readonly url: string) {
    this.#provider = new WsProvider(url, reconnectMs);
  }

  close(): Promise<void> {
    return this.#provider.disconnect();
  }

  /** Calls a method that answers with JSON. */
  async json(method: string, params: unknown[], signal?: AbortSignal): Promise<unknown> {
    await within(answerMs, `worker ${this.url}`, signal, this.#connected());
    try {
      return await within(answerMs, `worker ${this.url}: ${method}`, signal, this.#provider.send(method, params));
    } catch (e) {
      if (e instanceof OcwError) {
        throw e;
      }
      throw refusal(method, e);
    }
  }

  /** Calls a method that answers with an envelope, and returns what is in it. */
  async value(method: string, params: unknown[], signal?: AbortSignal): Promise<Uint8Array> {
    const answer = await this.json(method, params, signal);
    const [value, failed] = protocol(method, () => {
      const from = new Reader(fromHex(answer as string));
      const value = bytes.decode(from);
      bool.decode(from); // whether notifications follow
      const status = u8.decode(from);
      if (from.left > 0 || (status !== 0 && status !== 2)) {
        throw new RangeError('no envelope');
      }
      return [value, status === 2];
    });
    if (failed) {
      throw new OcwError('rejected', `worker: ${method}: ${protocol(method, () => decode(text, value))}`);
    }
    return value;
  }

  #connected(): Promise<void> {
    if (this.#provider.isConnected) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const off = this.#provider.on('connected', () => {
        off();
        resolve();
      });
    });
  }
}

/** The error of a request that was refused, if e says so by a code, or else went wrong. */
export function refusal(method: string, e: unknown): OcwError {
  const refused = typeof (e as { code?: unknown } | null)?.code === 'number';
  return new OcwError(refused ? 'rejected' : 'unavailable', `worker: ${method}: ${message(e)}`, { cause: e });
}

/** Has what an answer does to a decoder be an error of kind protocol. */
export function protocol<T>(method: string, f: () => T): T {
  try {
    return f();
  } catch (e) {
    if (e instanceof OcwError) {
      throw e;
    }
    throw new OcwError('protocol', `worker: ${method}: ${message(e)}`, { cause: e });
  }
}

export function message(e: unknown): string {
  const text = (e as { message?: unknown } | null)?.message;
  return typeof text === 'string' ? text : String(e);
}
