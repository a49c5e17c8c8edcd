/** A page with status 200 where a stream is expected. */
export function POST() {
  return new Response('<!doctype html><title>Log in</title>', {
    headers: { 'Content-Type': 'text/html; charset=utf-8' },
  })
}

export const GET = POST
