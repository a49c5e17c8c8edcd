import { produce } from 'sveltekit-sse'
import { number } from '$lib/query'

/** A few events, one that says the stream is over, and the end at once. */
export function POST({ url }) {
  const n = number(url, 'n', 3)
  return produce(({ emit, lock }) => {
    for (let i = 1; i <= n; i++) emit('work', String(i))
    emit('stop', 'done')
    lock.set(false)
  })
}

export const GET = POST
