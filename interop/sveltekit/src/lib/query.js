/** The number a query parameter gives, or the default. */
export function number(url, name, otherwise) {
  return Number(url.searchParams.get(name) ?? otherwise)
}

/** The key that keeps the counts of one test from those of another. */
export function key(url) {
  return url.searchParams.get('key') ?? ''
}
