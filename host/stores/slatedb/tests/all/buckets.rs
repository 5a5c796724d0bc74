//! Buckets that are missing: made when that is asked for, and otherwise told with the remedy. And what
//! else a server may say to the first request.

use crate::objects::{open, try_open};
use crate::s3::{at, refusal, start};
use kvfs_contract::AsyncKvStore;
use kvfs_slatedb_store::OpenError;
use kvfs_store_rig::Calls;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

#[test]
fn a_missing_bucket_is_made_when_asked_for_and_only_then() {
    let server = start();
    let address = server.address();
    for (number, region) in ["us-east-1", "eu-central-1"].into_iter().enumerate() {
        let url = format!("slatedb:s3://bucket-{number}/agents");
        let config = || at(address, &url).set("AWS_REGION", region);
        let mut careful = config();
        careful.create = false;
        for read_only in [false, true] {
            careful.read_only = read_only;
            let error = refusal(careful.clone());
            assert!(matches!(error, OpenError::MissingBucket { can_be_made: true }), "{error:?}");
            assert!(error.to_string().contains("--create"), "{error}");
        }
        // A reader makes nothing, whatever it is told.
        let mut reader = config();
        reader.read_only = true;
        assert!(matches!(refusal(reader), OpenError::MissingBucket { .. }));
        // Neither does somebody who may not.
        let error = refusal(config().set("AWS_SECRET_ACCESS_KEY", "hunter2"));
        assert!(matches!(error, OpenError::Refused { .. }), "{error:?}");
        let mut store = open(config());
        store.set(&[], &[(b"k", Some(b"v"))], true).unwrap();
        store.wait(store.store.close()).unwrap();
        careful.read_only = false;
        let mut again = open(careful);
        assert_eq!(again.value_of(b"k").unwrap().as_deref(), Some(&b"v"[..]), "{region}");
    }
}

/// A server without buckets that answers each request to make one with `making`, and others with
/// `other`. The requests that would make one come to the receiver, their heads and bodies.
fn answering(making: &'static str, other: &'static str) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                while let Some(request) = request(&mut reader) {
                    let makes = request.starts_with("PUT /nobodys/?");
                    let said = if makes { making } else { other };
                    if makes {
                        let _ = sender.send(request);
                    }
                    let (status, body) = said.split_once('\n').unwrap();
                    let length = body.len();
                    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
                    if (&stream).write_all(head.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, receiver)
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let from = head.len();
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
        let line = head[from..].trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

const MISSING: &str = "404 Not Found\n<Error><Code>NoSuchBucket</Code></Error>";
const REFUSES: &str = "403 Forbidden\n<Error><Code>AccessDenied</Code><Message>not you</Message></Error>";
const TAKEN: &str = "409 Conflict\n<Error><Code>BucketAlreadyExists</Code></Error>";
const MINE: &str = "409 Conflict\n<Error><Code>BucketAlreadyOwnedByYou</Code></Error>";

const URL: &str = "slatedb:s3://nobodys/agents";

#[test]
fn a_bucket_that_cannot_be_made_is_told_with_what_the_server_says() {
    for (answer, told) in [(REFUSES, "AccessDenied: not you"), (TAKEN, "BucketAlreadyExists")] {
        let (address, requests) = answering(answer, MISSING);
        let error = refusal(at(address, URL));
        assert!(matches!(error, OpenError::BucketNotMade { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains(told) && !text.contains("X-Amz") && text.contains("tool of its provider"),
            "{text}"
        );
        assert_eq!(requests.try_iter().count(), 1);
    }
    let (address, requests) = answering(REFUSES, MISSING);
    let wrong = at(address, URL).set("AWS_REGION", "<script>");
    assert!(try_open(wrong).is_err());
    assert_eq!(requests.try_iter().count(), 0);
}

#[test]
fn a_bucket_is_made_in_the_region_of_the_client() {
    for region in ["us-east-1", "eu-central-1"] {
        // One that another program made at the same moment is taken, and is missing again here.
        let (address, requests) = answering(MINE, MISSING);
        let error = refusal(at(address, URL).set("AWS_REGION", region));
        assert!(matches!(error, OpenError::MissingBucket { .. }), "{error:?}");
        let request = requests.try_recv().unwrap();
        let constraint = format!("<LocationConstraint>{region}</LocationConstraint>");
        assert_eq!(request.contains(&constraint), region != "us-east-1", "{request}");
        assert!(request.contains(&format!("%2F{region}%2Fs3%2F")), "{request}");
    }
}

#[test]
fn a_clock_that_is_wrong_for_the_server_is_told_and_nothing_is_made() {
    const SKEWED: &str = "403 Forbidden\n<Error><Code>RequestTimeTooSkewed</Code><Message>The difference \
                          between the request time and the current time is too large</Message></Error>";
    let (address, requests) = answering(REFUSES, SKEWED);
    let error = refusal(at(address, URL));
    assert!(matches!(error, OpenError::Clock { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("RequestTimeTooSkewed") && text.contains("NTP"), "{text}");
    assert_eq!(requests.try_iter().count(), 0);
}
