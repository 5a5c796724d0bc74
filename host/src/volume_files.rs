//! The files of a volume of a store, by path.

use kvfs::image::Image;
use kvfs::{Options, Volume};
use kvfs_files::{Files, FilesError, SharedFiles};

use crate::{EngineStore, SyncStore, Volumes, VolumesError};

impl<S: SyncStore + Clone + 'static> Volumes<S> {
    /// Opens the files of a volume for reading and writing.
    ///
    /// It becomes the volume's only writer: whoever had it open can store nothing any more, and is told
    /// so ([`kvfs::Error::Fenced`]) by its next change, as these files are if another one opens it later.
    ///
    /// ```
    /// use kvfs::Options;
    /// use kvfs_host::{MemoryStore, Volumes};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let volumes = Volumes::new(MemoryStore::new());
    /// volumes.create("main")?;
    /// let mut files = volumes.files(Options::default())?;
    /// files.make_directories("/in")?;
    /// files.write("/in/numbers", b"1 2 3")?;
    /// files.close()?;
    /// assert_eq!(volumes.look("main", None)?.read("/in/numbers", 100)?, b"1 2 3");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`FilesError::Open`] with a [`VolumesError`]: [`VolumesError::Missing`], where [`Volumes::create`]
    /// makes one, and those of [`Volumes::open`]; [`FilesError::Volume`].
    pub fn files(&self, options: Options) -> Result<Files, FilesError> {
        self.info(&options.volume).and_then(|_| self.open(options)).map_err(unopened).and_then(Files::new)
    }

    /// As [`Volumes::files`], for a volume that lies on an image.
    ///
    /// # Errors
    /// As those of [`Volumes::files`] and of [`Volumes::open_overlay`].
    pub fn files_on(&self, options: Options, image: Image) -> Result<Files, FilesError> {
        let there = self.info(&options.volume);
        there.and_then(|_| self.open_overlay(options, image)).map_err(unopened).and_then(Files::new)
    }

    /// Opens the files of a volume for reading only, on the image below it if it has one. Whoever has it
    /// open goes on, and no byte of the store changes: [`Volume::open_read_only`].
    ///
    /// # Errors
    /// As those of [`Volumes::files`].
    pub fn look(&self, volume: &str, image: Option<Image>) -> Result<Files, FilesError> {
        let options = Options { volume: volume.to_owned(), ..Options::default() };
        let store = Box::new(EngineStore(self.handle()));
        let opened = Volume::open_read_only(store, image, options);
        Files::new(opened.map_err(|error| unopened(VolumesError::of("open", volume, error)))?)
    }

    /// As [`Volumes::files`], on a thread of its own: asynchronous tasks use it without blocking their
    /// executor. A store that needs an executor is wrapped in [`BlockOn`](crate::BlockOn).
    ///
    /// ```
    /// use kvfs::Options;
    /// use kvfs_host::{FilesError, MemoryStore, Volumes};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let volumes = Volumes::new(MemoryStore::new());
    /// volumes.create("main")?;
    /// let files = volumes.shared_files(Options::default()).await?;
    /// files.run(|files| files.write("/greeting", b"hello")).await?;
    /// files.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As those of [`Volumes::files`], and those of [`SharedFiles::open`].
    pub async fn shared_files(&self, options: Options) -> Result<SharedFiles, FilesError> {
        let volumes = self.clone();
        SharedFiles::open(move || volumes.files(options)).await
    }
}

fn unopened(error: VolumesError) -> FilesError {
    FilesError::Open { source: Box::new(error) }
}
