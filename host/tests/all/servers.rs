//! Stores on servers, opened by their URLs.

use kvfs_host::{CopySide, Durability, OpenError, OpenOptions, conformance, copy_store, open_store};
use kvfs_test_servers::{Postgres, Redis};

use crate::{value_of, write};

/// Servers, each with the URL of a store that is not there yet.
fn servers() -> (Postgres, Redis, [String; 2]) {
    let (postgres, redis) = (Postgres::start(), Redis::start_durable());
    let urls = [
        format!("postgres://postgres:secret@{}/postgres?table=own", postgres.address()),
        format!("redis://{}/?prefix=own", redis.address()),
    ];
    (postgres, redis, urls)
}

#[test]
fn stores_on_servers_pass_the_suite_and_go_on_in_the_next_program() {
    let (_postgres, _redis, urls) = servers();
    for url in &urls {
        let missing = open_store(url).unwrap_err();
        let text = missing.to_string();
        assert!(matches!(missing, OpenError::Distant { .. }), "{text}");
        assert!(!text.contains("secret") && !text.contains('\n'), "{text}");
        let why = std::error::Error::source(&missing).map_or(text, ToString::to_string);
        assert!(why.contains("--create"), "{why}");
        let store = OpenOptions::new().create(true).open(url).unwrap();
        let report = conformance::check(&store);
        assert!(report.passed(), "{url}: {report}");
        write(&store, &[(b"k", b"v")], Durability::Buffered).unwrap();
        store.close().unwrap();
        drop(store);
        let reader = OpenOptions::new().read_only(true).open(url).unwrap();
        assert_eq!(value_of(&reader, b"k").as_deref(), Some(&b"v"[..]));
        assert_eq!(value_of(&open_store(url).unwrap(), b"k").as_deref(), Some(&b"v"[..]));
    }
    // And from one to the other.
    let side = |url: &str| {
        let options = OpenOptions::new().create(true);
        (url.replace("=own", "=copy"), options)
    };
    let (to, options) = side(&urls[1]);
    let from = CopySide { url: &urls[0], options: OpenOptions::new() };
    let copied = copy_store(from, CopySide { url: &to, options }, false, &mut |_| {}).unwrap();
    assert!(copied.amount.entries > 0);
    assert_eq!(value_of(&open_store(&to).unwrap(), b"k").as_deref(), Some(&b"v"[..]));
}
