//! A guest that exports `wasi:http/incoming-handler`, composed and linked: in this process, where
//! one instance answers all requests in turn, and in the stock `wasmtime serve`.
//!
//! There the client may have the whole answer before the call has ended, and only the end of the
//! call commits. Each request gets an instance of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvfs_compose::{Compose, Link, Provider};
use kvfs_host::MemoryStore;
use kvfs_tests::differential::Way;
use kvfs_tests::stock::Serving;
use kvfs_tests::{Answer, Network, Program, Tree, engine, guests, kinds};
use wasmtime::component::Component;

use super::{WAYS, joined};

const FILE: Provider = Provider::File { path: None, accept_loss: false };
const MEMORY: Provider = Provider::Memory { size_bytes: None };

fn prepared(way: Way, guest: &[u8]) -> Component {
    let component = way.component(guest).unwrap();
    engine::compile(engine::interruptible(), &component).unwrap()
}

/// Sends the requests of a long conversation to one instance.
fn conversation(program: &Program) -> Vec<Answer> {
    let mut session = program.clone().network(Network::Loopback).session().unwrap();
    let large: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 249) as u8).collect();
    let requests: [(&str, &str, &[u8]); 10] = [
        ("PUT", "/large", &large),
        ("PUT", "/small", b"hello"),
        ("GET", "/large", b""),
        ("PUT", "/small", b"bye"),
        ("GET", "/", b""),
        ("DELETE", "/large", b""),
        ("GET", "/large", b""),
        ("POST", "/small", b"x"),
        ("PUT", "/no/such/directory", b"x"),
        ("GET", "/small", b""),
    ];
    requests.map(|(method, path, body)| session.request(method, path, body).unwrap()).into()
}

/// Runs the conversation on the host's file system and in each of our ways.
#[track_caller]
fn serves_files_and_keeps_what_it_is_sent(guest: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let on_host = conversation(&Program::new(&prepared(Way::Host, guest)).host_files(dir.path()));
    let said: Vec<_> = on_host.iter().map(|a| (a.status, String::from_utf8_lossy(&a.body))).collect();
    assert_eq!((said[0].0, &*said[0].1), (201, "1000000 bytes\n"));
    assert!(said[2].0 == 200 && said[2].1.len() >= 1_000_000);
    assert_eq!((said[4].0, &*said[4].1), (200, "large 1000000\nsmall 3\nrequests: 5\n"));
    assert_eq!((said[6].0, &*said[6].1), (404, "no-entry\n"));
    assert_eq!((said[9].0, &*said[9].1), (200, "bye"));
    assert!(on_host.iter().all(|answer| answer.whole && answer.trap.is_none()));
    for way in Way::OURS {
        let store = Arc::new(MemoryStore::new());
        let ours = conversation(&Program::new(&prepared(way, guest)).store(store.clone()));
        assert!(ours == on_host, "{way:?}");
        // The guest leaves its files open and syncs nothing; the end of each call stored them.
        assert_eq!(Tree::of_store(&store).unwrap(), Tree::of_directory(dir.path()).unwrap(), "{way:?}");
    }
}

#[test]
fn an_instance_serves_files_and_keeps_what_it_is_sent_as_on_the_host() {
    serves_files_and_keeps_what_it_is_sent(&kinds::server().unwrap());
}

#[test]
fn an_instance_of_cpython_serves_files_and_keeps_what_it_is_sent_as_on_the_host() {
    serves_files_and_keeps_what_it_is_sent(&guests::python_server().unwrap());
}

#[test]
fn cpython_keeps_a_database_from_one_server_to_the_next() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let component = joined(dir.path(), &guests::python_server().unwrap(), link, FILE);
        let state = dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        for (number, sum) in [("5", "5\n"), ("7", "12\n"), ("-20", "-8\n")] {
            let server = start_on(&state, &component);
            let answer = text(server.request("POST", "/sum", number.as_bytes()).unwrap());
            assert_eq!(answer, (200, sum.to_owned()), "{link:?}: {}", server.said());
            server.stop().unwrap();
        }
    }
}

#[test]
fn a_call_whose_data_cannot_be_stored_traps() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let provider = Provider::Memory { size_bytes: Some(1 << 20) };
        let component = joined(dir.path(), &kinds::server().unwrap(), link, provider);
        let component = engine::compile(engine::interruptible(), &std::fs::read(component).unwrap()).unwrap();
        let mut session = Program::new(&component).network(Network::Loopback).session().unwrap();
        let mut put = |size| session.request("PUT", "/a", &vec![1; size]).unwrap();
        assert_eq!(put(1000).trap, None, "{link:?}");
        // The adapter keeps the data in memory, so the answer is good; the commit at the end fails.
        let answer = put(4 << 20);
        assert_eq!((answer.status, answer.whole), (201, true), "{link:?}");
        assert!(answer.trap.is_some_and(|trap| trap.contains("unreachable")), "{link:?}");
    }
}

/// A packed tree at `/` that the guest may change, and one that it may not.
const SITE: [&str; 2] = ["/=overlay:{}:site", "/docs=image:{}"];

/// Makes the tree, packs it, and joins a server with it.
fn with_images(dir: &Path, guest: &[u8], link: Link, provider: Provider) -> PathBuf {
    let tree = dir.join("tree");
    std::fs::create_dir_all(tree.join("deep")).unwrap();
    std::fs::write(tree.join("index"), "welcome").unwrap();
    std::fs::write(tree.join("deep/large"), large()).unwrap();
    let compose = SITE.iter().fold(Compose::new(guest).link(link).provider(provider), |compose, mount| {
        compose.mount(mount.replace("{}", tree.to_str().unwrap()).parse().unwrap())
    });
    let joined = compose.build().unwrap();
    assert_eq!(joined.report.not_linked, None);
    // The component holds the tree; its source is gone.
    std::fs::remove_dir_all(&tree).unwrap();
    let path = dir.join("served.wasm");
    std::fs::write(&path, joined.bytes).unwrap();
    path
}

fn large() -> Vec<u8> {
    (0..300_000_u32).map(|at| (at % 251) as u8).collect()
}

/// A request to a server with trees, and the answer.
type Said = (&'static str, &'static str, &'static [u8], u16, &'static [u8]);

const SITE_SAID: [Said; 11] = [
    ("GET", "/index", b"", 200, b"welcome"),
    ("GET", "/docs/index", b"", 200, b"welcome"),
    ("PUT", "/docs/index", b"x", 500, b"read-only\n"),
    ("DELETE", "/docs/index", b"", 500, b"read-only\n"),
    ("PUT", "/deep/new", b"kept", 201, b"4 bytes\n"),
    ("PUT", "/index", b"mine", 201, b"4 bytes\n"),
    ("GET", "/index", b"", 200, b"mine"),
    ("GET", "/docs/index", b"", 200, b"welcome"),
    ("DELETE", "/index", b"", 200, b"removed\n"),
    ("GET", "/index", b"", 404, b"no-entry\n"),
    ("GET", "/deep/new", b"", 200, b"kept"),
];

#[test]
fn an_instance_serves_packed_trees_and_keeps_its_writes_while_it_lives() {
    let dir = tempfile::tempdir().unwrap();
    for guest in [kinds::server().unwrap(), guests::python_server().unwrap()] {
        for link in WAYS {
            let component = with_images(dir.path(), &guest, link, MEMORY);
            let component =
                engine::compile(engine::interruptible(), &std::fs::read(component).unwrap()).unwrap();
            // The next instance does not find what one wrote.
            for _ in 0..2 {
                let mut session = Program::new(&component).network(Network::Loopback).session().unwrap();
                for (method, path, body, status, said) in SITE_SAID {
                    let answer = session.request(method, path, body).unwrap();
                    assert!(answer.trap.is_none() && answer.whole, "{link:?} {method} {path}: {answer:?}");
                    let seen = (answer.status, String::from_utf8_lossy(&answer.body).into_owned());
                    let said = (status, String::from_utf8_lossy(said).into_owned());
                    assert_eq!(seen, said, "{link:?} {method} {path}");
                }
                let answer = session.request("GET", "/docs/deep/large", b"").unwrap();
                assert!(answer.body == large(), "{link:?}: {} bytes", answer.body.len());
            }
        }
    }
}

#[test]
fn the_stock_command_serves_packed_trees() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let component = with_images(dir.path(), &kinds::server().unwrap(), link, FILE);
        let state = dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        for (method, path, body, status, said) in SITE_SAID {
            // Each request finds what earlier ones stored above the tree.
            let server = start_on(&state, &component);
            let answer = text(server.request(method, path, body).unwrap());
            assert_eq!(
                answer,
                (status, String::from_utf8_lossy(said).into_owned()),
                "{link:?} {method} {path}"
            );
            server.stop().unwrap();
        }
        let server = start_on(&state, &component);
        let (status, body) = server.request("GET", "/docs/deep/large", b"").unwrap();
        assert!(status == 200 && body == large(), "{link:?}: {} bytes", body.len());
        server.stop().unwrap();
    }
}

fn text((status, body): (u16, Vec<u8>)) -> (u16, String) {
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn the_stock_command_gives_each_request_an_instance() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let component = joined(dir.path(), &kinds::server().unwrap(), link, MEMORY);
        let server = Serving::start(&[], &component).unwrap();
        for _ in 0..2 {
            assert_eq!(text(server.request("PUT", "/a", b"x").unwrap()), (201, "1 bytes\n".to_owned()));
            assert_eq!(text(server.request("GET", "/", b"").unwrap()), (200, "requests: 1\n".to_owned()));
        }
        server.stop().unwrap();
    }
}

#[test]
fn a_call_stores_its_writes_at_its_end_and_the_next_server_finds_them() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let component = joined(dir.path(), &kinds::server().unwrap(), link, FILE);
        let state = dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let start = || start_on(&state, &component);
        for number in 0..3 {
            let server = start();
            let answer = server.request("PUT", &format!("/{number}"), &vec![b'x'; 100_000 * number]);
            assert_eq!(text(answer.unwrap()), (201, format!("{} bytes\n", 100_000 * number)));
            // Waits for the end of the call; the end of the process would store nothing.
            server.stop().unwrap();
        }
        let server = start();
        let list = text(server.request("GET", "/", b"").unwrap());
        assert_eq!(list, (200, "0 0\n1 100000\n2 200000\nrequests: 1\n".to_owned()), "{link:?}");
        let (status, body) = server.request("GET", "/2", b"").unwrap();
        let said = server.said();
        let start = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert!(status == 200, "{link:?}: {status} {start:?}\n{said}");
        assert!(body == vec![b'x'; 200_000], "{link:?}: {} bytes", body.len());
        server.stop().unwrap();
    }
}

/// Starts a server on a store in a directory.
fn start_on(state: &Path, component: &Path) -> Serving {
    let option = format!("--dir={}::/kvfs", state.display());
    Serving::start(&["-Scli", &option], component).unwrap()
}
