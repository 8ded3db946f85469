// Times in milliseconds, and how they are shown: the median with the fastest and slowest run.

export const milliseconds = async (work) => {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}
const sorted = (times) => [...times].sort((a, b) => a - b)
export const median = (times) => sorted(times)[times.length >> 1]
export const show = (times) => `${median(times).toFixed(1)} ms (${sorted(times)[0].toFixed(1)} … ${sorted(times).at(-1).toFixed(1)})`
