import { type Network, scenario } from './scenario.js';

/** The page asks its server for the network, and tells it how it went. */
const tell = (line: string) => fetch('/log', { method: 'POST', body: line });

try {
  const at = (await (await fetch('/network')).json()) as Network;
  await scenario(at, (line) => void tell(`ok: ${line}`));
  await tell(`done: ${navigator.userAgent}`);
} catch (e) {
  await tell(`failed: ${e instanceof Error ? e.stack : String(e)}`);
}
