//! The thread that owns the volume.

use crate::error::MountError;
use crate::state::State;
use kvfs::Error;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// Requests that wait for the thread. Each may have a write of 1 MiB; the kernel keeps the rest.
const MAX_WAITING: usize = 16;

/// Something for the thread to do.
pub(crate) enum Job {
    /// A request.
    Call(Box<dyn FnOnce(&mut State) + Send>),
    /// Make everything durable and end.
    End,
}

/// The way to the thread. A job that it takes no more is dropped, and its request answered with `EIO`.
pub(crate) type Jobs = SyncSender<Job>;

/// What a mount needs to know of its volume.
pub(crate) struct Opened {
    pub(crate) read_only: bool,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) jobs: Jobs,
    pub(crate) thread: JoinHandle<Result<(), MountError>>,
}

impl Worker {
    /// Starts the thread, and opens the volume there.
    ///
    /// # Errors
    /// Those of `open`, and [`MountError::Ended`].
    pub(crate) fn start(
        open: impl FnOnce() -> Result<State, MountError> + Send + 'static,
    ) -> Result<(Self, Opened), MountError> {
        let (jobs, todo) = sync_channel(MAX_WAITING);
        let (answer, answered) = sync_channel(1);
        let thread = Builder::new().name("kvfs mount".to_owned()).spawn(move || {
            let state = match open() {
                Ok(state) => state,
                Err(error) => {
                    let _ = answer.send(Err(error));
                    return Ok(());
                }
            };
            let volume = state.volume.name().to_owned();
            let _ = answer.send(Ok(Opened { read_only: state.read_only }));
            run(state, &todo).map_err(|source| MountError::Store { volume, source })
        });
        let thread = thread.map_err(|error| MountError::Ended { reason: error.to_string() })?;
        match answered.recv() {
            Ok(opened) => Ok((Self { jobs, thread }, opened?)),
            Err(_) => Err(MountError::Ended { reason: "a panic while the volume was opened".to_owned() }),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`MountError::Store`] if not everything could be stored, [`MountError::Ended`] after a panic.
    pub(crate) fn join(self) -> Result<(), MountError> {
        let Self { jobs, thread } = self;
        drop(jobs);
        let ended = thread.join();
        ended.unwrap_or_else(|_| Err(MountError::Ended { reason: "a panic".to_owned() }))
    }
}

fn run(mut state: State, todo: &Receiver<Job>) -> Result<(), Error> {
    loop {
        let job = match state.sync_due() {
            None => todo.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => match due.checked_duration_since(Instant::now()) {
                Some(wait) => todo.recv_timeout(wait),
                None => Err(RecvTimeoutError::Timeout),
            },
        };
        match job {
            Ok(Job::Call(call)) => call(&mut state),
            Ok(Job::End) | Err(RecvTimeoutError::Disconnected) => return state.end(),
            Err(RecvTimeoutError::Timeout) => state.sync_in_passing(),
        }
    }
}
