//! TCP and UDP, with both ends in one program, and files for what they carry.

use crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::bindings::wasi::io::poll::poll;
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Network,
};
use crate::bindings::wasi::sockets::tcp::{ShutdownType, TcpSocket};
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::bindings::wasi::sockets::udp::{OutgoingDatagram, UdpSocket};
use crate::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::{Outcome, Step, files, say};

const LOOPBACK: (u8, u8, u8, u8) = (127, 0, 0, 1);

fn loopback(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: LOOPBACK })
}

/// Returns the address as text, for comparison.
fn shown(address: &IpSocketAddress) -> String {
    match address {
        IpSocketAddress::Ipv4(v4) => format!("{:?} {}", v4.address, v4.port),
        IpSocketAddress::Ipv6(v6) => format!("{:?} {}", v6.address, v6.port),
    }
}

fn same(one: &IpSocketAddress, other: &IpSocketAddress) -> bool {
    shown(one) == shown(other)
}

fn name(error: ErrorCode) -> &'static str {
    error.name()
}

/// Reads `127.0.0.1:PORT`.
fn parse(server: &str) -> Outcome<IpSocketAddress> {
    let port = server.strip_prefix("127.0.0.1:").and_then(|port| port.parse().ok());
    port.map(loopback).ok_or_else(|| format!("{server} is no address on this machine"))
}

/// Starts a listening TCP socket at a free port.
fn listener(network: &Network) -> Outcome<TcpSocket> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).step("create")?;
    socket.start_bind(network, loopback(0)).step("bind")?;
    socket.subscribe().block();
    socket.finish_bind().step("bind")?;
    socket.start_listen().step("listen")?;
    socket.subscribe().block();
    socket.finish_listen().step("listen")?;
    Ok(socket)
}

/// A file goes out by splice and comes in by splice, and an answer returns, between two sockets of
/// one program.
pub(crate) fn tcp() -> Outcome {
    let network = instance_network();
    let listening = listener(&network)?;
    let address = listening.local_address().step("local-address")?;
    let incoming = listening.subscribe();
    say("accepted before anybody came", listening.accept().map(|_| ()).map_err(name));

    let client = create_tcp_socket(IpAddressFamily::Ipv4).step("create")?;
    client.start_connect(&network, address).step("connect")?;
    client.subscribe().block();
    let (from_server, to_server) = client.finish_connect().step("connect")?;
    incoming.block();
    let (server, from_client, to_client) = listening.accept().step("accept")?;
    say("client is connected to", same(&client.remote_address().step("remote-address")?, &address));
    let matches = same(
        &server.remote_address().step("remote-address")?,
        &client.local_address().step("local-address")?,
    );
    say("and the server to the client", matches);

    // Pieces that fit into the kernel's buffers: nobody else empties them.
    let file = files::make("sent", 200_000)?;
    let from_file = file.read_via_stream(0).step("read-via-stream")?;
    let kept = files::open("kept")?;
    let to_file = kept.append_via_stream().step("append-via-stream")?;
    let never = subscribe_duration(3_600_000_000_000);
    let heard = from_client.subscribe();
    let mut sent = 0;
    while sent < 200_000 {
        let count = to_server.blocking_splice(&from_file, 10_000).step("splice out")?;
        to_server.blocking_flush().step("flush")?;
        sent += count;
        let mut received = 0;
        while received < count {
            if poll(&[&never, &heard]) != [1] {
                return Err("the timer of an hour was ready".to_owned());
            }
            received += to_file.blocking_splice(&from_client, count - received).step("splice in")?;
            to_file.blocking_flush().step("flush")?;
        }
    }
    say("the same", files::bytes_of(&file)? == files::bytes_of(&kept)?);

    client.shutdown(ShutdownType::Send).step("shutdown")?;
    say("no more from the client", from_client.blocking_read(10).map_err(|error| format!("{error}")));
    to_client.blocking_write_and_flush(b"well received").step("answer")?;
    server.shutdown(ShutdownType::Both).step("shutdown")?;
    let answer = files::open("answer")?;
    say("answered", files::keep(&from_server, &answer)?);
    say("answer", String::from_utf8(files::bytes_of(&answer)?).step("text")?);

    // Pollables are children of streams, so they are dropped first.
    drop((heard, incoming));
    drop((from_client, to_client));
    drop((server, listening));
    // Nobody listens there any more.
    let late = create_tcp_socket(IpAddressFamily::Ipv4).step("create")?;
    late.start_connect(&network, address).step("connect")?;
    late.subscribe().block();
    say("too late", late.finish_connect().map(|_| ()).map_err(name));
    Ok(())
}

/// Makes a UDP socket at a free port.
fn bound(network: &Network) -> Outcome<(UdpSocket, IpSocketAddress)> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).step("create")?;
    socket.start_bind(network, loopback(0)).step("bind")?;
    socket.subscribe().block();
    socket.finish_bind().step("bind")?;
    let address = socket.local_address().step("local-address")?;
    Ok((socket, address))
}

/// Sends datagrams there and back, between two sockets of one program.
pub(crate) fn udp() -> Outcome {
    let network = instance_network();
    let ((one, _), (two, address)) = (bound(&network)?, bound(&network)?);
    let log = files::open("datagrams")?;
    let to_log = log.append_via_stream().step("append-via-stream")?;
    let never = subscribe_duration(3_600_000_000_000);

    let (from_one, to_one) = one.stream(None).step("stream")?;
    let (from_two, to_two) = two.stream(None).step("stream")?;
    let (at_one, at_two) = (from_one.subscribe(), from_two.subscribe());
    say("before anything was sent", (at_two.ready(), from_two.receive(4).map(|found| found.len())));
    let texts = [b"first".to_vec(), Vec::new(), vec![b'x'; 5000]];
    for text in texts {
        to_one.subscribe().block();
        let permitted = to_one.check_send().step("check-send")?;
        let datagram = OutgoingDatagram { data: text.clone(), remote_address: Some(address) };
        say("sent", (permitted > 0, to_one.send(&[datagram]).step("send")?));
        if poll(&[&never, &at_two, &to_log.subscribe()]).contains(&0) {
            return Err("the timer of an hour was ready".to_owned());
        }
        at_two.block();
        let found = from_two.receive(4).step("receive")?;
        for datagram in &found {
            to_log.blocking_write_and_flush(&datagram.data[..datagram.data.len().min(4096)]).step("write")?;
            // Back to the sender, in fewer bytes.
            let data = datagram.data.len().to_string().into_bytes();
            to_two.subscribe().block();
            to_two.check_send().step("check-send")?;
            let back = OutgoingDatagram { data, remote_address: Some(datagram.remote_address) };
            to_two.send(&[back]).step("send back")?;
        }
        at_one.block();
        let back = from_one.receive(4).step("receive back")?;
        let told: Vec<_> = back.iter().map(|d| String::from_utf8_lossy(&d.data).into_owned()).collect();
        say(
            "received, and told back",
            (found.len(), told, back.iter().all(|d| same(&d.remote_address, &address))),
        );
    }
    say("logged", files::sum_of(&log)?);

    // Connected: a single peer, which later calls need not name. A socket of its own: wasmtime 48
    // may still be receiving on a socket whose streams have just been dropped, and then traps.
    let (three, _) = bound(&network)?;
    let (from_three, to_three) = three.stream(Some(address)).step("stream")?;
    say("connected to", three.remote_address().map(|remote| same(&remote, &address)).map_err(name));
    let to_other = OutgoingDatagram { data: vec![1], remote_address: Some(loopback(9)) };
    to_three.check_send().step("check-send")?;
    say("to nobody else", to_three.send(&[to_other]).map_err(name));
    to_three.subscribe().block();
    to_three.check_send().step("check-send")?;
    let to_two = OutgoingDatagram { data: b"connected".to_vec(), remote_address: None };
    say("sent to it", to_three.send(&[to_two]).map_err(name));
    at_two.block();
    let found = from_two.receive(1).step("receive")?;
    say("heard", found.iter().map(|d| String::from_utf8_lossy(&d.data).into_owned()).collect::<Vec<_>>());
    say("nothing else came", from_three.receive(1).map(|found| found.len()).map_err(name));
    Ok(())
}

/// Sends datagrams to a server outside, and keeps the answers.
pub(crate) fn udp_with(server: &str) -> Outcome {
    let network = instance_network();
    let (socket, _) = bound(&network)?;
    let (incoming, outgoing) = socket.stream(Some(parse(server)?)).step("stream")?;
    let log = files::open("answers")?;
    let to_log = log.append_via_stream().step("append-via-stream")?;
    for text in ["one", "two", "three"] {
        outgoing.subscribe().block();
        outgoing.check_send().step("check-send")?;
        let sent = outgoing.send(&[OutgoingDatagram { data: text.into(), remote_address: None }]);
        say("sent", sent.map_err(name));
        incoming.subscribe().block();
        for datagram in incoming.receive(1).step("receive")? {
            to_log.blocking_write_and_flush(&datagram.data).step("write")?;
        }
    }
    say("kept", String::from_utf8(files::bytes_of(&log)?).step("text")?);
    Ok(())
}
