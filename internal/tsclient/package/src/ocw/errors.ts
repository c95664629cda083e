/**
 * What went wrong, for programs:
 * - `unavailable`: nobody answers there, or not any more
 * - `not-trusted`: the worker failed its Trust, or a signature or proof of its is wrong
 * - `rejected`: the parentchain or the worker refused; nothing was invoked
 * - `unknown`: the call is, or may be, in a block, and its outcome could not be learnt: do not send it again before its nonce was looked up
 * - `protocol`: an answer that cannot be
 * - `signature`: an account did not sign, or signed something else
 */
export type ErrorKind = 'unavailable' | 'not-trusted' | 'rejected' | 'unknown' | 'protocol' | 'signature';

export class OcwError extends Error {
  constructor(
    readonly kind: ErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'OcwError';
  }
}

/** Rejects after ms, or as soon as the signal aborts. */
export async function within<T>(ms: number, what: string, signal: AbortSignal | undefined, work: Promise<T>, kind: ErrorKind = 'unavailable'): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new OcwError(kind, `${what}: no answer within ${ms / 1000} s`)), ms);
    abort = () => reject(new OcwError(kind, `${what}: broken off`, { cause: signal?.reason }));
    if (signal?.aborted) {
      abort();
    }
    signal?.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([work, ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort as () => void);
  }
}
