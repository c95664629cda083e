// Prints the metadata that an independent executor gets out of the runtime in
// the file named by the argument, in hex, with its length before it.
import { readFileSync } from "node:fs";
import { getMetadataFromRuntime } from "@polkadot-api/wasm-executor/node";

process.stdout.write(getMetadataFromRuntime("0x" + readFileSync(process.argv[2]).toString("hex")));
