import { error } from '@sveltejs/kit'
import { produce } from 'sveltekit-sse'
import { key, number } from '$lib/query'

// The number of the one token that is accepted, by key.
const valid = new Map()

/**
 * Needs `Authorization: Bearer tN`, at first t1. After k events the token
 * expires: the stream ends, and from then on only t(N+1) is accepted.
 */
export function POST({ url, request }) {
  const n = valid.get(key(url)) ?? 1
  if (request.headers.get('Authorization') !== `Bearer t${n}`) {
    error(401, `want token t${n}`)
  }
  const k = number(url, 'k', 3)
  return produce(({ emit, lock }) => {
    let sent = 0
    const timer = setInterval(() => {
      if (sent < k) {
        emit('data', JSON.stringify({ token: `t${n}`, n: ++sent }))
        return
      }
      valid.set(key(url), n + 1)
      lock.set(false)
    }, number(url, 'every', 10))
    return () => clearInterval(timer)
  })
}

export const GET = POST
