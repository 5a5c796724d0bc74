// Runs the component that jco has transpiled into this file's directory: node run.mjs DIR [ARG...]
//
// DIR becomes the guest's `/`. A linked component imports no wasi:filesystem and does not see it.

import { cli, filesystem } from '@bytecodealliance/preview2-shim';

const [dir, ...args] = process.argv.slice(2);
filesystem._setPreopens({ '/': dir });
cli._setArgs(['guest', ...args]);
// Tells the guest to report an operation that fails as unsupported, and to go on.
cli._setEnv({ KVFS_BENCH_GO_ON: '1' });

// The shim refuses each open-at with the flag mutate-directory, which CPython sets for every file
// that it writes. Without the flag it works.
if (process.env.CONTENDER_LENIENT) {
  const { Descriptor } = filesystem.types;
  const { openAt } = Descriptor.prototype;
  Descriptor.prototype.openAt = function (pathFlags, path, openFlags, flags) {
    return openAt.call(this, pathFlags, path, openFlags, { ...flags, mutateDirectory: false });
  };
}

// The code that jco makes looks into the environment several times a call, and Node's own is slow.
process.env = { ...process.env };

const { run } = await import('./app.js');
try {
  run.run();
} catch (error) {
  // The guest answered with an error, which jco throws.
  if (!('payload' in error)) throw error;
  process.exitCode = 1;
}
