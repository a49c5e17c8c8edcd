import { produce } from 'sveltekit-sse'
import { number } from '$lib/query'

/** Events for ever, their names in turn from a list. */
export function POST({ url }) {
  const names = (url.searchParams.get('names') ?? 'tick,tock').split(',')
  return produce(({ emit }) => {
    let n = 0
    const timer = setInterval(() => {
      emit(names[n % names.length], JSON.stringify({ n: ++n }))
    }, number(url, 'every', 100))
    return () => clearInterval(timer)
  })
}

export const GET = POST
