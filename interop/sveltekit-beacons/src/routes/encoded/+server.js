import { events } from 'sveltekit-sse'

// What the library is asked to send. It percent-encodes each line of the
// data, and nothing of the name.
const list = [
  ['json', JSON.stringify({ text: 'a "b" & c', value: 1.5 })],
  ['lines', 'first\nsecond\n\nfourth'],
  ['cr', 'first\r\nsecond\rthird'],
  ['unicode', '😀 漢字 e\u0301 \uFEFF \u0000'],
  ['percent', '100% a+b %41 %zz %E2%82'],
  ['spaces', '  two in front, two behind  '],
  ['größe %41', 'a name is not encoded'],
  ['empty', ''],
  ['', 'an empty name'],
]

export function POST({ request }) {
  return events({
    request,
    start({ emit, lock }) {
      for (const [name, data] of list) emit(name, data)
      lock.set(false)
    },
  })
}

export const GET = POST
