import { produce } from 'sveltekit-sse'
import { number } from '$lib/query'

/** n events, numbered from 1, and the end, all queued before the first is sent. */
export function POST({ url }) {
  const n = number(url, 'n', 10000)
  return produce(({ emit, lock }) => {
    for (let i = 1; i <= n; i++) emit('burst', String(i))
    lock.set(false)
  })
}

export const GET = POST
