//! The provider `http`: files of the stock command that a store server keeps.

use super::{composed, python, run, success};
use crate::python::composed::processes::kvfs;
use kvfs_compose::{Compose, Link, Provider, inspect};
use kvfs_tests::guests;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

pub(crate) const TOKEN: &str = "not-a-secret-0123456789";

/// `kvfs store-server` over a directory; ends with the test.
pub(crate) struct Server {
    child: Child,
    /// Its address, such as `127.0.0.1:4000`.
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(dir: &Path, listen: &str) -> Self {
        let token = dir.join("token");
        std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
        let mut child = kvfs()
            .args(["store-server", "--listen", listen, "--store"])
            .arg(format!("file:{}", dir.join("state").display()))
            .arg("--token-file")
            .arg(&token)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").unwrap_or_else(|| panic!("{line}")).1.to_owned();
        Self { child, address }
    }

    /// Ends it without a word, and starts another at the same place.
    pub(crate) fn killed_and_started_again(mut self, dir: &Path) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let address = self.address.clone();
        Self::start(dir, &address)
    }

    fn provider(&self, token: &str) -> Provider {
        Provider::Http { server: format!("http://{}", self.address), token: token.parse().unwrap() }
    }

    /// Sends bytes, and returns the first line of the answer.
    fn status(&self, request: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.replace('\n', "\r\n").as_bytes()).unwrap();
        // The server may refuse before all is sent.
        let _ = stream.write_all(body);
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run_python(component: &Path, program: &str) -> Output {
    run(&["-S", "http"], component, &["-c", program])
}

#[test]
fn every_file_operation_works_at_a_distance() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "127.0.0.1:0");
    for link in [Link::Component, Link::Core] {
        let compose = Compose::new(guests::rust().unwrap()).provider(server.provider(TOKEN)).link(link);
        let component = dir.path().join("rust.wasm");
        std::fs::write(&component, compose.build().unwrap().bytes).unwrap();
        // The program checks its own files and fails if they differ from what it wrote.
        let printed = success(&run(&["-S", "http"], &component, &["bench", "operations", "30"]));
        assert!(printed.contains("rename\t30\t") && printed.lines().count() > 10, "{printed}");
    }
}

#[test]
fn python_finds_its_files_after_the_server_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "127.0.0.1:0");
    let component = python(dir.path(), server.provider(TOKEN));
    let write = "
import os
os.mkdir('/d')
for n in range(50): open(f'/d/{n}', 'w').write(str(n) * 100)
open('/big', 'wb').write(bytes(range(256)) * 80_000)
";
    success(&run_python(&component, write));
    let server = server.killed_and_started_again(dir.path());
    let read = "
import os
assert open('/big', 'rb').read() == bytes(range(256)) * 80_000
assert all(open(f'/d/{n}').read() == str(n) * 100 for n in range(50))
print(sorted(os.listdir('/')))
";
    assert_eq!(success(&run_python(&component, read)), "['big', 'd']\n");
    // Another program looks at the directory meanwhile.
    let checked =
        kvfs().args(["fsck", "--store"]).arg(format!("file:{}", dir.path().join("state").display())).output();
    assert!(checked.as_ref().unwrap().status.success(), "{checked:?}");
    drop(server);
    // Without the server, the program is told, and soon.
    let alone = run_python(&component, "open('/d/1')");
    assert!(!alone.status.success());
    assert!(String::from_utf8_lossy(&alone.stderr).contains("OSError"), "{alone:?}");
}

#[test]
fn a_wrong_token_opens_nothing_and_none_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "127.0.0.1:0");
    let wrong = composed(dir.path(), &std::fs::read(guests::python().unwrap()).unwrap(), {
        server.provider("another-token-0123456789")
    });
    let refused = run_python(&wrong, "open('/x', 'w')");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("PermissionError"), "{told}");
    assert!(!told.contains("another-token"), "{told}");
    let shown = inspect(&std::fs::read(&wrong).unwrap()).unwrap();
    assert!(!format!("{shown} {shown:?}").contains("another-token"), "{shown}");
    assert!(shown.to_string().contains(&server.address), "{shown}");
}

#[test]
fn whatever_a_client_sends_the_server_stays() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "127.0.0.1:0");
    let request = |token: &str, line: &str, length: usize| {
        format!("{line} HTTP/1.1\nhost: store\nauthorization: Bearer {token}\ncontent-length: {length}\n\n")
    };
    for (token, line, body, status) in [
        ("wrong", "POST /kvfs/v1/limits", &b""[..], "401"),
        ("", "POST /kvfs/v1/limits", b"", "401"),
        (&TOKEN[1..], "POST /kvfs/v1/limits", b"", "401"),
        (TOKEN, "GET /kvfs/v1/limits", b"", "405"),
        (TOKEN, "POST /kvfs/v2/limits", b"", "404"),
        (TOKEN, "POST /../../etc/passwd", b"", "404"),
        (TOKEN, "POST /kvfs/v1/limits", b"more", "400"),
        (TOKEN, "POST /kvfs/v1/get", b"\xff\xff\xff\xff", "400"),
        (TOKEN, "POST /kvfs/v1/apply", b"\x02", "400"),
        (TOKEN, "POST /kvfs/v1/limits", b"", "200"),
    ] {
        let answered = server.status(&request(token, line, body.len()), body);
        assert!(answered.starts_with(&format!("HTTP/1.1 {status}")), "{token} {line} {body:?}: {answered}");
    }
    let answered = server.status(&request(TOKEN, "POST /kvfs/v1/apply", 1 << 40), b"");
    assert!(answered.starts_with("HTTP/1.1 413"), "{answered}");
    // A length that is not given is bounded too.
    let chunked = format!(
        "POST /kvfs/v1/apply HTTP/1.1\nhost: store\nauthorization: Bearer {TOKEN}\ntransfer-encoding: chunked\n\n"
    );
    let chunk = [b"1000000\r\n".to_vec(), vec![0; 1 << 24], b"\r\n".to_vec()].concat();
    let answered = server.status(&chunked, &chunk.repeat(3));
    assert!(answered.is_empty() || answered.starts_with("HTTP/1.1 413"), "{answered}");
    // Clients that say nothing, or half of a request, keep nobody else out.
    let idle: Vec<TcpStream> = (0..100)
        .map(|number| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            if number % 2 == 0 {
                stream.write_all(b"POST /kvfs/v1/limits HTTP/1.1\r\nho").unwrap();
            }
            stream
        })
        .collect();
    let answered = server.status(&request(TOKEN, "POST /kvfs/v1/limits", 0), b"");
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    drop(idle);
}

#[test]
fn the_server_says_what_is_wrong_with_its_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    let refused = |token_text: &str, listen: &str| {
        std::fs::write(&token, token_text).unwrap();
        let output = kvfs()
            .args(["store-server", "--store", "memory:", "--listen", listen, "--token-file"])
            .arg(&token)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let told = refused("short", "127.0.0.1:0");
    assert!(told.contains("16 to 512 characters") && !told.contains("short"), "{told}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let told = refused(TOKEN, &taken.local_addr().unwrap().to_string());
    assert!(told.contains("cannot listen on 127.0.0.1:"), "{told}");
    assert!(!told.contains(TOKEN), "{told}");
}

#[test]
fn composing_says_what_a_server_needs() {
    let dir = tempfile::tempdir().unwrap();
    let (out, token): (PathBuf, PathBuf) = (dir.path().join("out.wasm"), dir.path().join("token"));
    std::fs::write(&token, TOKEN).unwrap();
    let compose = |args: &[&str]| {
        let output = kvfs()
            .arg("compose")
            .arg(guests::python().unwrap())
            .arg("-o")
            .arg(&out)
            .args(args)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let file = token.to_str().unwrap();
    let (done, told) = compose(&["--provider", "http://store"]);
    assert!(!done && told.contains("Give --token-file"), "{told}");
    let (done, told) = compose(&["--provider", "file", "--token-file", file]);
    assert!(!done && told.contains("asks for no token"), "{told}");
    let (done, told) = compose(&["--provider", "http://me:secret@store", "--token-file", file]);
    assert!(!done && told.contains("the file of the token"), "{told}");
    let (done, told) = compose(&["--provider", "http://store:7780/kvfs", "--token-file", file]);
    assert!(done, "{told}");
    let mut bytes = Vec::new();
    std::fs::File::open(&out).unwrap().read_to_end(&mut bytes).unwrap();
    assert!(inspect(&bytes).unwrap().to_string().contains("the store server at http://store:7780/kvfs"));
}
