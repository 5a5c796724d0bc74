//! The files of a volume on a thread of their own.

use crate::{Files, FilesError};
use futures_channel::oneshot;
use std::sync::mpsc::{Sender, channel};
use std::thread;

type Work = Box<dyn FnOnce(Option<Files>) -> Option<Files> + Send>;

/// The files of a volume for several threads, and for asynchronous tasks: they live on a thread of their
/// own, and no executor is blocked while the store is waited for. A clone is another handle; the thread
/// ends with the last one.
///
/// ```
/// # use kvfs::{Clock, MemoryStore, Options, Timestamp, Volume};
/// # struct Noon;
/// # impl Clock for Noon {
/// #     fn now(&mut self) -> Timestamp { Timestamp::default() }
/// # }
/// use kvfs_files::{Files, SharedFiles};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), kvfs_files::FilesError> {
/// let files = SharedFiles::open(|| {
///     let store = Box::new(MemoryStore::default());
///     Files::new(Volume::open(store, Box::new(Noon), Options::default()).unwrap())
/// })
/// .await?;
/// files.run(|files| files.write("/greeting", b"hello")).await?;
/// assert_eq!(files.run(|files| files.read("/greeting", 100)).await?, b"hello");
/// files.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SharedFiles {
    work: Sender<Work>,
}

impl SharedFiles {
    /// Starts a thread and opens the files there.
    ///
    /// # Errors
    /// Those of `open`, [`FilesError::Host`] if there can be no more threads.
    pub async fn open<E: From<FilesError> + Send + 'static>(
        open: impl FnOnce() -> Result<Files, E> + Send + 'static,
    ) -> Result<Self, E> {
        let (work, todo) = channel::<Work>();
        let (answer, answered) = oneshot::channel();
        let thread = thread::Builder::new().name("kvfs volume".to_owned());
        let started = thread.spawn(move || {
            let mut files = match open() {
                Ok(files) => Some(files),
                Err(error) => {
                    let _ = answer.send(Err(error));
                    return;
                }
            };
            // Nobody waits any more: the handle is gone too, and the loop ends.
            let _ = answer.send(Ok(()));
            for work in todo {
                files = work(files);
            }
        });
        started.map_err(FilesError::host("start a thread for", "the volume".as_ref()))?;
        answered.await.map_err(|_| FilesError::Ended)??;
        Ok(Self { work })
    }

    /// Does some work with the files, after all that was given before. The work is done even if the
    /// future is dropped.
    ///
    /// # Errors
    /// Those of `work`, [`FilesError::Ended`] after [`SharedFiles::close`] and after a panic of some work.
    pub async fn run<T: Send + 'static, E: From<FilesError> + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Files) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        let work = move |files: Option<Files>| {
            let mut files = files?;
            let _ = answer.send(work(&mut files));
            Some(files)
        };
        self.work.send(Box::new(work)).map_err(|_| FilesError::Ended)?;
        answered.await.map_err(|_| FilesError::Ended)?
    }

    /// Makes everything durable and ends, for all handles. Dropping the last handle without it has the
    /// effect of a kill.
    ///
    /// # Errors
    /// As [`Files::close`], [`FilesError::Ended`].
    pub async fn close(self) -> Result<(), FilesError> {
        let (answer, answered) = oneshot::channel();
        let work = move |files: Option<Files>| {
            let _ = answer.send(files?.close());
            None
        };
        self.work.send(Box::new(work)).map_err(|_| FilesError::Ended)?;
        answered.await.map_err(|_| FilesError::Ended)?
    }
}
