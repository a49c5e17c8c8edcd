// Serves the built app on the loopback interface, by default on a free port,
// which adapter-node's own server never says for PORT=0.
import { createServer } from 'node:http'
import { handler } from './build/handler.js'

const server = createServer(handler)
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`ready http://127.0.0.1:${server.address().port}`)
})

// With --attached it ends with its standard input, so that it cannot outlive
// a test binary that was killed.
if (process.argv.includes('--attached')) {
  process.stdin.on('end', () => process.exit(0)).resume()
}
