import { error } from '@sveltejs/kit'

/** Statuses of 400 and above by SvelteKit's error(), others with no body. */
export function POST({ params }) {
  const code = Number(params.code)
  if (code >= 400) error(code, `refused with ${code}`)
  return new Response(null, { status: code })
}

export const GET = POST
