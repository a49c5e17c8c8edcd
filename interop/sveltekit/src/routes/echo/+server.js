import { produce } from 'sveltekit-sse'

/** One event that says what the server saw of the request. */
export async function POST({ request }) {
  const { method, headers } = request
  const seen = { method, headers: Object.fromEntries(headers), body: await request.text() }
  return produce(({ emit, lock }) => {
    emit('request', JSON.stringify(seen))
    lock.set(false)
  })
}

export const GET = POST
