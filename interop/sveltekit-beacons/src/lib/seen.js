// The beacons that arrived, by the id of their stream.
const beacons = new Map()

export function record(id, beacon) {
  beacons.set(id, [...seen(id), beacon])
}

export function seen(id) {
  return beacons.get(id) ?? []
}
