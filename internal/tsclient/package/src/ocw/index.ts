export * from './client.js';
export * from './codec.js';
export { type Account, type KeyPair, type ShieldingKey, sign, verify, type WalletAccount } from './crypto.js';
export { type ErrorKind, OcwError } from './errors.js';
export { type Answer, type Receipt, type Roots, type Signed, verifyAnswer, verifyReceipt, verifyRoots } from './verify.js';
export { Worker } from './worker.js';
