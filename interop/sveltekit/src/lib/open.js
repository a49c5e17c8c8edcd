// How many streams are open, by key.
const counts = new Map()

export function count(key) {
  return counts.get(key) ?? 0
}

export function add(key, n) {
  counts.set(key, count(key) + n)
}
