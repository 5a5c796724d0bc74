//! A bucket of S3's protocol that is not there yet.

use crate::error::{OpenError, in_a_line};
use futures_util::StreamExt;
use object_store::ClientOptions;
use object_store::aws::AmazonS3;
use object_store::client::{HttpConnector, HttpRequest, ReqwestConnector};
use object_store::path::Path;
use object_store::signer::Signer;
use reqwest::Method;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// How long the signed request is good for.
const VALID: Duration = Duration::from_secs(300);

/// The region whose buckets name no region.
const DEFAULT_REGION: &str = "us-east-1";

/// Bytes of a server's answer after which no more of it is read.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// The bucket of a client, which can be made.
pub(crate) struct NewBucket {
    pub(crate) client: Arc<AmazonS3>,
    pub(crate) options: ClientOptions,
    pub(crate) region: Option<String>,
}

impl NewBucket {
    /// Makes the bucket. One that the caller already has is well.
    ///
    /// # Errors
    /// [`OpenError::BucketNotMade`], with what the server said.
    ///
    /// # Cost
    /// One put.
    pub(crate) async fn make(&self) -> Result<(), OpenError> {
        // object_store knows no call for it, but signs a request for the bucket itself.
        let url = self.client.signed_url(Method::PUT, &Path::default(), VALID).await;
        let url = url.map_err(|error| not_made(in_a_line(&error)))?;
        let mut request = HttpRequest::new(self.body()?.into());
        *request.method_mut() = Method::PUT;
        // The URL holds a signature, so no error of its own is shown.
        *request.uri_mut() = url.as_str().parse().map_err(|_| not_made("its name makes no URL"))?;
        let client = ReqwestConnector::default().connect(&self.options);
        let client = client.map_err(|error| not_made(in_a_line(&error)))?;
        let answer = client.execute(request).await.map_err(|error| not_made(in_a_line(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let mut body = answer.into_body().bytes_stream();
        let mut said = Vec::new();
        while let Some(Ok(part)) = body.next().await
            && said.len() < MAX_ANSWER_BYTES
        {
            said.extend_from_slice(part.get(..MAX_ANSWER_BYTES).unwrap_or(&part));
        }
        let text = String::from_utf8_lossy(&said);
        // Another program made it at the same moment.
        if text.contains("BucketAlreadyOwnedByYou") {
            return Ok(());
        }
        Err(not_made(in_a_line(&std::io::Error::other(format!("{status} {text}")))))
    }

    /// The body of the request: the region, if it is not the default one.
    fn body(&self) -> Result<String, OpenError> {
        let Some(region) = self.region.as_deref().filter(|region| *region != DEFAULT_REGION) else {
            return Ok(String::new());
        };
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(not_made("AWS_REGION is no name of a region"));
        }
        Ok(format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        ))
    }
}

fn not_made(why: impl Display) -> OpenError {
    OpenError::BucketNotMade { why: why.to_string() }
}
