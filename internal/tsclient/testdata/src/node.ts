import { type Network, scenario } from './scenario.js';

declare const process: { argv: string[]; exit(code: number): never };

const at = JSON.parse(process.argv[2] ?? '') as Network;
await scenario(at, (line) => console.log('ok:', line));
process.exit(0);
