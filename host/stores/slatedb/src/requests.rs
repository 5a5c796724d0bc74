//! An object store that counts its requests and remembers why the last one failed.

use crate::error::in_a_line;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests made to an object store: what it bills. Retries inside a client of S3, GCS or Azure are
/// not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects put, parts of objects, starts and ends of uploads in parts, and copies.
    pub puts: u64,
    /// Objects or ranges got, and heads.
    pub gets: u64,
    /// Lists begun. An object store answers with up to 1,000 names and bills each such page.
    pub lists: u64,
    /// Objects deleted.
    pub deletes: u64,
}

/// What is known of the requests so far.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    puts: AtomicU64,
    gets: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Requests {
    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            puts: read(&self.puts),
            gets: read(&self.gets),
            lists: read(&self.lists),
            deletes: read(&self.deletes),
        }
    }

    /// Returns why the last request that failed did, in one line, if none succeeded since.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note<T>(&self, result: Result<T>) -> Result<T> {
        let failure = match &result {
            Ok(_) => None,
            // Answers, not failures: the object store was reached.
            Err(Error::NotFound { .. } | Error::AlreadyExists { .. } | Error::Precondition { .. }) => None,
            Err(Error::NotModified { .. } | Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                None
            }
            Err(error) => Some(in_a_line(error)),
        };
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        result
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// An object store whose requests are counted.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) requests: Arc<Requests>,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Counted {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        count(&self.requests.puts);
        self.requests.note(self.inner.put_opts(location, payload, options).await)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        count(&self.requests.puts);
        let upload = self.requests.note(self.inner.put_multipart_opts(location, options).await)?;
        Ok(Box::new(CountedUpload { inner: upload, requests: self.requests.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        count(&self.requests.gets);
        self.requests.note(self.inner.get_opts(location, options).await)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        count(&self.requests.gets);
        self.requests.note(self.inner.get_ranges(location, ranges).await)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let requests = self.requests.clone();
        let deleted = self.inner.delete_stream(locations);
        deleted.inspect(move |_| count(&requests.deletes)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        count(&self.requests.lists);
        let requests = self.requests.clone();
        self.inner.list(prefix).map(move |found| requests.note(found)).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        count(&self.requests.lists);
        let requests = self.requests.clone();
        self.inner.list_with_offset(prefix, offset).map(move |found| requests.note(found)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        count(&self.requests.lists);
        self.requests.note(self.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        count(&self.requests.puts);
        self.requests.note(self.inner.copy_opts(from, to, options).await)
    }
}

/// An upload in parts whose requests are counted.
#[derive(Debug)]
struct CountedUpload {
    inner: Box<dyn MultipartUpload>,
    requests: Arc<Requests>,
}

#[async_trait]
impl MultipartUpload for CountedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        count(&self.requests.puts);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        count(&self.requests.puts);
        self.requests.note(self.inner.complete().await)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
