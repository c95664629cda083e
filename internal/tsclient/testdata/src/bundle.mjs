/** Bundles a script and what it imports: for pages, or as an argument says for Node. */
import { build } from 'esbuild';

const [from, to, platform = 'browser'] = process.argv.slice(2);
await build({ entryPoints: [from], outfile: to, platform, bundle: true, format: 'esm', logLevel: 'warning' });
