// The ops that SDXL's time goes into, at its sizes. Sizes as native/cpu/bench/side.h has them; `work` in floating-point operations, or in
// bytes where the memory is what limits.

const powerBelow = (x) => 2 ** Math.floor(Math.log2(x))

function product(name, rows, inputs, outputs, kind = 'linear') {
  return { name, kind, sizes: [rows, inputs, outputs], scale: powerBelow(1 / Math.sqrt(inputs)), work: 2 * rows * inputs * outputs }
}
function conv(name, size, channels) {
  const depth = 9 * channels
  return { name, kind: 'conv', sizes: [size, channels], scale: powerBelow(1 / Math.sqrt(depth)), work: 2 * depth * channels * size * size }
}
function attention(name, heads, queries, keys, width) {
  return { name, kind: 'attention', sizes: [heads, queries, keys, width], scale: 4, work: 4 * heads * queries * keys * width }
}
const moving = (name, kind, sizes, bytes) => ({ name, kind, sizes, scale: 1, work: bytes, bytes: true })

export const cases = [
  product('linear 1024 x 1280 -> 1280', 1024, 1280, 1280),
  product('linear 1024 x 1280 -> 10240, geglu', 1024, 1280, 10240, 'geglu'),
  product('linear 1024 x 5120 -> 1280', 1024, 5120, 1280),
  product('linear 4096 x 640 -> 640', 4096, 640, 640),
  product('linear 77 x 2048 -> 1280', 77, 2048, 1280),
  product('linear 2 x 1280 -> 1280', 2, 1280, 1280),
  conv('conv 3x3 320, 128 x 128', 128, 320),
  conv('conv 3x3 640, 64 x 64', 64, 640),
  conv('conv 3x3 1280, 32 x 32', 32, 1280),
  conv('conv 3x3 512, 128 x 128 (VAE)', 128, 512),
  conv('conv 3x3 256, 256 x 256 (VAE)', 256, 256),
  attention('attention 20 heads, 1024 x 1024 x 64', 20, 1024, 1024, 64),
  attention('attention 10 heads, 4096 x 4096 x 64', 10, 4096, 4096, 64),
  attention('attention 20 heads, 1024 x 77 x 64', 20, 1024, 77, 64),
  attention('attention 1 head, 4096 x 4096 x 512 (VAE)', 1, 4096, 4096, 512),
  moving('group norm + silu 320, 128 x 128', 'group_norm', [128, 320], 12 * 128 * 128 * 320),
  moving('layer norm 4096 x 640', 'layer_norm', [4096, 640], 8 * 4096 * 640),
  moving('pack 10240 x 1280 f16', 'pack', [0, 1280, 10240], 2 * 10240 * 1280),
]
