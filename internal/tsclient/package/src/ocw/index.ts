export * from './client.js';
export * from './codec.js';
export { type Account, type KeyPair, type ShieldingKey, sign, verify, type WalletAccount } from './crypto.js';
export { type ErrorKind, OcwError } from './errors.js';
export { type Answer, type Binding, type Bound, type Receipt, reportData, type Roots, type Signed, type TrustConfig, verifyAnswer, verifyBinding, verifyReceipt, verifyRoots } from './verify.js';
export { Worker } from './worker.js';
