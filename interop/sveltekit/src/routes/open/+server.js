import { json } from '@sveltejs/kit'
import { key } from '$lib/query'
import { count } from '$lib/open'

/** How many streams of /silent are open for a key. */
export function GET({ url }) {
  return json({ open: count(key(url)) })
}
