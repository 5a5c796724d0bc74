//! What can be wrong when a store is opened: one line each, without the token.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use kvfs_contract::Secret;
use kvfs_http_store::{Config, OpenError};
use kvfs_store_rig::Calls;

use crate::server::{Fault, Server, TOKEN, at, open};

fn refused(config: Config) -> OpenError {
    let error = match open(config) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(!text.contains("secret") && !text.contains('\n') && text.len() < 500, "{text}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    println!("{text}");
    error
}

#[test]
fn each_thing_that_is_wrong_is_told_with_its_remedy() {
    let server = Server::start();
    let config = || at(server.address);
    assert!(matches!(
        refused(config().token(Secret::new("another-secret-1234"))),
        OpenError::Credentials { .. }
    ));
    for bad in ["", "secret", "a secret with spaces in it", "a-secret-\r\nheader: injected"] {
        assert!(matches!(refused(config().token(Secret::new(bad))), OpenError::Token { .. }));
    }
    server.order([Fault::Says(404, "text/html", b"<h1>Not found</h1>".to_vec())]);
    assert!(refused(config()).to_string().contains("no store server"));
    server.order([Fault::Says(200, kvfs_http_wire::CONTENT_TYPE, vec![0, 1])]);
    assert!(matches!(refused(config()), OpenError::Store { .. }));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in ["127.0.0.1:1".parse().unwrap(), silent.local_addr().unwrap()] {
        let mut config = at(address);
        config.patience = Duration::from_millis(500);
        let error = refused(config);
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
    // A client of TLS meets a server without.
    let tls = Config::from_url(&format!("https://{}", server.address)).unwrap().token(Secret::new(TOKEN));
    assert!(matches!(refused(tls), OpenError::Unreachable { .. }));
}

#[test]
fn a_server_that_is_about_to_start_is_waited_for() {
    let server = Server::start();
    server.order([Fault::LosesRequest, Fault::Says(503, "text/plain", Vec::new())]);
    server.open().set(&[], &[(b"k", Some(b"v"))], true).unwrap();
}

#[test]
fn the_token_is_the_first_line_of_a_file_that_others_cannot_read() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let config = || at(server.address).token_file(&file);
    assert!(matches!(refused(config()), OpenError::TokenFile { .. }));
    std::fs::write(&file, format!("{TOKEN}\r\nanything\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(refused(config()).to_string().contains("chmod 600"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    open(config()).unwrap();
}
