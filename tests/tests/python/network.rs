//! The host's streams and pollables reach a composed guest: sockets, timers, standard input.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use kvfs_host::MemoryStore;
use kvfs_tests::Network;

use super::on;

/// Answers the lines of one connection in capitals, and returns the port. Ends with the connection.
fn server() -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (connection, _) = listener.accept().unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answers = connection.try_clone().unwrap();
        let mut heard = Vec::new();
        for line in BufReader::new(connection).lines() {
            let line = line.unwrap();
            answers.write_all(format!("{}\n", line.to_uppercase()).as_bytes()).unwrap();
            heard.push(line);
        }
        heard
    };
    (port, std::thread::spawn(serve))
}

#[test]
fn a_socket_conversation_is_written_to_a_file() {
    let (port, server) = server();
    let program = "
import socket, sys
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as s, open('/log', 'w') as log:
    lines = s.makefile('rw', newline='\\n')
    for word in ('one', 'two', 'three'):
        lines.write(word + '\\n'); lines.flush()
        log.write(lines.readline())
print(open('/log').read().split())
";
    let store = Arc::new(MemoryStore::new());
    let run = on(&store).network(Network::Loopback).args(["-c", program, &port.to_string()]);
    assert_eq!(run.run().unwrap().success(), "['ONE', 'TWO', 'THREE']\n");
    assert_eq!(server.join().unwrap(), ["one", "two", "three"]);
}

#[test]
fn coroutines_talk_and_wait_on_timers_and_files_together() {
    let (port, server) = server();
    let program = "
import asyncio, sys, time
async def talk():
    reader, writer = await asyncio.open_connection('127.0.0.1', int(sys.argv[1]))
    writer.write(b'hello\\n'); await writer.drain()
    answer = await reader.readline()
    writer.close(); await writer.wait_closed()
    open('/answer', 'wb').write(answer)
async def wait():
    await asyncio.sleep(0.2)
async def main():
    start = time.monotonic()
    await asyncio.gather(talk(), wait())
    print(open('/answer').read().strip(), 0.2 <= time.monotonic() - start < 10)
asyncio.run(main())
";
    let store = Arc::new(MemoryStore::new());
    let run = on(&store).network(Network::Loopback).args(["-c", program, &port.to_string()]);
    assert_eq!(run.run().unwrap().success(), "HELLO True\n");
    assert_eq!(server.join().unwrap(), ["hello"]);
}

#[test]
fn a_connection_refused_is_an_error_not_a_trap() {
    // Bound and closed again: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let program = "
import socket, sys
try: socket.create_connection(('127.0.0.1', int(sys.argv[1])))
except ConnectionRefusedError: print('refused')
";
    let store = Arc::new(MemoryStore::new());
    let run = on(&store).network(Network::Loopback).args(["-c", program, &port.to_string()]);
    assert_eq!(run.run().unwrap().success(), "refused\n");
}

#[test]
fn timers_are_waited_for() {
    let program = "
import time, select, asyncio
def timed(wait):
    start = time.monotonic(); wait(); return 0.1 <= time.monotonic() - start < 10
print(timed(lambda: time.sleep(0.1)), timed(lambda: asyncio.run(asyncio.sleep(0.1))))
";
    let store = Arc::new(MemoryStore::new());
    assert_eq!(on(&store).args(["-c", program]).run().unwrap().success(), "True True\n");
}

#[test]
fn names_are_looked_up() {
    let program = "
import socket
print(('127.0.0.1', 80) in [found[4] for found in socket.getaddrinfo('127.0.0.1', 80)])
";
    let store = Arc::new(MemoryStore::new());
    let run = on(&store).network(Network::Loopback).args(["-c", program]);
    assert_eq!(run.run().unwrap().success(), "True\n");
}

#[test]
fn standard_input_is_copied_to_a_file_and_back() {
    let program = "
import shutil, sys
with open('/copy', 'wb') as copy: shutil.copyfileobj(sys.stdin.buffer, copy)
with open('/copy', 'rb') as copy: shutil.copyfileobj(copy, sys.stdout.buffer)
print('done', file=sys.stderr)
";
    let input = "line of input\n".repeat(10_000);
    let store = Arc::new(MemoryStore::new());
    let output = on(&store).args(["-c", program]).stdin(input.clone()).run().unwrap();
    assert_eq!(output.stderr, "done\n");
    assert!(output.success() == input);
}
