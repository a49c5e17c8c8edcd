import { error } from '@sveltejs/kit'
import { produce } from 'sveltekit-sse'
import { key, number } from '$lib/query'

const refused = new Map()

/** Refuses the first k requests of a key, naming the seconds to wait. */
export function POST({ url, setHeaders }) {
  const count = refused.get(key(url)) ?? 0
  if (count < number(url, 'k', 1)) {
    refused.set(key(url), count + 1)
    setHeaders({ 'Retry-After': url.searchParams.get('after') ?? '1' })
    error(429, 'too many requests')
  }
  return produce(({ emit, lock }) => {
    emit('admitted', String(count))
    lock.set(false)
  })
}

export const GET = POST
