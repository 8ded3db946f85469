// ONNX models of one op each, written in the few fields of ONNX's protocol buffers that they need (onnx.proto3, IR version 9).

const varint = (value) => {
  const bytes = []
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)])
    bytes.push(Number(rest & 127n) | 128)
  }
}
const number = (field, value) => Buffer.concat([varint(field * 8), varint(value)])
const bytes = (field, value) => {
  const data = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([varint(field * 8 + 2), varint(data.length), data])
}
const message = (...parts) => Buffer.concat(parts)

const kFloat = 1
const attributeTypes = { int: 2, ints: 7 }

function attribute(name, value) {
  if (Array.isArray(value)) return message(bytes(1, name), ...value.map((each) => number(8, each)), number(20, attributeTypes.ints))
  return message(bytes(1, name), number(3, value), number(20, attributeTypes.int))
}

/** `attributes`: whole numbers or lists of them. */
export function node(op, inputs, outputs, attributes = {}, domain = '') {
  return message(
    ...inputs.map((name) => bytes(1, name)),
    ...outputs.map((name) => bytes(2, name)),
    bytes(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
    ...(domain ? [bytes(7, domain)] : []),
  )
}

/** A constant of floats. */
export function constant(name, dims, data) {
  const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return message(...dims.map((size) => number(1, size)), number(2, kFloat), bytes(8, name), bytes(9, raw))
}

function value([name, dims]) {
  const shape = message(...dims.map((size) => bytes(1, number(1, size))))
  return message(bytes(1, name), bytes(2, bytes(1, message(number(1, kFloat), bytes(2, shape)))))
}

/** `inputs` and `outputs`: pairs of name and dimensions. */
export function model(nodes, constants, inputs, outputs) {
  const graph = message(
    ...nodes.map((each) => bytes(1, each)),
    bytes(2, 'op'),
    ...constants.map((each) => bytes(5, each)),
    ...inputs.map((each) => bytes(11, value(each))),
    ...outputs.map((each) => bytes(12, value(each))),
  )
  const operators = [
    ['', 20],
    ['com.microsoft', 1],
  ].map(([domain, version]) => bytes(8, message(bytes(1, domain), number(2, version))))
  return message(number(1, 9), bytes(7, graph), ...operators)
}
