import { produce } from 'sveltekit-sse'
import { key } from '$lib/query'

const connections = new Map()

/** Three events and the end. They get the ids 1, 2 and 3 on every connection. */
export function POST({ url, request }) {
  const connection = (connections.get(key(url)) ?? 0) + 1
  connections.set(key(url), connection)
  const lastEventID = request.headers.get('Last-Event-ID')
  return produce(({ emit, lock }) => {
    for (let n = 1; n <= 3; n++) {
      emit('count', JSON.stringify({ connection, n, lastEventID }))
    }
    lock.set(false)
  })
}

export const GET = POST
