// Decodes metadata of an app, hex on standard input, with unmodified
// @polkadot/types, and prints what is in it.
import { readFileSync } from 'node:fs'
import { Metadata, TypeRegistry } from '@polkadot/types'

const hex = readFileSync(0, 'utf8').trim()
const registry = new TypeRegistry()
const metadata = new Metadata(registry, hex)
registry.setMetadata(metadata)

const name = (id) => registry.createLookupType(id) && registry.lookup.getTypeDef(id).type
const latest = metadata.asLatest
const out = {
  version: metadata.version,
  roundTrip: metadata.toHex() === hex,
  calls: {},
  apis: {},
  custom: {},
}
for (const p of latest.pallets) {
  if (p.calls.isNone) continue
  for (const v of registry.lookup.getSiType(p.calls.unwrap().type).def.asVariant.variants) {
    out.calls[`${p.name}.${v.name}`] = v.fields.map((f) => `${f.name.unwrap()}: ${name(f.type)}`)
  }
}
if (metadata.version >= 15) {
  const m = metadata.asV15
  for (const api of m.apis) {
    for (const f of api.methods) out.apis[`${api.name}.${f.name}`] = [...f.inputs.map((i) => `${i.name}: ${name(i.type)}`), name(f.output)]
  }
  for (const [key, { type, value }] of m.custom.map ?? m.custom) {
    out.custom[key] = registry.createType(registry.createLookupType(type), value.toU8a(true)).toHuman()
  }
  out.outer = [m.outerEnums.callType, m.outerEnums.eventType, m.outerEnums.errorType].map(name)
}
console.log(JSON.stringify(out))
