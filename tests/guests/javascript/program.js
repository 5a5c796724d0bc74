// A program in JavaScript: files through wasi:filesystem, a timer, and a request with `fetch`,
// which waits on pollables of the host. Its argument is the address of an echo server.

import { getArguments } from 'wasi:cli/environment@0.2.12';
import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { subscribeDuration } from 'wasi:clocks/monotonic-clock@0.2.12';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';
import { poll } from 'wasi:io/poll@0.2.12';

const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (text) => new TextEncoder().encode(text);
const say = (label, value) => {
  getStdout().blockingWriteAndFlush(bytes(`${label}: ${JSON.stringify(value)}\n`));
};
const open = (root, path) => root.openAt({}, path, { create: true }, { read: true, write: true });

function files(root) {
  const file = open(root, 'text');
  file.write(bytes('hello'), 0n);
  const to = file.appendViaStream();
  to.blockingWriteAndFlush(bytes(', streams'));
  const from = file.readViaStream(0n);
  say('read', text(from.blockingRead(100n)));
  try {
    root.openAt({}, 'none', {}, { read: true });
  } catch (error) {
    say('missing', error.payload);
  }
  root.createDirectoryAt('directory');
  root.renameAt('text', root, 'directory/moved');
  const names = [];
  const listing = root.readDirectory();
  for (let entry; (entry = listing.readDirectoryEntry()); ) names.push([entry.name, entry.type]);
  say('listed', names.sort());
  to.subscribe().block();
  say('ready', [...poll([subscribeDuration(3600000000000n), to.subscribe()])]);
  say('spliced', String(getStdout().blockingSplice(file.readViaStream(0n), 5n)));
}

async function request(root, server) {
  const body = bytes('0123456789'.repeat(10000));
  const response = await fetch(`http://${server}/echo`, { method: 'POST', body });
  say('status', response.status);
  const kept = open(root, 'kept');
  const reader = response.body.getReader();
  let end = 0n;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (let at = 0; at < value.length; ) {
      const count = kept.write(value.subarray(at, at + 65536), end);
      at += Number(count);
      end += count;
    }
  }
  say('kept', String(kept.stat().size));
}

export const run = {
  async run() {
    const [[root]] = getDirectories();
    files(root);
    const start = Date.now();
    await new Promise((done) => setTimeout(done, 50));
    say('waited', Date.now() - start >= 49);
    await request(root, getArguments()[1]);
  },
};
