//! `kvfs store-server`, as its clients see it: whom it answers, when, and how much.

use kvfs_contract::{Durability, Entry, Limits, MAX_SCAN_BYTES, Mutation};
use kvfs_http_wire::{AUTHORIZATION, Call, entries, limits, nothing, values};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const TOKEN: &str = "a-token-of-some-length-0123456789";

/// Writes the file `token`, which only its owner may read.
pub(super) fn write_token(directory: &Path, token: &str) {
    let path = directory.join("token");
    std::fs::write(&path, token).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// The server, until the end of the test.
pub(super) struct Server {
    child: Child,
    pub(super) address: String,
}

impl Server {
    /// Starts it on a store, at any port.
    pub(super) fn start(directory: &Path, store: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_kvfs")), directory, store)
    }

    /// As [`Self::start`], by a command that takes the arguments of kvfs.
    pub(super) fn start_by(kvfs: Command, directory: &Path, store: &str) -> Self {
        Self::start_at(kvfs, directory, store, "127.0.0.1:0")
    }

    /// As [`Self::start_by`], at an address.
    pub(super) fn start_at(mut kvfs: Command, directory: &Path, store: &str, address: &str) -> Self {
        write_token(directory, TOKEN);
        let mut child = kvfs
            .args(["store-server", "--listen", address, "--token-file", "token", "--store", store])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, address) = line.trim().rsplit_once("http://").unwrap_or_else(|| panic!("{line}"));
        Self { child, address: address.to_owned() }
    }

    /// Makes a call with this header, and returns the status and the body of the answer.
    fn ask_as(&self, authorization: Option<&str>, call: &Call<'_>) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let body = call.encode();
        let shown = authorization.map(|shown| format!("{AUTHORIZATION}: {shown}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: store\r\nconnection: close\r\ncontent-length: {}\r\n{shown}\r\n",
            call.path(),
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head_bytes = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap() + 4;
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer.split_off(head_bytes))
    }

    fn ask(&self, call: &Call<'_>) -> Vec<u8> {
        let (status, body) = self.ask_as(Some(&format!("Bearer {TOKEN}")), call);
        assert_eq!(status, 200);
        body
    }

    fn put(&self, entries: &[(&[u8], &[u8])], level: Durability) {
        let mutations =
            entries.iter().map(|(key, value)| Mutation::Put { key: *key, value: *value }).collect();
        nothing::decode(&self.ask(&Call::Apply { guards: Vec::new(), mutations, level })).unwrap();
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        values::decode(&self.ask(&Call::Get { keys: vec![key] }), 1).unwrap().remove(0)
    }

    fn scan(&self, start: &[u8], max_entries: u32, max_bytes: u32) -> Vec<Entry<Vec<u8>>> {
        entries::decode(&self.ask(&Call::Scan { start, end: b"", max_entries, max_bytes })).unwrap()
    }

    /// Ends it without a word.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn started(store: &str) -> (TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), store);
    (directory, server)
}

/// An error of an unknown store lists the same ones.
#[test]
fn help_lists_every_kind_of_store_that_can_be_kept() {
    let kvfs = |args: &[&str]| super::kvfs(Path::new("."), args);
    let error = String::from_utf8(kvfs(&["ls", "--store", "nothing:x"]).stderr).unwrap();
    let list = error.split_once("known are ").unwrap().1.split_once(", such as").unwrap().0;
    let forms: Vec<_> = list.split('`').filter(|form| form.contains(':')).collect();
    assert!(forms.contains(&"postgres://HOST/DATABASE") && forms.contains(&"file:DIR"), "{forms:?}");
    for command in ["store-server", "check-store"] {
        let help = String::from_utf8(kvfs(&[command, "--help"]).stdout).unwrap();
        for form in &forms {
            assert!(help.contains(&format!("`{form}`")), "{command}: {form}: {help}");
        }
    }
}

#[test]
fn only_the_whole_token_is_answered() {
    let (_directory, server) = started("memory:");
    let put = Mutation::Put { key: &b"k"[..], value: &b"v"[..] };
    let call = Call::Apply { guards: Vec::new(), mutations: vec![put], level: Durability::Durable };
    let right = format!("Bearer {TOKEN}");
    let mut wrong: Vec<String> = (0..right.len()).map(|length| right[..length].to_owned()).collect();
    wrong.extend((1..=TOKEN.len()).map(|from| format!("Bearer {}", &TOKEN[from..])));
    wrong.extend(["0", " ", ",x", "\u{e9}"].map(|more| format!("{right}{more}x")));
    wrong.extend([
        TOKEN.to_owned(),
        format!("Basic {TOKEN}"),
        format!("bearer {TOKEN}"),
        format!("Bearer  {TOKEN}"),
        format!("Bearer {}", TOKEN.to_uppercase()),
        format!("Bearer {}", TOKEN.replace('9', "8")),
        format!("Bearer {}", TOKEN.replacen('a', "b", 1)),
        format!("{right} {right}"),
    ]);
    for shown in &wrong {
        let (status, body) = server.ask_as(Some(shown), &call);
        assert_eq!(status, 401, "{shown}");
        assert!(!String::from_utf8_lossy(&body).contains(TOKEN), "{body:?}");
    }
    assert_eq!(server.ask_as(None, &call).0, 401);
    assert_eq!(server.get(b"k"), None, "somebody without the token has changed the store");
    nothing::decode(&server.ask(&call)).unwrap();
    assert_eq!(server.get(b"k").as_deref(), Some(&b"v"[..]));
}

/// The stores keep a buffered apply in the server's process, so that its kill loses it.
#[test]
fn what_was_answered_as_durable_is_there_after_a_kill() {
    for store in ["redb:state.redb", "file:state"] {
        let (directory, mut server) = started(store);
        for round in 0..10u8 {
            server.put(&[(&[round, 0], b"buffered")], Durability::Buffered);
            // Alone, or as a barrier, it keeps everything before it.
            let changes: &[(&[u8], &[u8])] = if round % 2 == 0 { &[] } else { &[(&[round, 1], b"durable")] };
            server.put(changes, Durability::Durable);
            server.kill();
            server = Server::start(directory.path(), store);
            for earlier in 0..=round {
                assert_eq!(server.get(&[earlier, 0]).as_deref(), Some(&b"buffered"[..]), "{store} {round}");
                let durable = server.get(&[earlier, 1]);
                assert_eq!(durable.is_some(), earlier % 2 == 1, "{store} {round}: {durable:?}");
            }
        }
        let found: Limits = limits::decode(&server.ask(&Call::Limits)).unwrap();
        assert!(found.durable, "{store}");
    }
}

#[test]
fn pages_of_a_scan_end_at_the_bounds_that_the_client_names() {
    const ENTRIES: usize = 300;
    const VALUE_BYTES: usize = 60_000;
    let (_directory, server) = started("memory:");
    let keys: Vec<[u8; 2]> = (0..ENTRIES as u16).map(u16::to_be_bytes).collect();
    for part in keys.chunks(100) {
        let part: Vec<(&[u8], &[u8])> = part.iter().map(|key| (&key[..], &[7; VALUE_BYTES][..])).collect();
        server.put(&part, Durability::Buffered);
    }
    let entry_bytes = 2 + VALUE_BYTES as u32;
    assert_eq!(server.scan(b"", 0, u32::MAX).len(), 0);
    for (max_entries, max_bytes, expected) in [
        (1, u32::MAX, 1),
        (7, u32::MAX, 7),
        (100, 3 * entry_bytes, 3),
        (3, 100 * entry_bytes, 3),
        (100, 0, 1),
    ] {
        let page = server.scan(b"", max_entries, max_bytes);
        assert_eq!(page.len(), expected, "{max_entries} entries, {max_bytes} bytes");
    }
    // Whatever the client names, a page is bounded.
    let page = server.scan(b"", u32::MAX, u32::MAX);
    assert_eq!(page.len(), (MAX_SCAN_BYTES / entry_bytes) as usize);
    assert!(page.len() < ENTRIES);
    let (mut found, mut start) = (Vec::new(), Vec::new());
    loop {
        let page = server.scan(&start, 11, 9 * entry_bytes);
        let Some(last) = page.last() else { break };
        start = [&last.key[..], &[0]].concat();
        assert!(page.len() <= 9);
        found.extend(page.into_iter().map(|entry| entry.key));
    }
    assert!(found.iter().eq(keys.iter().map(|key| &key[..])));
}
