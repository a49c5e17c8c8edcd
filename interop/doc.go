// Package interop tests the client against servers other people wrote.
//
// The folders sveltekit and sveltekit-beacons are SvelteKit apps whose routes
// answer with sveltekit-sse 0.14.3 and 0.9.2. The tests build them with npm,
// once for each content of their files, in $SSE_INTEROP_CACHE or the user's
// cache folder. Without Node.js these tests are skipped, unless CI is set.
//
// After a change of a package.json, write its lockfile anew in a copy of the
// folder without node_modules (npm install --package-lock-only), or it lists
// the native packages of one platform only. Rollup is held at a version whose
// native packages exist for every platform.
package interop
