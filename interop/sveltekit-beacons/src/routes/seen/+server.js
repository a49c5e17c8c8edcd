import { json } from '@sveltejs/kit'
import { seen } from '$lib/seen'

/** The beacons that a stream has got. */
export function GET({ url }) {
  return json(seen(url.searchParams.get('id')))
}
