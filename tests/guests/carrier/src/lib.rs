//! A program that exchanges values with its host, with streams, pollables and errors inside, and
//! keeps what it reads in files.

use bindings::exports::kvfs::guests::handler::{Guest, Job};
use bindings::kvfs::guests::carrier::{Channel, Pair, Parcel, ask, make, watch, written};
use bindings::wasi::cli::{environment, stdout};
use bindings::wasi::filesystem::preopens::get_directories;
use bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use bindings::wasi::io::error::Error;
use bindings::wasi::io::poll::{Pollable, poll};
use bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "kvfs:guests/carried",
        generate_all,
        pub_export_macro: true,
    });
}

struct Carried;

bindings::export!(Carried with_types_in bindings);

type Outcome<T> = Result<T, String>;

fn say(label: &str, value: impl std::fmt::Debug) {
    let line = format!("{label}: {value:?}\n");
    let _ = stdout::get_stdout().blocking_write_and_flush(line.as_bytes());
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

fn open(path: &str) -> Outcome<Descriptor> {
    let (root, _) = get_directories().into_iter().next().ok_or("no preopen")?;
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    root.open_at(PathFlags::empty(), path, OpenFlags::CREATE, flags).map_err(text)
}

/// Appends a stream of the host to a file, by splice.
fn keep(path: &str, from: &InputStream) -> Outcome<()> {
    let to = open(path)?.append_via_stream().map_err(text)?;
    copy(from, &to)
}

fn copy(from: &InputStream, to: &OutputStream) -> Outcome<()> {
    loop {
        match to.blocking_splice(from, 1000) {
            Ok(_) => to.blocking_flush().map_err(text)?,
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(text(error)),
        }
    }
}

fn content(path: &str) -> Outcome<String> {
    let (bytes, _) = open(path)?.read(1 << 16, 0).map_err(text)?;
    String::from_utf8(bytes).map_err(text)
}

/// Provokes an error of a file and returns it.
fn of_file() -> Outcome<Error> {
    let to = open("far")?.write_via_stream(u64::MAX).map_err(text)?;
    match to.blocking_write_and_flush(b"x") {
        Err(StreamError::LastOperationFailed(error)) => Ok(error),
        other => Err(text(other)),
    }
}

impl bindings::exports::wasi::cli::run::Guest for Carried {
    fn run() -> Result<(), ()> {
        let name = environment::get_arguments().into_iter().nth(1).unwrap_or_default();
        let outcome = match name.as_str() {
            "parcels" => parcels(),
            "watched" => watched(),
            "asked" => asked(),
            "gives a file" => gives_a_file(),
            "lends a file" => lends_a_file(),
            _ => Err("no such program".to_owned()),
        };
        outcome.map_err(|error| say("failed", error))
    }
}

/// Takes parcels apart and sends them back.
fn parcels() -> Outcome<()> {
    let channel = Channel::new("größe");
    for round in 0..3 {
        for parcel in make(&["one".to_owned(), "two two".to_owned(), "x".repeat(3000)]) {
            let (said, back) = channel.send(parcel_read(parcel, round)?).map_err(text)?;
            say("host", said);
            // The parcel that comes back is kept in full.
            parcel_read(back, 100)?;
        }
    }
    say("kept", (content("one")?, content("either")?, content("many")?.len()));
    say("written", written());
    Ok(())
}

/// Reads from and writes to a parcel's streams, as much as the round asks for, and puts it together
/// again.
fn parcel_read(parcel: Parcel, round: u32) -> Outcome<Parcel> {
    let touch = |pair: Pair, path: &str| -> Outcome<Pair> {
        match round {
            0 => {}
            1 => {
                let some = pair.reader.blocking_read(2).map_err(text)?;
                say(pair.label.get(..10).unwrap_or(&pair.label), String::from_utf8_lossy(&some));
            }
            _ => keep(path, &pair.reader)?,
        }
        if let Some(writer) = &pair.writer {
            writer.blocking_write_and_flush(format!("round {round} ").as_bytes()).map_err(text)?;
        }
        Ok(Pair { label: format!("{} back", pair.label), ..pair })
    };
    Ok(match parcel {
        Parcel::Nothing => Parcel::Nothing,
        Parcel::One(pair) => Parcel::One(touch(pair, "one")?),
        Parcel::Many(pairs) => {
            // In reverse order.
            let pairs: Outcome<Vec<Pair>> = pairs.into_iter().rev().map(|pair| touch(pair, "many")).collect();
            Parcel::Many(pairs?)
        }
        Parcel::Either(Ok(stream)) => {
            if round > 0 {
                keep("either", &stream)?;
            }
            Parcel::Either(Ok(stream))
        }
        Parcel::Either(Err(StreamError::LastOperationFailed(error))) => {
            say("error", error.to_debug_string());
            Parcel::Either(Err(StreamError::LastOperationFailed(error)))
        }
        Parcel::Either(other) => Parcel::Either(other),
        Parcel::Deep(list) => {
            let pollables = list.iter().flat_map(|(_, inner)| inner).flatten().flatten();
            let pollables: Vec<&Pollable> = pollables.collect();
            let stream = open("deep")?.write_via_stream(0).map_err(text)?;
            // A child of the stream, dropped before it.
            let to = stream.subscribe();
            let mut ready = poll(&[&[&to], pollables.as_slice()].concat());
            ready.sort_unstable();
            say("ready", ready);
            Parcel::Deep(list)
        }
    })
}

/// Lends pollables and streams of the host.
fn watched() -> Outcome<()> {
    let channels: Vec<Channel> = (0..40).map(|number| Channel::new(&format!("{number}"))).collect();
    let pollables: Vec<Pollable> = channels.iter().map(Channel::subscribe).collect();
    let lent: Vec<&Pollable> = pollables.iter().collect();
    for parcel in make(&["word".to_owned()]) {
        if let Parcel::One(pair) = parcel {
            say("watched", watch(&lent, Some(&pair.reader)).into_iter().filter(|ready| *ready).count());
            say("read after", pair.reader.blocking_read(10).map(|bytes| bytes.len()).map_err(text));
        }
    }
    say("without a stream", watch(&lent[..3], None));
    say("none", watch(&[], None));
    say("still there", pollables.iter().filter(|pollable| pollable.ready()).count());
    Ok(())
}

/// Asks about errors of the host and of a file.
fn asked() -> Outcome<()> {
    for parcel in make(&[]) {
        if let Parcel::Either(Err(StreamError::LastOperationFailed(error))) = parcel {
            say("of the host", ask(&error, Channel::new("subscribed").subscribe(), Channel::new("beside")));
        }
    }
    let error = of_file()?;
    say("of a file", ask(&error, Channel::new("subscribed").subscribe(), Channel::new("beside")).is_some());
    say("and again", ask(&error, Channel::new("subscribed").subscribe(), Channel::new("beside")).is_some());
    Ok(())
}

/// Gives the host a stream that the host did not make.
fn gives_a_file() -> Outcome<()> {
    let reader = open("mine")?.read_via_stream(0).map_err(text)?;
    let pair = Pair { label: "mine".to_owned(), reader, writer: None };
    say("sent", Channel::new("x").send(Parcel::Many(vec![pair])).is_ok());
    Ok(())
}

/// Lends the host a pollable that the host did not make.
fn lends_a_file() -> Outcome<()> {
    let stream = open("mine")?.read_via_stream(0).map_err(text)?;
    say("watched", watch(&[&stream.subscribe()], None));
    Ok(())
}

impl Guest for Carried {
    fn handle(jobs: Vec<(u8, Job)>, ready: Result<Pollable, String>) -> Result<Vec<Job>, String> {
        ready?.block();
        let mut back = Vec::new();
        for (number, job) in jobs {
            if number % 2 == 1 {
                back.push(job);
                continue;
            }
            for input in &job.inputs {
                keep(&job.name, input)?;
            }
            if let Some(output) = &job.output {
                copy(&open(&job.name)?.read_via_stream(0).map_err(text)?, output)?;
            }
        }
        Ok(back)
    }
}
