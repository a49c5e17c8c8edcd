import { produce } from 'sveltekit-sse'
import { key, number } from '$lib/query'
import { add } from '$lib/open'

/**
 * Emits nothing: not even the response's head is sent before the library's
 * own ping, which the query may hurry.
 */
export function POST({ url }) {
  const k = key(url)
  return produce(() => add(k, 1), {
    ping: number(url, 'ping', 30_000),
    stop: () => add(k, -1),
  })
}

export const GET = POST
