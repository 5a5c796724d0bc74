use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use kvfs_test_servers::{Direction, How, Proxy, SOON, wait_until};

/// A server that sends back what it gets.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Asks, and expects no answer for a while.
fn is_not_answered(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert_eq!(ask(stream, b"abc").unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(SOON)).unwrap();
}

fn ask(stream: &mut TcpStream, question: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(question)?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn bytes_pass_and_turns_are_counted() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, b"abc").unwrap(), b"abc");
    assert_eq!(ask(&mut stream, b"defg").unwrap(), b"defg");
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.up_bytes, counts.down_bytes, counts.turns), (1, 7, 7, 2));
    proxy.reset_counts();
    let large = vec![7; 3 << 20];
    let mut writer = stream.try_clone().unwrap();
    let sent = large.clone();
    let writing = std::thread::spawn(move || writer.write_all(&sent));
    let mut answer = vec![0; large.len()];
    stream.read_exact(&mut answer).unwrap();
    writing.join().unwrap().unwrap();
    assert!(answer == large);
    assert_eq!(proxy.counts().up_bytes, 3 << 20);
}

#[test]
fn a_delay_is_that_of_each_direction_and_what_is_sent_together_is_one_turn() {
    let proxy = Proxy::start(echo());
    proxy.set_delay(Duration::from_millis(60));
    let mut stream = connect(&proxy);
    let begun = Instant::now();
    stream.write_all(b"a").unwrap();
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(ask(&mut stream, b"b").unwrap(), b"a");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(120), "{took:?}");
    assert_eq!(proxy.counts().turns, 1);
}

#[test]
fn a_cut_lets_exactly_so_many_bytes_pass() {
    for (how, kind) in [(How::Reset, ErrorKind::ConnectionReset), (How::Close, ErrorKind::UnexpectedEof)] {
        let proxy = Proxy::start(echo());
        let mut stream = connect(&proxy);
        proxy.cut_after(Direction::Down, 5, how);
        assert_eq!(ask(&mut stream, b"abc").unwrap(), b"abc");
        assert_eq!(ask(&mut stream, b"defg").unwrap_err().kind(), kind);
        assert!(!proxy.cancel_cut(), "it happened");
        assert_eq!((proxy.counts().up_bytes, proxy.counts().down_bytes), (7, 5));
        // It happens once.
        assert_eq!(ask(&mut connect(&proxy), b"abc").unwrap(), b"abc");
    }
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    proxy.cut_after(Direction::Up, 2, How::Reset);
    assert!(ask(&mut stream, b"abc").is_err());
    assert_eq!(proxy.counts().up_bytes, 2);
}

#[test]
fn a_stalled_connection_says_nothing_and_goes_on_later() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    proxy.set_stalled(true);
    is_not_answered(&mut stream);
    proxy.set_stalled(false);
    assert_eq!(ask(&mut stream, b"xyz").unwrap(), b"abc");
    // The cut is for whoever sends next: nothing may be on its way.
    let mut rest = [0; 3];
    stream.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"xyz");
    let mut stream = connect(&proxy);
    proxy.cut_after(Direction::Up, 0, How::Stall);
    is_not_answered(&mut stream);
    assert_eq!(ask(&mut connect(&proxy), b"abc").unwrap(), b"abc");
}

#[test]
fn connections_are_reset_and_refused() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    ask(&mut stream, b"abc").unwrap();
    proxy.reset_all();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    proxy.set_refusing(true);
    assert!(ask(&mut connect(&proxy), b"abc").is_err());
    proxy.set_refusing(false);
    let address = proxy.address();
    ask(&mut connect(&proxy), b"abc").unwrap();
    // A server that is down.
    proxy.set_target((Ipv4Addr::LOCALHOST, 1).into());
    assert!(ask(&mut connect(&proxy), b"abc").is_err());
    drop(proxy);
    wait_until("nobody listens", || TcpStream::connect(address).is_err());
}
