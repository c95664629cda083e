// Reads {document, answers, wrongDocument, wrongAnswers}. Validates the document
// against the published meta-schema of OpenRPC, and each answer against what the
// document says of its method; what is wrong must be found to be so.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const Ajv = require('ajv').default
const { openrpcDocument } = require('@open-rpc/meta-schema')
const { jsonSchema } = require('@json-schema-tools/meta-schema') // to which it refers

const input = JSON.parse(readFileSync(0, 'utf8'))
const options = { strict: false, allErrors: true, validateFormats: false }
const say = (where, errors) => errors.map((e) => `${where}${e.instancePath}: ${e.message} ${JSON.stringify(e.params)}`)

// The reference has two spellings of one address, which ajv does not take for
// the same.
const text = JSON.stringify(openrpcDocument).replaceAll('"https://meta.json-schema.tools"', '"https://meta.json-schema.tools/"')
const { $schema: _, ...meta } = JSON.parse(text)
const { $schema: __, ...schemas } = jsonSchema
const validDocument = new Ajv(options).addSchema(schemas).compile(meta)

function answered(name, answer) {
  const { result } = input.document.methods.find((m) => m.name === name)
  const valid = new Ajv(options).compile({ allOf: [result.schema], components: input.document.components })
  return valid(answer) ? [] : say(name, valid.errors)
}

const problems = validDocument(input.document) ? [] : say('document', validDocument.errors)
for (const [name, answer] of Object.entries(input.answers)) problems.push(...answered(name, answer))
if (validDocument(input.wrongDocument)) problems.push('a wrong document passes')
for (const [name, answer] of Object.entries(input.wrongAnswers)) {
  if (answered(name, answer).length === 0) problems.push(`a wrong answer of ${name} passes`)
}

if (problems.length > 0) {
  console.log(problems.slice(0, 20).join('\n'))
  process.exit(1)
}
console.log(`${input.document.methods.length} methods, ${Object.keys(input.answers).length} answers`)
