import { events } from 'sveltekit-sse'
import { record } from '$lib/seen'

/**
 * Events for ever, unless beacons fail to come. The timeout is part of the
 * path because the query of a beacon is not that of the stream, while the
 * library takes the new deadline from the beacon's request.
 */
export async function POST({ url, request, params }) {
  const id = url.searchParams.get('x-sse-id')
  if (id) {
    const { method, headers } = request
    record(id, {
      at: Date.now(),
      method,
      query: url.search,
      headers: Object.fromEntries(headers),
      body: await request.text(),
    })
  }
  return events({
    request,
    timeout: Number(params.timeout ?? 1500),
    start({ emit }) {
      let n = 0
      const timer = setInterval(() => emit('tick', `${++n} of 100%`), 200)
      return () => clearInterval(timer)
    },
  })
}

export const GET = POST
