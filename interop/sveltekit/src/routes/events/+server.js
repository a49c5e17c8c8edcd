import { produce } from 'sveltekit-sse'

// What the library is asked to send. A line feed in data starts another data
// line; a carriage return is sent as it is, and ends a line for the client.
const events = [
  ['price', JSON.stringify({ symbol: 'ACME', value: 12.5, tags: ['a', 'b'] })],
  ['halt', JSON.stringify({ symbol: 'ACME', reason: 'news "pending"\n' })],
  ['lines', 'first\nsecond\n\nfourth'],
  ['lines', '\n'],
  ['lines', 'ends with one\n'],
  ['crlf', 'first\r\nsecond'],
  ['cr', 'first\rdata: second'],
  ['cr', 'kept\rlost'],
  ['unicode', '😀 漢字 e\u0301 \u{1F468}\u200D\u{1F469}\u200D\u{1F467} \u2028 \u0085 \u0000'],
  ['unicode', '\uFEFFin front'],
  ['unicode', 'in\uFEFFside'],
  ['größe', 'a name outside ASCII'],
  ['spaces', '  two in front, two behind  '],
  ['colon', ': not a comment'],
  ['percent', '100%25 a+b %E2%82%AC'],
  ['empty', ''],
  ['', 'an empty name'],
  ['message', 'the default name'],
  ['error', 'an ordinary name'],
]

export function POST() {
  return produce(({ emit, lock }) => {
    for (const [name, data] of events) emit(name, data)
    lock.set(false)
  })
}

export const GET = POST
