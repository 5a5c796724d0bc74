//! The same programs in the stock `wasmtime run`, composed and linked, with their store inside.

use std::process::Output;

use kvfs_compose::Provider;
use kvfs_tests::{kinds, stock};

use super::servers::Servers;
use super::{WAYS, joined};

/// Runs a program in each way, with a provider, and expects certain lines in its output.
#[track_caller]
fn prints(options: &[&str], arguments: &[&str], expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let provider = Provider::Memory { size_bytes: None };
        let component = joined(dir.path(), &kinds::network().unwrap(), link, provider);
        let mut command = stock::run().unwrap();
        let output: Output = command.args(options).arg(component).args(arguments).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{link:?}: {output:?}");
        for line in expected {
            assert!(printed.lines().any(|printed| printed == *line), "{link:?}: {line} is not in\n{printed}");
        }
    }
}

#[test]
fn http_as_a_client() {
    let servers = Servers::new();
    let server = servers.http();
    let expected = ["status: 200", "moved: 1000003", r#"trailers: [("x-count", "1000003")]"#];
    prints(&["-Shttp"], &["http/get", &server], &expected);
    let expected = ["moved out: 300000", r#"trailers: [("x-count", "300000")]"#, "the same: true"];
    prints(&["-Shttp"], &["http/post", &server], &expected);
    prints(&["-Shttp"], &["http/together", &server], &["the file was ready at once: true"]);
}

#[test]
fn tcp_and_udp() {
    let options = ["-Shttp", "-Sinherit-network"];
    prints(&options, &["sockets/tcp"], &["the same: true", r#"answer: "well received""#]);
    prints(&options, &["sockets/udp"], &[r#"heard: ["connected"]"#, "nothing else came: Ok(0)"]);
}
