import { produce } from 'sveltekit-sse'

/** A route that forgot to export POST. */
export function GET() {
  return produce(({ emit, lock }) => {
    emit('hello', 'world')
    lock.set(false)
  })
}
