use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use kvfs_test_servers::{Postgres, Redis, answers, wait_until};

#[test]
fn a_killed_postgres_comes_back_with_what_it_committed() {
    let mut postgres = Postgres::start_with(&[("max_connections", "17")]);
    let directory = postgres.server().directory().to_owned();
    postgres.sql("postgres", "CREATE TABLE t (a int); INSERT INTO t VALUES (7)");
    assert_eq!(postgres.sql("postgres", "SHOW max_connections"), "17");
    postgres.server().kill();
    assert!(TcpStream::connect(postgres.address()).is_err(), "it does not serve any more");
    let before = postgres.address();
    postgres.server().restart();
    assert_eq!(postgres.address(), before);
    assert_eq!(postgres.sql("postgres", "SELECT a FROM t"), "7");
    drop(postgres);
    assert!(TcpStream::connect(before).is_err());
    assert!(!directory.exists());
}

#[test]
fn a_killed_redis_keeps_what_it_logged_and_one_without_a_log_nothing() {
    for (mut redis, kept) in [(Redis::start_durable(), "v"), (Redis::start(), "")] {
        assert_eq!(redis.cli(&["SET", "k", "v"]), "OK");
        redis.server().kill();
        redis.server().restart();
        assert_eq!(redis.cli(&["GET", "k"]), kept);
    }
}

/// Run by the next test in a process of its own.
#[test]
#[ignore = "waits for ever"]
fn waits_beside_a_server() {
    let mut redis = Redis::start();
    println!("serves {} {}", redis.address(), redis.server().directory().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_server_ends_when_its_test_is_killed() {
    use std::io::{BufRead, BufReader};
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--ignored", "--exact", "--nocapture", "servers::waits_beside_a_server"]);
    let mut test = test.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().split_once("serves ").map(|(_, rest)| rest.to_owned()));
    let line = line.expect("the test's server");
    let (address, directory) = line.split_once(' ').unwrap();
    let address = address.parse().unwrap();
    assert!(answers(address, b"PING\r\n").starts_with(b"+PONG"));
    test.kill().unwrap();
    test.wait().unwrap();
    wait_until("the server ends and its files go", || {
        TcpStream::connect(address).is_err() && !Path::new(directory).exists()
    });
}
