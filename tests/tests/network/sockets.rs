//! TCP and UDP, with both ends in the guest, and UDP with a server outside.

use super::seen_each_way;
use super::servers::Servers;

#[test]
fn a_file_goes_through_a_tcp_connection_and_an_answer_comes_back() {
    let seen = seen_each_way(&["sockets/tcp"], &[]);
    assert_eq!(
        seen.lines(),
        [
            r#"accepted before anybody came: Err("would-block")"#,
            "client is connected to: true",
            "and the server to the client: true",
            "the same: true",
            r#"no more from the client: Err("StreamError::Closed")"#,
            "answered: 13",
            r#"answer: "well received""#,
            r#"too late: Err("connection-refused")"#,
        ]
    );
}

#[test]
fn datagrams_go_there_and_back() {
    let seen = seen_each_way(&["sockets/udp"], &[]);
    assert_eq!(
        seen.lines(),
        [
            "before anything was sent: (false, Ok(0))",
            "sent: (true, 1)",
            r#"received, and told back: (1, ["5"], true)"#,
            "sent: (true, 1)",
            r#"received, and told back: (1, ["0"], true)"#,
            "sent: (true, 1)",
            r#"received, and told back: (1, ["5000"], true)"#,
            r#"logged: (4101, "e0398ee26c295d41")"#,
            "connected to: Ok(true)",
            r#"to nobody else: Err("invalid-argument")"#,
            "sent to it: Ok(1)",
            r#"heard: ["connected"]"#,
            "nothing else came: Ok(0)",
        ]
    );
}

#[test]
fn datagrams_are_answered_by_a_server() {
    let servers = Servers::new();
    let seen = seen_each_way(&["sockets/udp", &servers.udp()], &[]);
    assert_eq!(seen.lines(), ["sent: Ok(1)", "sent: Ok(1)", "sent: Ok(1)", r#"kept: "ONETWOTHREE""#]);
}
