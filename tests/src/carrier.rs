//! The host of the non-standard interface `kvfs:guests/carrier`, which is in tests/guests/wit.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings::sync::io::streams::StreamError;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::streams::StreamError as Failure;

use self::bindings::exports::kvfs::guests::handler::Job;
use self::bindings::kvfs::guests::carrier::{Host, HostChannel, Pair, Parcel};
use crate::session::{Session, State};

mod bindings {
    wasmtime::component::bindgen!({
        path: ["../wit", "guests/wit"],
        world: "kvfs:guests/carried",
        imports: { default: trappable },
        with: {
            "wasi": wasmtime_wasi::p2::bindings::sync,
            "kvfs:guests/carrier.channel": super::Channel,
        },
    });
}

/// A resource with a label, which counts the parcels sent to it.
pub struct Channel {
    label: String,
    sent: AtomicU32,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Channel {
    async fn ready(&mut self) {}
}

const OUTPUT_BYTES: usize = 1 << 20;

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    bindings::kvfs::guests::carrier::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl State {
    fn input(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(MemoryInputPipe::new(bytes));
        Ok(self.table.push(stream)?)
    }

    fn output(&mut self, label: &str) -> wasmtime::Result<Resource<DynOutputStream>> {
        let pipe = MemoryOutputPipe::new(OUTPUT_BYTES);
        self.written.push((label.to_owned(), pipe.clone()));
        let stream: DynOutputStream = Box::new(pipe);
        Ok(self.table.push(stream)?)
    }

    fn pair(&mut self, word: &str, writes: bool) -> wasmtime::Result<Pair> {
        let writer = if writes { Some(self.output(word)?) } else { None };
        Ok(Pair { label: word.to_owned(), reader: self.input(word.as_bytes().to_vec())?, writer })
    }

    fn ready_pollable(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let channel = self.table.push(Channel { label: String::new(), sent: AtomicU32::new(0) })?;
        subscribe(&mut self.table, channel)
    }

    /// Reads what a stream holds now, and returns how much that was.
    fn drain(&mut self, stream: &Resource<DynInputStream>) -> wasmtime::Result<usize> {
        match self.table.get_mut(stream)?.read(10_000) {
            Ok(bytes) => Ok(bytes.len()),
            Err(Failure::Closed) => Ok(0),
            Err(Failure::LastOperationFailed(error) | Failure::Trap(error)) => Err(error),
        }
    }

    /// Reports how much a pair still held, and returns a pair with as much.
    fn answer(&mut self, pair: Pair) -> wasmtime::Result<(String, Pair)> {
        let left = self.drain(&pair.reader)?;
        self.table.delete(pair.reader)?;
        let writes = pair.writer.is_some();
        if let Some(writer) = pair.writer {
            self.table.delete(writer)?;
        }
        let said =
            format!("{}: {left} left, writer {writes}", pair.label.chars().take(20).collect::<String>());
        let reader = self.input(vec![b'y'; left])?;
        Ok((said, Pair { label: pair.label, reader, writer: None }))
    }
}

impl HostChannel for State {
    fn new(&mut self, label: String) -> wasmtime::Result<Resource<Channel>> {
        Ok(self.table.push(Channel { label, sent: AtomicU32::new(0) })?)
    }

    fn send(
        &mut self,
        channel: Resource<Channel>,
        what: Parcel,
    ) -> wasmtime::Result<Result<(String, Parcel), String>> {
        let channel = self.table.get(&channel)?;
        let head = format!("{} {}", channel.label, channel.sent.fetch_add(1, Ordering::Relaxed));
        let (said, back) = match what {
            Parcel::Nothing => ("nothing".to_owned(), Parcel::Nothing),
            Parcel::One(pair) => {
                let (said, pair) = self.answer(pair)?;
                (said, Parcel::One(pair))
            }
            Parcel::Many(pairs) => {
                let answers = pairs.into_iter().map(|pair| self.answer(pair));
                let (said, pairs): (Vec<_>, Vec<_>) =
                    answers.collect::<wasmtime::Result<Vec<_>>>()?.into_iter().unzip();
                (said.join("; "), Parcel::Many(pairs))
            }
            Parcel::Either(Ok(stream)) => {
                let left = self.drain(&stream)?;
                // Returns the same handle.
                (format!("either: {left} left"), Parcel::Either(Ok(stream)))
            }
            Parcel::Either(Err(StreamError::LastOperationFailed(error))) => {
                let said = self.table.get(&error)?.to_string();
                (said, Parcel::Either(Err(StreamError::LastOperationFailed(error))))
            }
            Parcel::Either(Err(StreamError::Closed)) => {
                ("closed".to_owned(), Parcel::Either(Err(StreamError::Closed)))
            }
            Parcel::Deep(list) => {
                let shape = |inner: &Option<Vec<Result<_, String>>>| {
                    inner.as_ref().map(|inner| inner.iter().map(Result::is_ok).collect::<Vec<_>>())
                };
                let said: Vec<_> = list.iter().map(|(number, inner)| (*number, shape(inner))).collect();
                (format!("{said:?}"), Parcel::Deep(list))
            }
        };
        Ok(Ok((format!("{head}: {said}"), back)))
    }

    fn subscribe(&mut self, channel: Resource<Channel>) -> wasmtime::Result<Resource<DynPollable>> {
        // A pollable that does not depend on the channel, which may be dropped first.
        self.table.get(&channel)?;
        self.ready_pollable()
    }

    fn drop(&mut self, channel: Resource<Channel>) -> wasmtime::Result<()> {
        self.table.delete(channel)?;
        Ok(())
    }
}

impl Host for State {
    fn make(&mut self, words: Vec<String>) -> wasmtime::Result<Vec<Parcel>> {
        let mut parcels = vec![Parcel::Nothing];
        if let Some(first) = words.first() {
            parcels.push(Parcel::One(self.pair(first, true)?));
            parcels.push(Parcel::Either(Ok(self.input(first.clone().into_bytes())?)));
        }
        let pairs: wasmtime::Result<Vec<_>> =
            (0..).zip(&words).map(|(number, word)| self.pair(word, number % 2 == 1)).collect();
        parcels.push(Parcel::Many(pairs?));
        parcels.push(Parcel::Either(Err(StreamError::Closed)));
        let error = self.table.push(wasmtime::format_err!("the host's own"))?;
        parcels.push(Parcel::Either(Err(StreamError::LastOperationFailed(error))));
        let mut deep = vec![(0, None), (1, Some(Vec::new()))];
        for number in 2..5 {
            let mut inner = Vec::new();
            for place in 0..number {
                inner.push(if place % 3 == 2 {
                    Err("no pollable".to_owned())
                } else {
                    Ok(self.ready_pollable()?)
                });
            }
            deep.push((number, Some(inner)));
        }
        parcels.push(Parcel::Deep(deep));
        Ok(parcels)
    }

    fn watch(
        &mut self,
        what: Vec<Resource<DynPollable>>,
        also: Option<Resource<DynInputStream>>,
    ) -> wasmtime::Result<Vec<bool>> {
        let mut known = Vec::new();
        for pollable in &what {
            self.table.get(pollable)?;
            known.push(true);
        }
        if let Some(stream) = also {
            known.push(self.drain(&stream)? > 0);
        }
        Ok(known)
    }

    fn ask(
        &mut self,
        about: Resource<wasmtime_wasi_io::streams::Error>,
        given: Resource<DynPollable>,
        beside: Resource<Channel>,
    ) -> wasmtime::Result<Option<String>> {
        self.table.delete(given)?;
        self.table.delete(beside)?;
        Ok(Some(self.table.get(&about)?.to_string()))
    }

    fn written(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let text = |pipe: &MemoryOutputPipe| String::from_utf8_lossy(&pipe.contents()).into_owned();
        let label = |label: &str| label.chars().take(20).collect::<String>();
        Ok(self.written.iter().map(|(name, pipe)| (label(name), text(pipe))).collect())
    }
}

/// A job as the tests give it: its number, its name, and the contents of its inputs.
pub type GivenJob<'a> = (u8, &'a str, &'a [&'a str]);

impl Session {
    /// Calls the guest's `handler` with jobs, each with streams of the host as inputs and one as
    /// output. Returns the jobs that came back, with the number of bytes left in their inputs, and
    /// what was written to each output.
    ///
    /// # Errors
    ///
    /// The guest does not export it, reported a failure, or trapped.
    #[allow(clippy::type_complexity)]
    pub fn handle_jobs(
        &mut self,
        jobs: &[GivenJob<'_>],
    ) -> anyhow::Result<(Vec<(String, Vec<usize>)>, Vec<(String, String)>)> {
        let Self { store, instance } = self;
        let guest = bindings::Carried::new(&mut *store, instance)?;
        let state = store.data_mut();
        let mut given = Vec::new();
        for (number, name, words) in jobs {
            let inputs = words.iter().map(|word| state.input(word.as_bytes().to_vec()));
            let inputs = inputs.collect::<wasmtime::Result<_>>()?;
            let job = Job { name: (*name).to_owned(), inputs, output: Some(state.output(name)?) };
            given.push((*number, job));
        }
        let ready = state.ready_pollable()?;
        let back = guest.kvfs_guests_handler().call_handle(&mut *store, &given, Ok(ready))?;
        let back = back.map_err(anyhow::Error::msg).context("the guest reported")?;
        let state = store.data_mut();
        let mut left = Vec::new();
        for job in back {
            let inputs =
                job.inputs.iter().map(|input| state.drain(input)).collect::<wasmtime::Result<_>>()?;
            left.push((job.name, inputs));
        }
        Ok((left, state.written()?))
    }
}
