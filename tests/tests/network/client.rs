//! http clients, in this process and in the stock command.

use kvfs_tests::differential::Difference;

use super::seen_each_way;
use super::servers::{Servers, Then, bytes};

const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nonly this";
const NO_CHUNK: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\nno length\r\n";
const STALLED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthe first";

#[test]
fn a_body_with_trailers_is_spliced_into_a_file() {
    let servers = Servers::new();
    let seen = seen_each_way(&["http/get", &servers.http()], &[]);
    assert_eq!(seen.get("status"), "200");
    assert_eq!(seen.get("content-type"), r#"Some("test/plain")"#);
    assert_eq!(seen.get("moved"), "1000003");
    assert_eq!(seen.get("trailers"), r#"[("x-count", "1000003")]"#);
    assert_eq!(seen.get("kept"), format!("(1000003, \"{}\")", sum(&bytes(1_000_003))));
}

/// Returns the FNV-1a checksum that the guest prints.
fn sum(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[test]
fn a_file_is_sent_with_a_trailer_and_comes_back() {
    let servers = Servers::new();
    let seen = seen_each_way(&["http/post", &servers.http()], &[]);
    assert_eq!(
        seen.lines(),
        [
            "moved out: 300000",
            "status: 200",
            r#"content-type: Some("test/plain")"#,
            "moved in: 300000",
            r#"trailers: [("x-count", "300000")]"#,
            "the same: true"
        ]
    );
}

#[test]
fn a_slow_body_is_waited_for_beside_files_and_clocks() {
    let servers = Servers::new();
    let seen = seen_each_way(&["http/together", &servers.http()], &[]);
    assert_eq!(
        seen.lines(),
        ["the file was ready at once: true", r#"kept: "drop 0\ndrop 1\ndrop 2\ndrop 3\ndrop 4\n""#]
    );
}

#[test]
fn errors_of_http_and_of_the_file_system_know_their_own_codes_and_not_each_others() {
    let servers = Servers::new();
    let raw = |then| servers.raw(then);
    let (cut, chunked, ended) = (raw(Then::Say(CUT)), raw(Then::Say(NO_CHUNK)), raw(Then::Say("")));
    let too_far = ["written", "spliced"].map(|how| Difference {
        program: "http/errors",
        label: if how == "written" { "too far, written" } else { "too far, spliced" },
        host: r#"Some((None, Some("invalid"), true))"#,
        ours: r#"Some((None, Some("file-too-large"), true))"#,
        because: "Offsets that no file reaches",
    });
    let seen = seen_each_way(&["http/errors", &Servers::nobody(), &cut, &chunked, &ended], &too_far);
    // wasmtime 48 gives no code for errors in an incoming body; for an outgoing one it does.
    let unknown = "Some((None, None, true))";
    let of_http = "Some((Some(ErrorCode::HttpRequestBodySize(Some(10))), None, true))";
    let of_files = r#"Some((None, Some("file-too-large"), true))"#;
    for (label, expected) in [
        ("nobody listens", "Err(ErrorCode::ConnectionRefused)"),
        ("ends without an answer", "Err(ErrorCode::HttpProtocolError)"),
        ("read before it ended", "9"),
        ("ended too soon, read", unknown),
        ("moved before ended too soon", "9"),
        ("ended too soon, spliced", unknown),
        ("moved before no chunk", "4"),
        ("no chunk, spliced", unknown),
        ("more than announced, written", of_http),
        ("more than announced, spliced", of_http),
        ("too far, written", of_files),
        ("too far, spliced", of_files),
        ("left /ended too soon", r#"file, 9 bytes, 1 names, "only this""#),
        ("left /no chunk", r#"file, 4 bytes, 1 names, "good""#),
    ] {
        assert_eq!(seen.get(label), expected, "{label}");
    }
}

#[test]
fn requests_that_take_too_long_end_with_the_code_of_their_time_out() {
    let mut servers = Servers::new();
    let full = servers.full();
    let (silent, stalled) = (servers.raw(Then::Stall("")), servers.raw(Then::Stall(STALLED)));
    let seen = seen_each_way(&["http/timeouts", &full, &silent, &stalled], &[]);
    assert_eq!(
        seen.lines(),
        [
            "connect: Err(ErrorCode::ConnectionTimeout)",
            "first byte: Err(ErrorCode::ConnectionReadTimeout)",
            r#"before it stopped: "the first""#,
            // No code, as for every error in an incoming body.
            "between bytes: None",
        ]
    );
}
